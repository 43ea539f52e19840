"""Measure how accurate a network still is on the source task, with the base's head and with a new one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from tlcli.models.network import HEAD
from tlcli.store.records import Checkpoint, Dataset
from tlcli.training.embedding import rebuild
from tlcli.training.inference import Inference
from tlcli.training.parallel import TRACING
from tlcli.training.solved import Problem, ridge


@dataclass(frozen=True)
class SourceAccuracy:
    """Accuracies of one network on the source's test part, 0...1; None where they were not measured."""

    accuracy: float | None = None
    """With the base's head."""
    refitted: float | None = None
    """With a head fitted anew to the features."""


class SourceTask:
    """The source task, on which the networks of a grid are measured.

    The base's head no longer fits features that have moved, even where they tell the classes apart as well as
    before. A head fitted anew does fit: what it has lost is lost from the features. It is solved for by ridge
    regression on all source training images, its penalty chosen on some of them that are held out.

    Args:
        dataset: Its classes are those of the base.
        base: The base of the networks.
        refit: Fit a new head too. It takes a pass over all source training images for each network.
        precision: The precision of the base, `float32` or `mixed`.
        seed: The seed of the images that are held out for the penalty.
    """

    def __init__(
        self, dataset: Dataset, base: Checkpoint, *, refit: bool = False, precision: str, seed: int
    ) -> None:
        self._dataset, self._base, self._refit = dataset, base, refit
        self._precision, self._seed = precision, seed

    @cached_property
    def before(self) -> SourceAccuracy:
        """The accuracies of the base itself."""
        return self.measure(self.inference(rebuild(self._base, self._precision).model, HEAD))

    def inference(self, model: keras.Model, head: str) -> Inference:
        """The outputs that `measure` needs: the logits of a model's layer `head`, and with `refit` the
        features that the layer takes."""
        layer, base = model.get_layer(head), self._base
        outputs = [layer.output, layer.input] if self._refit else [layer.output]
        with TRACING:
            measured = keras.Model(model.inputs, outputs)
        return Inference(measured, base.mean, base.std, base.channel_order)

    def measure(self, infer: Inference) -> SourceAccuracy:
        """The accuracies of a network as its weights are now."""
        test = self._dataset.test
        logits, *features = infer(test.images)
        accuracy = _share_right(logits, test.labels)
        if not self._refit:
            return SourceAccuracy(accuracy, None)
        train = self._dataset.train
        _, known = infer(train.images)
        problem = Problem(_rows(known)[None], train.labels, self._dataset.classes, self._seed)
        head = ridge(problem)
        return SourceAccuracy(
            accuracy, _share_right(_rows(features[0]) @ head.kernel + head.bias, test.labels)
        )


def _rows(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), -1)


def _share_right(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == labels).mean())
