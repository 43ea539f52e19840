"""The arms of a grid: a method with its options and the layers that it copies and freezes, without Keras."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tlcli.errors import UsageError
from tlcli.models.heads import ALL_LAYERS, HEAD_DROPOUT, HEAD_UNITS, parse_head_units
from tlcli.models.layerspec import count_layers, resolve_layers
from tlcli.training.methods import METHODS, Method, Phase

Groups = list[tuple[str, ...]]
Options = dict[str, float | str]

RATE, AUGMENT, VIEWS, STATISTICS = "rate", "augment", "views", "statistics"
COMMON: Options = {
    RATE: 1.0,
    AUGMENT: 1.0,
    VIEWS: 0.0,
    STATISTICS: 0.0,
    HEAD_UNITS: "",
    HEAD_DROPOUT: 0.0,
    ALL_LAYERS: "",
}
"""Options of every method: a factor on the learning rate, whether images are augmented as the recipe says,
the number of augmented views of each image that frozen layers store, whether batch normalization of copied
layers stays as the base has it, hidden layers in the head, and whether the head reads all layers (1), the
last (0) or, by default, those that the base's head reads."""


@dataclass(frozen=True)
class Arm:
    """One row of a results table."""

    method: str
    copy: int
    """Weighted layers copied from the base, counted from the input."""
    freeze: int
    """Weighted layers frozen in the first phase."""
    phases: tuple[Phase, ...]
    settings: tuple[tuple[str, str], ...] = ()
    """The options that its label shows, by name: those that differ from their defaults."""
    head: tuple[tuple[str, float | str], ...] = ()
    """Options of the architecture for a head unlike the base's; empty for one like it."""
    choices: tuple[Arm, ...] = ()
    """Candidates; each run takes the best on held-out training images."""

    @property
    def label(self) -> str:
        """Its name in tables and files: `freeze:copy=2`."""
        shown = ",".join(f"{key}={value}" for key, value in self.settings)
        return f"{self.method}:{shown}" if shown else self.method

    @property
    def identity(self) -> tuple[object, ...]:
        """The values that identify the arm: with three layers below the head, `freeze` and `freeze:copy=3`
        are the same arm."""
        return (self.method, self.copy, *(pair for pair in self.settings if pair[0] != "copy"))


def parse_arms(
    specs: Sequence[str],
    groups: Groups,
    *,
    copy: str | None = None,
    freeze: str | None = None,
    head: Mapping[str, str | float] | None = None,
    hidden: Callable[[], Groups] | None = None,
) -> list[Arm]:
    """The arms that method specifications mean for a network of these weighted layers.

    A specification is `NAME` or `NAME:key=value,key=value` with the keys `copy`, `freeze`, those of `COMMON`
    and the method's own options. A range (`copy=1-6`) is a sweep: one arm for each value. Alternatives
    (`rate=0.1|0.3|1`) are one arm, whose runs choose on held-out training images.

    Args:
        specs: The specifications.
        groups: The network's weighted layers in order, the head last.
        copy: Layers to copy, for specifications without `copy=`; by default all below the head.
        freeze: Layers to freeze, for specifications without `freeze=`; by default those copied.
        head: `head_units`, `head_dropout` and `all_layers` of arms that do not set them.
        hidden: Gives the weighted layers under a head with hidden layers, for arms that have one.

    Raises:
        UsageError: An unknown method, option or layer, or an arm that is there twice.
    """
    common = {
        **COMMON,
        **{key: _value(key, str(value), f"`{key}`: received ") for key, value in (head or {}).items()},
    }
    arms = [arm for spec in specs for arm in _expand(spec, groups, hidden, copy, freeze, common)]
    if not arms:
        raise UsageError("Received no `method`; name one or more, for example freeze.")
    used = [METHODS[arm.method] for arm in arms]
    if freeze is not None and not any(one.freezes for one in used):
        raise UsageError(f"`freeze`: {used[0].name} freezes no layers; freeze is the method that does.")
    if copy is not None and not any(one.copies for one in used):
        raise UsageError(f"`copy`: {used[0].name} copies nothing from the base.")
    seen = set()
    for arm in arms:
        if arm.identity in seen:
            raise UsageError(f"`method`: {arm.label} is there twice.")
        seen.add(arm.identity)
    return arms


def count_arms(specs: Sequence[str], copy: str | None, freeze: str | None) -> int:
    """The number of arms that specifications mean, as far as known without the network.

    Raises:
        UsageError: An unknown method, or a specification of another form.
    """
    number = 0
    for name, given in map(_parse, specs):
        chosen = METHODS[name]
        copies = count_layers(given.get("copy") or copy, "copy") if chosen.copies else 1
        number += copies * (count_layers(given.get("freeze") or freeze, "freeze") if chosen.freezes else 1)
    return number


def _expand(
    spec: str,
    groups: Groups,
    hidden: Callable[[], Groups] | None,
    copy: str | None,
    freeze: str | None,
    common: Options,
) -> list[Arm]:
    name, given = _parse(spec)
    chosen = METHODS[name]
    copied_text, frozen_text = given.pop("copy", None), given.pop("freeze", None)
    alternatives = _alternatives(chosen, given, common)
    if len(kinds := {bool(options[HEAD_UNITS]) for options in alternatives}) > 1:
        raise UsageError(f"{spec}: a linear head and one with hidden layers are not alternatives of one arm.")
    if hidden and kinds.pop():
        groups = hidden()
    below = len(groups) - 1
    _refuse(chosen, copy=copied_text if not chosen.copies else None)
    _refuse(chosen, freeze=frozen_text if not chosen.freezes else None)
    copies = resolve_layers(copied_text or copy, groups, "copy") if chosen.copies else [0]
    frozen = (frozen_text or freeze) if chosen.freezes else None
    arms = []
    freezes = resolve_layers(frozen, groups, "freeze") if frozen else [None]
    for copied, held in itertools.product(copies, freezes):
        stays = (copied if chosen.freezes else 0) if held is None else held
        if stays > copied:
            raise UsageError(f"{spec}: {stays} layers frozen, but only {copied} are copied from the base.")
        is_named = copied != below or len(copies) > 1  # in a sweep all arms are named alike
        shown = {"copy": str(copied)} if chosen.copies and is_named else {}
        held_back = {"freeze": str(stays)} if held is not None and stays != copied else {}
        choices = tuple(
            Arm(
                name,
                copied,
                stays,
                tuple(_phases(chosen, copied, stays, options)),
                (*shown.items(), *_changed_options(chosen, options).items(), *held_back.items()),
                _head(chosen, options),
            )
            for options in alternatives
        )
        if len(choices) == 1:
            arms.append(choices[0])
            continue
        every = {key: "|".join(dict.fromkeys(_text(o[key]) for o in alternatives)) for key in alternatives[0]}
        differing = {key: text for key, text in every.items() if "|" in text or key in given}
        settings = (*shown.items(), *differing.items(), *held_back.items())
        first = choices[0]
        arms.append(Arm(name, copied, stays, first.phases, settings, first.head, choices))
    return arms


def _changed_options(chosen: Method, options: Options) -> dict[str, str]:
    """The options that differ from their defaults."""
    defaults = {**COMMON, **chosen.defaults}
    return {key: _text(value) for key, value in options.items() if value != defaults[key]}


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _head(chosen: Method, options: Options) -> tuple[tuple[str, float | str], ...]:
    if options[HEAD_DROPOUT] and not options[HEAD_UNITS]:
        raise UsageError(f"{HEAD_DROPOUT}: there is no hidden layer to drop from; give {HEAD_UNITS} too.")
    every = options[ALL_LAYERS]
    if not options[HEAD_UNITS]:
        return () if every == "" else ((ALL_LAYERS, int(every)),)
    if every and every != chosen.defaults.get(ALL_LAYERS):  # a default of the method gives way
        raise UsageError(f"{ALL_LAYERS}: a head with hidden layers reads one layer; give one of the two.")
    return tuple((key, options[key]) for key in (HEAD_UNITS, HEAD_DROPOUT) if options[key])


def _phases(chosen: Method, copied: int, stays: int, options: Options) -> list[Phase]:
    own = {key: value for key, value in options.items() if key in chosen.defaults}
    factor = 1.0 if RATE in chosen.defaults else float(options[RATE])
    phases = chosen.phases(copied, stays, **own)
    if all(phase.solve for phase in phases) and (factor != 1 or not options[AUGMENT] or options[STATISTICS]):
        raise UsageError(
            f"{chosen.name} solves for its head; leave out {RATE}=, {AUGMENT}= and {STATISTICS}=."
        )
    if options[STATISTICS] and not chosen.copies:
        raise UsageError(f"{chosen.name} copies nothing from the base; leave out {STATISTICS}=.")
    if options[VIEWS] and not options[AUGMENT]:
        raise UsageError(
            f"{chosen.name}: the number of {VIEWS}= is that of augmented images, and {AUGMENT}=0 makes none."
        )
    return [
        dataclasses.replace(
            phase,
            rate=phase.rate * factor,
            augment=bool(options[AUGMENT]),
            views=int(options[VIEWS]),
            frozen_statistics=phase.frozen_statistics or bool(options[STATISTICS]),
        )
        for phase in phases
    ]


def _parse(spec: str) -> tuple[str, dict[str, str]]:
    name, _, text = spec.partition(":")
    given: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"`method` {spec!r}: expected NAME or NAME:key=value,key=value.")
        given[key.strip()] = value.strip()
    return name.strip(), given


def _refuse(chosen: Method, **given: str | None) -> None:
    for key, value in given.items():
        if value is not None:
            raise UsageError(f"{chosen.name} takes no {key}=.")


def _alternatives(chosen: Method, given: dict[str, str], common: Options) -> list[Options]:
    """Every combination of the given values."""
    known: Options = {**common, **chosen.defaults}
    values: dict[str, list[float | str]] = {key: [default] for key, default in known.items()}
    for key, text in given.items():
        if key not in known:
            has = ", ".join(["copy"] * chosen.copies + ["freeze"] * chosen.freezes + list(known))
            raise UsageError(f"{chosen.name} has no option {key!r}; its options: {has}.")
        values[key] = [_value(key, each, f"{chosen.name}: received {key}=") for each in text.split("|")]
    combined = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    if len(combined) > 100:
        raise UsageError(f"{chosen.name}: {len(combined)} combinations of options are too many; 100 at most.")
    return combined


def _value(key: str, text: str, received: str) -> float | str:
    if key == HEAD_UNITS:
        return "" if text in ("0", "none") else parse_head_units(text)
    if key == ALL_LAYERS and text == "none":
        return ""
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{received}{text}, expected a number.") from None
    if key in (AUGMENT, STATISTICS, ALL_LAYERS) and value not in (0, 1):
        raise UsageError(f"{received}{text}, expected 0 or 1.")
    limit = 1 if key == HEAD_DROPOUT else 100 if key == VIEWS else 1e6
    if not 0 <= value < limit or (key == RATE and not value):
        least = "above 0" if key == RATE else "from 0"
        raise UsageError(f"{received}{text}, expected a number {least} to below {limit:,}.")
    if key == VIEWS and value != int(value):
        raise UsageError(f"{received}{text}, expected a whole number.")
    return value
