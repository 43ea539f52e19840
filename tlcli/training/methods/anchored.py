"""The recommended method: a solved head, then careful fine-tuning near the base."""

from __future__ import annotations

from tlcli.errors import UsageError
from tlcli.training.methods import Phase, TermFactory, method
from tlcli.training.methods.l2_sp import PullToBase
from tlcli.training.methods.replay import Rehearsal


@method("anchored", "recommended: a head solved for on all layers, then tuning held near the base")
def anchored(
    copy: int,
    freeze: int,
    *,
    solved: float = 1,
    alpha: float = 0.01,
    statistics: float = 1,
    rate: float = 1,
    rate_decay: float = 0.9,
    replay: float = 0,
    all_layers: float = 1,
) -> list[Phase]:
    """Combine several parts. Each option leaves one part out, for an ablation.

    `solved=0`: a random head instead of the solved one (Kumar et al. 2022: a random head distorts the
    features while it learns). `alpha=0`: no pull to the base's weights (Li et al. 2018). `rate_decay=1`: one
    learning rate for all layers instead of less for the general ones (Howard & Ruder 2018). `replay`: weight
    of batches of the source task, which needs its data set. Two options of every method are on by default.
    `statistics=0`: batch normalization learns, too, and follows the batches, which are few and small on a
    small target, instead of staying as the base has it. `all_layers=0`: the head reads the last layer's
    features alone (the outputs of all layers are a better start, Evci et al. 2022).
    """
    if solved not in (0, 1):
        raise UsageError(f"anchored: solved={solved:g}: expected 0 or 1.")
    terms: list[TermFactory] = [PullToBase(alpha, 0.0)] if alpha else []
    if replay:
        terms.append(Rehearsal(replay, 1.0))
    tuning = Phase(frozen=0, rate=rate, rate_decay=rate_decay, terms=tuple(terms))
    return [Phase(frozen=copy, share=0.0, solve="logistic"), tuning] if solved else [tuning]
