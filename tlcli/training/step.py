"""One training step, written once against `keras.ops`: what a batch is, and what is minimised."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from tlcli.training import augment
from tlcli.training.recipe import Recipe

Batch = dict[str, Any]


class Term(Protocol):
    """Something added to the loss: it sees the model's outputs and the batch, and gives a scalar."""

    def __call__(self, outputs: list[Any], batch: Batch) -> Any: ...


@dataclass
class Step:
    """A model, the variables that a training may change, and the loss.

    The data of a training are arrays by name, all gathered by the same indices: `x` (uint8 images or
    float32 features), `y` (int64), and whatever a term needs (`teacher`). A name that ends in `_source`
    belongs to a second stream with its own indices: the replayed source task.
    """

    model: keras.Model
    trainable: list[Any]
    mean: np.ndarray
    std: np.ndarray
    recipe: Recipe
    terms: list[Term] = field(default_factory=list)
    rate_scales: dict[str, float] = field(default_factory=dict)
    """By variable path: factor on the learning rate (discriminative learning rates)."""
    largest: int = 0
    """Bytes of an image's largest activation, which sets the batches outside training; 0: of this model."""

    def __post_init__(self) -> None:
        if not self.largest:
            shapes = [layer.output.shape[1:] for layer in self.model.layers[1:]]
            self.largest = 4 * max(int(np.prod(shape)) for shape in shapes)
        self.augmentation = self.recipe.augmentation()
        normalizations = [m for m in self.model.layers if isinstance(m, keras.layers.BatchNormalization)]
        moving = [m for m in normalizations if m.trainable]  # a frozen one keeps its statistics
        self.statistics = [v for m in moving for v in (m.moving_mean, m.moving_variance)]
        inputs = self.model.inputs[0].shape
        self.takes_images = len(inputs) == 4 and self.model.layers[0].name == "images"
        if self.takes_images:
            # (pixel / 255 - mean) / std in two passes, and as large as an image: a broadcast along three
            # channels takes TensorFlow ten times as long as one along the images.
            std = np.broadcast_to(self.std.astype(np.float64), inputs[1:])
            self._scale = (1 / (255 * std)).astype(np.float32)
            self._shift = (self.mean / std).astype(np.float32)

    @property
    def averaged(self) -> list[Any]:
        """What a weight average averages: the weights and the moving statistics that belong to them.

        Weights that shrink are longer in their average than they are; statistics of the same steps fit it.
        """
        return self.trainable + self.statistics

    def optimizer(
        self,
        adam: type[keras.optimizers.Adam] = keras.optimizers.Adam,
        sgd: type[keras.optimizers.SGD] = keras.optimizers.SGD,
    ) -> keras.optimizers.Optimizer:
        """A new optimizer; weight decay is decoupled and touches kernels only.

        An engine may pass its own, faster classes for the two. AdamW is Adam with decoupled decay, which is
        the only kind there is here.
        """
        r = self.recipe
        decay = r.weight_decay or None
        if r.optimizer == "sgd":
            made = sgd(float(r.rate), momentum=r.momentum, nesterov=r.momentum > 0, weight_decay=decay)
        else:
            made = adam(float(r.rate), weight_decay=decay)
        if r.weight_decay:
            made.exclude_from_weight_decay([v for v in self.trainable if v.name != "kernel"])
        made.build(self.trainable)
        return made

    def prepare(self, x: Any) -> Any:
        """uint8 pixels to standardised float32; features pass through."""
        if not self.takes_images:
            return x
        return ops.cast(x, "float32") * self._scale - self._shift

    def outputs(self, x: Any, training: bool) -> list[Any]:
        """The model's outputs on prepared inputs: the target's logits first."""
        outputs = self.model(x, training=training)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def presented(self, batch: Batch) -> Batch:
        """A batch as the loss takes it: `x` standardised and augmented, and `target`, the probability of
        each class (smoothed and mixed as the recipe says), beside `y`. What was drawn is used up.
        """
        plan = {key: value for key, value in batch.items() if key in augment.DRAWN}
        made = {key: value for key, value in batch.items() if key not in plan}
        made["x"] = self.prepare(batch["x"])
        if plan:
            made["x"] = augment.apply(made["x"], plan, self.augmentation, self.mean, self.std)
        made["target"] = self._target(batch)
        return made

    def loss(self, batch: Batch) -> tuple[Any, Any, Any]:
        """Loss to minimise, cross-entropy alone, and how many of a presented batch are classified right."""
        x, labels = batch["x"], batch["y"]
        size = ops.shape(x)[0]
        if "x_source" in batch:
            x = ops.concatenate([x, self.prepare(batch["x_source"])], axis=0)
        everything = self.outputs(x, training=True)
        logits = everything[0][:size]
        cross_entropy = -ops.mean(ops.sum(batch["target"] * ops.log_softmax(logits, axis=-1), axis=-1))
        answers = ops.argmax(logits, axis=-1)
        right = ops.sum(ops.cast(ops.equal(answers, ops.cast(labels, answers.dtype)), "float32"))
        total = cross_entropy
        for term in self.terms:
            total = total + term(everything, batch)
        return total, cross_entropy, right

    def _target(self, batch: Batch) -> Any:
        classes = self.model.outputs[0].shape[-1]
        target = ops.one_hot(batch["y"], classes, dtype="float32")
        if "partner" in batch:
            weight = ops.expand_dims(batch["weight"], 1)
            target = weight * target + (1 - weight) * ops.take(target, batch["partner"], axis=0)
        if self.recipe.label_smoothing:
            target = target * (1 - self.recipe.label_smoothing) + self.recipe.label_smoothing / classes
        return target


def split_plan(key: str) -> bool:
    """Does a name of a plan hold indices (and not what is done to the batch)?"""
    return key in ("index", "index_source")


def gather(data: dict[str, Any], row: dict[str, Any]) -> Batch:
    """The batch that one row of a plan means."""
    batch = {key: value for key, value in row.items() if not split_plan(key) and key != "learning_rate"}
    for key, array in data.items():
        index = row["index_source" if key.endswith("_source") else "index"]
        batch[key] = ops.take(array, index, axis=0)
    return batch
