"""The methods by name. One file here and one `@register` make a new one; nothing else changes.

A method says in which phases a network is trained: what is frozen in each, for which share of the samples,
and what is added to the loss. Listing them needs no Keras.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tlcli.errors import UsageError

if TYPE_CHECKING:
    from tlcli.models.network import Network
    from tlcli.store.records import Checkpoint
    from tlcli.training.step import Term


@dataclass(frozen=True)
class Context:
    """What a loss term may look at when it is made, once per phase and compiled network."""

    base: Checkpoint
    network: Network
    """The target's network; output 0 is the target head, output 1 the source head where one is needed."""
    trainable: list[Any]
    """The variables that the phase changes."""
    copied: tuple[tuple[str, ...], ...]
    """The weighted layers whose weights come from the base."""

    def is_copied(self, key: str) -> bool:
        """Does the weight `layer/variable` come from the base?"""
        layer = key.split("/", 1)[0]
        return any(layer in group for group in self.copied)


class TermFactory:
    """Something a method adds to the loss. A subclass says what it needs and makes the term."""

    needs_source_head = False
    needs_teacher = False
    """The base's own logits of the target's training images, as `teacher` in the batch."""
    source_share = 0.0
    """Images of the source task in each batch, as a share of the target's; `x_source`, `y_source`."""

    def term(self, context: Context) -> Term:
        raise TypeError("a term factory makes its term")


@dataclass(frozen=True)
class Phase:
    """One stage of a training."""

    frozen: int
    """Weighted layers frozen, counted from the input."""
    share: float = 1.0
    """Of the samples of the run."""
    rate: float = 1.0
    """Factor on the learning rate."""
    rate_decay: float = 1.0
    """Further factor per weighted layer below the head (discriminative learning rates)."""
    terms: tuple[TermFactory, ...] = ()
    solve: str | None = None
    """How the head is solved for on the features below it (`ridge`, `logistic`); None: trained by steps."""
    augment: bool = True
    """Its images are augmented as the recipe says."""
    views: int = 0
    """Augmented views of each image whose activations are kept; 0: they are computed anew at every step."""
    frozen_statistics: bool = False
    """Batch normalization runs in inference mode although other weights of its layer learn."""


Phases = Callable[..., "list[Phase]"]


@dataclass(frozen=True)
class Method:
    """A way to use a base. `phases(copy, freeze, **options)` says how it trains."""

    name: str
    summary: str
    phases: Phases
    copies: bool
    freezes: bool
    defaults: Mapping[str, float] = field(default_factory=dict)


_REGISTERED: dict[str, Method] = {}


def register(
    name: str, summary: str, *, copies: bool = True, freezes: bool = False
) -> Callable[[Phases], Phases]:
    """Register a method. The keyword-only arguments of its function are its options (numbers).

    `copies`: layers are taken from the base (`--copy` says how many). `freezes`: `--freeze` applies.
    """

    def decorate(phases: Phases) -> Phases:
        defaults = {
            p.name: float(p.default)
            for p in inspect.signature(phases).parameters.values()
            if p.kind is inspect.Parameter.KEYWORD_ONLY
        }
        _REGISTERED[name] = Method(name, summary, phases, copies, freezes, defaults)
        return phases

    return decorate


def methods() -> dict[str, Method]:
    """Every method by name."""
    _import_all()
    return dict(sorted(_REGISTERED.items()))


@lru_cache(maxsize=1)
def _import_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def method(name: str) -> Method:
    """The method of that name.

    Raises:
        UsageError: there is none.
    """
    known = methods()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else "They are: " + ", ".join(known) + "."
        raise UsageError(f"there is no method {name!r}. {hint}")
    return known[name]


__all__ = ["Context", "Method", "Phase", "TermFactory", "method", "methods", "register"]
