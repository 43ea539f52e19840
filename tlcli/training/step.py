"""One training step, written once with `keras.ops`: the batch and the loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import keras
from keras import ops

from tlcli.models import network as net
from tlcli.training import augment
from tlcli.training.forward import Forward
from tlcli.training.recipe import Recipe

Batch = dict[str, Any]


class Term(Protocol):
    """A term of the loss: a function of the model's outputs and the batch that gives a scalar."""

    def __call__(self, outputs: list[Any], batch: Batch) -> Any: ...


@dataclass(kw_only=True)
class Step(Forward):
    """A model, the variables that a training may change, and the loss.

    The data of a training are arrays by name with common indices: `x` (uint8 images or float32 features), `y`
    (int64), and arrays for a term (`teacher`). Names that end in `_source` are of a second stream with its
    own indices, the replayed source task.
    """

    trainable: list[Any]
    recipe: Recipe
    terms: list[Term] = field(default_factory=list)
    rate_scales: dict[str, float] = field(default_factory=dict)
    """Factors on the learning rate, by variable path (discriminative learning rates)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.augmentation = self.recipe.augmentation()
        normalizations = [m for m in self.model.layers if isinstance(m, keras.layers.BatchNormalization)]
        moving = [m for m in normalizations if m.trainable]  # a frozen one keeps its statistics
        self.statistics = [v for m in moving for v in (m.moving_mean, m.moving_variance)]
        self.kernels = [v for v in self.trainable if net.is_kernel(v.name)]

    @property
    def averaged_variables(self) -> list[Any]:
        """The variables that a weight average includes: the weights and their moving statistics.

        The average of shrinking weights is larger than the last weights; statistics of the same steps fit it.
        """
        return self.trainable + self.statistics

    def optimizer(
        self,
        adam: type[keras.optimizers.Adam] = keras.optimizers.Adam,
        sgd: type[keras.optimizers.SGD] = keras.optimizers.SGD,
    ) -> keras.optimizers.Optimizer:
        """A new optimizer, not built yet; weight decay is decoupled and touches kernels only.

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
            made.exclude_from_weight_decay([v for v in self.trainable if not net.is_kernel(v.name)])
        return made

    def prepare_batch(self, batch: Batch) -> Batch:
        """The batch for the loss: `x` standardised and augmented, and, beside `y`, `target`, the probability
        of each class (smoothed and mixed as the recipe says). It leaves the draws out.
        """
        plan = {key: value for key, value in batch.items() if key in augment.DRAWN}
        made = {key: value for key, value in batch.items() if key not in plan}
        made["x"] = self.prepare(batch["x"])
        if plan:
            made["x"] = augment.apply(made["x"], plan, self.augmentation, self.mean, self.std)
        made["target"] = self._target(batch)
        return made

    def loss(self, batch: Batch) -> tuple[Any, Any, Any]:
        """The loss to minimise, the cross-entropy, and the number of images of the batch classified right."""
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
        if self.recipe.l2:
            total = total + self.recipe.l2 * sum(ops.sum(ops.square(v)) for v in self.kernels)
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


INDICES = ("index", "index_source")
"""The names in a plan that hold numbers of images; the others hold changes to the batch."""


def gather(data: dict[str, Any], row: dict[str, Any]) -> Batch:
    """The batch of one row of a plan: its images, and the draws for them."""
    batch = {key: value for key, value in row.items() if key not in INDICES and key != "learning_rate"}
    return batch | {key: ops.take(array, row[index_name(key)], axis=0) for key, array in data.items()}


def index_name(key: str) -> str:
    """The name of the indices in a plan for an array of the data."""
    return "index_source" if key.endswith("_source") else "index"
