"""The methods by name. One function and one `@method` make a new one; nothing else changes.

A method gives the phases of a training: the frozen layers, the share of the samples, and the terms added to
the loss. Listing the methods needs no Keras.
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
    """The arguments of a loss term, which is made once per phase and compiled network."""

    base: Checkpoint
    network: Network
    """The target's network; output 0 is the target head, output 1 the source head, if needed."""
    trainable: list[Any]
    """The variables that the phase changes."""
    copied: tuple[tuple[str, ...], ...]
    """The weighted layers whose weights come from the base."""

    def is_copied(self, key: str) -> bool:
        """Whether the weight `layer/variable` comes from the base."""
        layer = key.split("/", 1)[0]
        return any(layer in group for group in self.copied)


class TermFactory:
    """A term that a method adds to the loss. A subclass states its needs and makes the term."""

    needs_source_head = False
    needs_teacher = False
    """Whether the batch needs `teacher`, the base's own logits of the target's training images."""
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
    """Share of the samples of the run."""
    rate: float = 1.0
    """Factor on the learning rate."""
    rate_decay: float = 1.0
    """Further factor per weighted layer below the head (discriminative learning rates)."""
    terms: tuple[TermFactory, ...] = ()
    solve: str | None = None
    """The solver of the head on the features below it (`ridge`, `logistic`); None: steps train it."""
    augment: bool = True
    """Whether to augment images as the recipe says."""
    views: int = 0
    """The augmented views of each image with stored activations; 0: every step computes them anew."""
    frozen_statistics: bool = False
    """Whether batch normalization of copied layers stays as the base has it although their weights learn."""


Phases = Callable[..., "list[Phase]"]


@dataclass(frozen=True)
class Method:
    """A way to use a base. `phases(copy, freeze, **options)` gives the phases of the training."""

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
    """Register a method: a function that gives the phases of a training.

    Args:
        name: What `--method` takes: letters, digits, dots, dashes, underscores.
        summary: One line for `tlcli transfer --help`.
        copies: Layers are taken from the base; `--copy` says how many.
        freezes: `--freeze` applies.

    The decorated function is called as `phases(copy, freeze, **options)` with the numbers of weighted layers
    that are copied and frozen, counted from the input, and gives a list of `Phase`. Its keyword-only
    arguments are the options of the method (`--method thaw:head=0.2`): numbers, each with a default. A phase
    has the number of frozen layers, the share of the run's samples and the factor on the learning rate; it
    may add to the loss (`terms`, see `TermFactory`; methods/l2_sp.py is an example).

        import tlcli
        from tlcli.training.methods import Phase

        @tlcli.method("thaw", "the head alone, then everything at a tenth of the rate", freezes=True)
        def thaw(copy, freeze, *, head=0.5):
            return [Phase(frozen=freeze, share=head), Phase(frozen=0, share=1 - head, rate=0.1)]

    Raises:
        UsageError: The name has another owner, or an argument has no default.
    """

    def decorate(phases: Phases) -> Phases:
        options = {key: float(value) for key, value in keyword_options(phases).items()}
        METHODS.add(name, Method(name, summary, phases, copies, freezes, options), phases)
        return phases

    return decorate


__all__ = ["METHODS", "Context", "Method", "Phase", "TermFactory", "method"]
