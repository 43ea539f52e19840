"""Linear probes solved for directly: no steps, no learning rate."""

from __future__ import annotations

from tlcli.training.methods import Phase, method


@method("ridge", "a linear head by ridge regression on the features, penalty by cross-validation")
def ridge(copy: int, freeze: int) -> list[Phase]:
    return [Phase(frozen=copy, solve="ridge")]


@method("logistic", "a linear head by logistic regression on the features, penalty by cross-validation")
def logistic(copy: int, freeze: int) -> list[Phase]:
    return [Phase(frozen=copy, solve="logistic")]
