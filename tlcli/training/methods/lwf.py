"""LwF: learning without forgetting, by distillation from the base (Li & Hoiem, ECCV 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlcli.errors import UsageError
from tlcli.training.methods import Context, Phase, TermFactory, method

if TYPE_CHECKING:
    from tlcli.training.step import Term


@dataclass(frozen=True)
class Distillation(TermFactory):
    """weight * KL between the base's softened answers, recorded beforehand, and the source head's.

    Li & Hoiem minimise the cross-entropy of the two, which has the same gradient, without the factor T^2 of
    Hinton et al. (2015).
    """

    weight: float
    temperature: float
    needs_source_head = True
    needs_teacher = True

    def term(self, context: Context) -> Term:
        from keras import ops

        def distillation(outputs: list[Any], batch: dict[str, Any]) -> Any:
            t = self.temperature
            student = ops.log_softmax(outputs[1][: ops.shape(batch["teacher"])[0]] / t, axis=-1)
            teacher = ops.softmax(batch["teacher"] / t, axis=-1)
            divergence = ops.sum(teacher * (ops.log(teacher + 1e-12) - student), axis=-1)
            return self.weight * ops.mean(divergence)

        return distillation


@method("lwf", "fine-tuning, distilling from the base on the target's images (Li & Hoiem 2016)")
def lwf(copy: int, freeze: int, *, weight: float = 1.0, temperature: float = 2.0) -> list[Phase]:
    """`weight` of the distillation (lambda_o of the article) at `temperature` T: softmax(logits / T).

    Unlike the article, there is no first phase for the new head alone, and the base's logits are those of the
    images without augmentation, recorded once, even if the network sees augmented images.
    """
    if not temperature:
        raise UsageError("lwf: temperature=0 is out of range; expected above 0.")
    return [Phase(frozen=0, terms=(Distillation(weight, temperature),))]
