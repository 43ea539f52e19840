"""The methods by name. One function and one `@method` make a new one; nothing else changes.

A method says in which phases a network is trained: what is frozen in each, for which share of the samples,
and what is added to the loss. Listing them needs no Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tlcli.register import Register, keyword_options

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


METHODS: Register[Method] = Register("method", "tlcli.methods", "tlcli.training.methods")


def method(
    name: str, summary: str, *, copies: bool = True, freezes: bool = False
) -> Callable[[Phases], Phases]:
    """Register a method: a function that says in which phases a network is trained.

    Args:
        name: What `--method` takes: letters, digits, dots, dashes, underscores.
        summary: One line for `tlcli transfer --help`.
        copies: Layers are taken from the base; `--copy` says how many.
        freezes: `--freeze` applies.

    The decorated function is called as `phases(copy, freeze, **options)` with the numbers of weighted layers
    that are copied and frozen, counted from the input, and gives a list of `Phase`. Its keyword-only
    arguments are the options of the method (`--method thaw:head=0.2`): numbers, each with a default. A phase
    says what is frozen, for which share of the run's samples, at which factor of the learning rate; and it
    may add to the loss (`terms`, see `TermFactory`; methods/l2_sp.py is an example).

        import tlcli
        from tlcli.training.methods import Phase

        @tlcli.method("thaw", "the head alone, then everything at a tenth of the rate", freezes=True)
        def thaw(copy, freeze, *, head=0.5):
            return [Phase(frozen=freeze, share=head), Phase(frozen=0, share=1 - head, rate=0.1)]

    Raises:
        UsageError: the name has an owner, or an argument has no default.
    """

    def decorate(phases: Phases) -> Phases:
        options = {key: float(value) for key, value in keyword_options(phases).items()}
        METHODS.add(name, Method(name, summary, phases, copies, freezes, options), phases)
        return phases

    return decorate


__all__ = ["METHODS", "Context", "Method", "Phase", "TermFactory", "method"]
