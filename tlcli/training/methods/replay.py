"""Replay: batches of the source task mixed in (rehearsal; Robins 1995)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlcli.errors import UsageError
from tlcli.training.methods import Context, Phase, TermFactory, method

if TYPE_CHECKING:
    from tlcli.training.step import Term


@dataclass(frozen=True)
class Rehearsal(TermFactory):
    """weight * cross-entropy of the source head on `share` times as many images of the source task."""

    weight: float
    share: float
    needs_source_head = True

    @property
    def source_share(self) -> float:  # type: ignore[override]
        return self.share

    def term(self, context: Context) -> Term:
        from keras import ops

        def rehearsal(outputs: list[Any], batch: dict[str, Any]) -> Any:
            labels = batch["y_source"]
            logits = outputs[1][-ops.shape(labels)[0] :]
            target = ops.one_hot(labels, logits.shape[-1], dtype="float32")
            return -self.weight * ops.mean(ops.sum(target * ops.log_softmax(logits, axis=-1), axis=-1))

        return rehearsal


@method("replay", "fine-tuning with batches of the source task mixed in (needs `source`)")
def replay(copy: int, freeze: int, *, weight: float = 1.0, share: float = 1.0) -> list[Phase]:
    """`weight` of the source task, `share` of its images beside those of the target in each batch.

    They come on top of the samples that a run counts, are not augmented, and pass batch normalization
    together with the target's.
    """
    if not share:
        raise UsageError("replay: share=0 mixes nothing in; expected above 0.")
    return [Phase(frozen=0, terms=(Rehearsal(weight, share),))]
