"""LP-FT: first the head alone, then everything (Kumar et al., ICLR 2022)."""

from __future__ import annotations

from tlcli.errors import UsageError
from tlcli.training.methods import Phase, method


@method("lp-ft", "first the new layers alone, then everything (Kumar et al. 2022)")
def lp_ft(copy: int, freeze: int, *, probe: float = 0.5, rate: float = 1.0) -> list[Phase]:
    """`probe` is the share of the samples spent on the head, `rate` the second phase's factor.

    `probe=0` solves for the head, as in the article (logistic regression on the features, with a penalty
    chosen on held-out training images). The head is then at its optimum and takes no samples from the second
    phase. The history counts every training image once for it.
    """
    if probe >= 1:
        raise UsageError(
            f"`probe`: received {probe:g}, expected below 1: the second phase needs samples, too."
        )
    first = Phase(frozen=copy, share=probe) if probe else Phase(frozen=copy, share=0.0, solve="logistic")
    return [first, Phase(frozen=0, share=1 - probe, rate=rate)]
