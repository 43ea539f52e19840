"""L2-SP: fine-tuning with a pull towards the base's weights (Li, Grandvalet & Davoine, ICML 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlcli.training.methods import Context, Phase, TermFactory, method

if TYPE_CHECKING:
    from tlcli.training.step import Term


@dataclass(frozen=True)
class PullToBase(TermFactory):
    """alpha/2 |w - w_base|^2 over copied kernels + beta/2 |w|^2 over the kernels that are new."""

    alpha: float
    beta: float

    def term(self, context: Context) -> Term:
        from keras import ops

        from tlcli.models.network import is_kernel, variables

        changing = {id(v) for v in context.trainable}
        kernels = {
            key: v
            for key, v in variables(context.network.model).items()
            if id(v) in changing and is_kernel(key)
        }
        pulled = [(v, context.base.weights[key]) for key, v in kernels.items() if context.is_copied(key)]
        new = [v for key, v in kernels.items() if not context.is_copied(key)]

        def penalty(outputs: list[Any], batch: dict[str, Any]) -> Any:
            pull = sum(ops.sum(ops.square(v - reference)) for v, reference in pulled)
            decay = sum(ops.sum(ops.square(v)) for v in new)
            return 0.5 * self.alpha * pull + 0.5 * self.beta * decay

        return penalty


@method("l2-sp", "fine-tuning with a pull towards the base's weights (Li et al. 2018)")
def l2_sp(copy: int, freeze: int, *, alpha: float = 0.01, beta: float = 0.01) -> list[Phase]:
    """`alpha` is the strength of the pull to the base, `beta` that of the decay of new weights.

    Both are terms of the loss, as in the article, so that Adam scales them like every gradient. The recipe's
    own weight decay is added.
    """
    return [Phase(frozen=0, terms=(PullToBase(alpha, beta),))]
