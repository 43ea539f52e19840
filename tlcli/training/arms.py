"""The arms of a grid: a method with its options and the layers it copies and freezes. No Keras here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.errors import UsageError
from tlcli.training.methods import Method, Phase, method


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


def parse_arms(
    specs: Sequence[str], groups: list[tuple[str, ...]], *, copy: str | None = None, freeze: str | None = None
) -> list[Arm]:
    """The arms that method specifications mean for a network of these weighted layers.

    A specification is `NAME` or `NAME:key=value,key=value` with the keys `copy`, `freeze` and the method's
    own options. A range (`copy=1-6`) is a sweep: one arm for each value.

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
    options = _options(chosen, given)
    arms = []
    freezes = resolve_layers(frozen, groups, "--freeze") if frozen else [None]
    for copied, held in itertools.product(copies, freezes):
        stays = (copied if chosen.freezes else 0) if held is None else held
        if stays > copied:
            raise UsageError(f"{spec}: {stays} layers frozen, but only {copied} are copied from the base.")
        shown = {key: f"{value:g}" for key, value in options.items() if value != chosen.defaults[key]}
        if chosen.copies and copied != below:
            shown = {"copy": str(copied), **shown}
        if held is not None and stays != copied:
            shown = {**shown, "freeze": str(stays)}
        label = name + (f"({','.join(f'{k}={v}' for k, v in shown.items())})" if shown else "")
        arms.append(Arm(label, name, copied, stays, tuple(chosen.phases(copied, stays, **options))))
    return arms


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


def _options(chosen: Method, given: dict[str, str]) -> dict[str, float]:
    options = dict(chosen.defaults)
    for key, text in given.items():
        if key not in options:
            has = ", ".join(["copy"] * chosen.copies + ["freeze"] * chosen.freezes + list(options)) or "none"
            raise UsageError(f"{chosen.name} has no option {key!r}; its options: {has}.")
        try:
            options[key] = float(text)
        except ValueError:
            raise UsageError(f"{chosen.name}: {key}={text!r} is no number.") from None
        if not 0 <= options[key] < 1e6:
            raise UsageError(f"{chosen.name}: {key}={text} is out of range.")
    return options
