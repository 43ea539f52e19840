"""The arms of a grid: a method with its options and the layers it copies and freezes. No Keras here."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.errors import UsageError
from tlcli.training.methods import Method, Phase, method

RATE = "rate"
"""The option that every method has: a factor on the learning rate."""


@dataclass(frozen=True)
class Arm:
    """One row of a results table."""

    label: str
    method: str
    copy: int
    """Weighted layers copied from the base, counted from the input."""
    freeze: int
    """Weighted layers frozen in the first phase."""
    phases: tuple[Phase, ...]
    choices: tuple[Arm, ...] = ()
    """Candidates of which each run takes the one that does best on held-out training images."""


def parse_arms(
    specs: Sequence[str], groups: list[tuple[str, ...]], *, copy: str | None = None, freeze: str | None = None
) -> list[Arm]:
    """The arms that method specifications mean for a network of these weighted layers.

    A specification is `NAME` or `NAME:key=value,key=value` with the keys `copy`, `freeze`, `rate` (a factor
    on the learning rate) and the method's own options. A range (`copy=1-6`) is a sweep: one arm for each
    value. Alternatives (`rate=0.1|0.3|1`) are one arm, whose runs choose on held-out training images.

    Args:
        specs: The specifications.
        groups: The network's weighted layers in order, the head last.
        copy: For methods that copy and do not say themselves how much; default all below the head.
        freeze: Likewise for methods that freeze; default what is copied.

    Raises:
        UsageError: an unknown method, option or layer; the same arm twice.
    """
    arms = [arm for spec in specs for arm in _expand(spec, groups, copy, freeze)]
    if not arms:
        raise UsageError("received no --method; name one or more, for example --method freeze.")
    labels = [arm.label for arm in arms]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise UsageError(f"--method: {sorted(twice)[0]} is there twice.")
    return arms


def _expand(spec: str, groups: list[tuple[str, ...]], copy: str | None, freeze: str | None) -> list[Arm]:
    from tlcli.models.layerspec import resolve_layers

    name, given = _parse(spec)
    chosen = method(name)
    below = len(groups) - 1
    if not chosen.copies:
        _refuse(chosen, given, "copy", "freeze")
        copies: list[int] = [0]
    else:
        copies = resolve_layers(given.pop("copy", copy), groups, "--copy")
    said = given.pop("freeze", None) if chosen.freezes else None
    if not chosen.freezes:
        _refuse(chosen, given, "freeze")
    frozen = said or (freeze if chosen.freezes else None)
    alternatives = _alternatives(chosen, given)
    arms = []
    freezes = resolve_layers(frozen, groups, "--freeze") if frozen else [None]
    for copied, held in itertools.product(copies, freezes):
        stays = (copied if chosen.freezes else 0) if held is None else held
        if stays > copied:
            raise UsageError(f"{spec}: {stays} layers frozen, but only {copied} are copied from the base.")
        shown = {"copy": str(copied)} if chosen.copies and copied != below else {}
        held_back = {"freeze": str(stays)} if held is not None and stays != copied else {}
        choices = tuple(
            Arm(
                _label(name, {**shown, **_shown(chosen, options), **held_back}), name, copied, stays,
                tuple(_phases(chosen, copied, stays, options)),
            )
            for options in alternatives
        )  # fmt: skip
        if len(choices) == 1:
            arms.append(choices[0])
            continue
        every = {key: "|".join(dict.fromkeys(f"{o[key]:g}" for o in alternatives)) for key in alternatives[0]}
        differing = {key: text for key, text in every.items() if "|" in text or key in given}
        label = _label(name, {**shown, **differing, **held_back})
        arms.append(Arm(label, name, copied, stays, choices[0].phases, choices))
    return arms


def _label(name: str, shown: dict[str, str]) -> str:
    return name + (f"({','.join(f'{k}={v}' for k, v in shown.items())})" if shown else "")


def _shown(chosen: Method, options: dict[str, float]) -> dict[str, str]:
    """The options that are not at their defaults."""
    defaults = {RATE: 1.0, **chosen.defaults}
    return {key: f"{value:g}" for key, value in options.items() if value != defaults[key]}


def _phases(chosen: Method, copied: int, stays: int, options: dict[str, float]) -> list[Phase]:
    own = {key: value for key, value in options.items() if key in chosen.defaults}
    phases = chosen.phases(copied, stays, **own)
    factor = 1.0 if RATE in chosen.defaults else options.get(RATE, 1.0)
    return [dataclasses.replace(phase, rate=phase.rate * factor) for phase in phases]


def _parse(spec: str) -> tuple[str, dict[str, str]]:
    name, _, text = spec.partition(":")
    given: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"--method {spec!r}: expected NAME or NAME:key=value,key=value.")
        given[key.strip()] = value.strip()
    return name.strip(), given


def _refuse(chosen: Method, given: dict[str, str], *keys: str) -> None:
    for key in keys:
        if key in given:
            raise UsageError(f"{chosen.name} takes no {key}=.")


def _alternatives(chosen: Method, given: dict[str, str]) -> list[dict[str, float]]:
    """Every combination of the given values; one where no option has several."""
    known = {RATE: 1.0, **chosen.defaults}
    values = {key: [default] for key, default in known.items()}
    for key, text in given.items():
        if key not in known:
            has = ", ".join(["copy"] * chosen.copies + ["freeze"] * chosen.freezes + list(known))
            raise UsageError(f"{chosen.name} has no option {key!r}; its options: {has}.")
        values[key] = [_number(chosen, key, each) for each in text.split("|")]
    combined = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    if len(combined) > 100:
        raise UsageError(f"{chosen.name}: {len(combined)} combinations of options are too many; 100 at most.")
    return combined


def _number(chosen: Method, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{chosen.name}: {key}={text!r} is no number.") from None
    if not 0 <= value < 1e6:
        raise UsageError(f"{chosen.name}: {key}={text} is out of range.")
    return value
