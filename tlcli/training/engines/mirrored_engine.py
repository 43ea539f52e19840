"""One training on several devices of a machine: each batch is shared out, the gradients are added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.models.network import seed_states
from tlcli.training.engines.tensorflow_engine import TensorFlowEngine, graph, plan_specs
from tlcli.training.parallel import TRACING
from tlcli.training.step import Step, gather

_SEED_STRIDE = 1_000_003
"""Between the dropout seeds of two devices."""


@contextmanager
def mirrored(devices: Sequence[str] | None, batch: int) -> Iterator[int]:
    """The scope of a `tf.distribute.MirroredStrategy` where there are several devices, else none."""
    if devices is None:
        devices = [f"GPU:{n}" for n in range(len(tf.config.list_logical_devices("GPU")))]
    devices = tuple(devices)[:batch]
    if len(devices) < 2:
        yield 1
        return
    with _strategy(devices).scope():
        yield len(devices)


@lru_cache
def _strategy(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One for all trainings of a process: two would number their messages alike, and mix them up."""
    return tf.distribute.MirroredStrategy(devices)


class MirroredEngine(TensorFlowEngine):
    """Runs a `Step` whose variables were made in the scope of a `tf.distribute.MirroredStrategy`.

    Every device augments the whole batch, in which mixup may pair images of two shares, and trains on its
    share. Gradients of the shares, weighted by their sizes, add up to the gradient of the batch, so that an
    update is that of one device but for rounding. Two things differ: batch normalization normalises each
    share by itself (its moving statistics are averaged after every step), and dropout draws on each device.

    The loss must be a mean over the batch, as it is without terms: this is for bases.
    """

    def __init__(self, step: Step) -> None:
        self.strategy = tf.distribute.get_strategy()
        super().__init__(step)
        self._seeds = list(seed_states(step.model).values())

    def put(self, array: np.ndarray) -> tf.Variable:
        """A copy on every device: a variable, since what is read in a loop would be sent anew each time."""
        with self.strategy.scope():
            return tf.Variable(array, trainable=False)

    def train(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        tensors = {key: tf.convert_to_tensor(value) for key, value in plan.items()}
        key = tuple((name, id(variable)) for name, variable in data.items())
        if key not in self._train:
            with TRACING:
                loop = graph(partial(self._loop, data))
                self._train[key] = loop.get_concrete_function(plan_specs(tensors))
        losses, right = self._train[key](tensors)
        return losses.numpy(), right.numpy()

    def outputs(self, x: Any) -> list[tf.Tensor]:
        self._infer = self._infer or {}
        if id(x) not in self._infer:
            with TRACING:
                self._infer[id(x)] = graph(partial(self._shared_forward, x)).get_concrete_function()
        return list(self._infer[id(x)]())

    def _advance(self, data: dict[str, Any], row: dict[str, Any]) -> tuple[Any, Any]:
        found = self.strategy.run(self._share, (data, row))
        cross_entropy, right = (self.strategy.reduce("SUM", value, axis=None) for value in found)
        return cross_entropy, right

    def _share(self, data: dict[str, Any], row: dict[str, Any]) -> tuple[Any, Any]:
        """On one device: the step on its share of the batch."""
        batch = self.step.presented(gather(data, row))
        size = tf.shape(batch["y"])[0]
        first, last = self._bounds(size)
        weight = tf.cast(last - first, tf.float32) / tf.cast(size, tf.float32)
        offset = np.array([_SEED_STRIDE * _replica(), 0])
        for seed in self._seeds:
            seed.assign_add(offset)
        own = {key: value[first:last] for key, value in batch.items()}
        cross_entropy, right = self._one(own, row["learning_rate"], weight)
        for seed in self._seeds:  # the same everywhere between the steps, when it is saved
            seed.assign_sub(offset)
        self._average_statistics()
        self._follow()
        return weight * cross_entropy, right

    def _average_statistics(self) -> None:
        statistics = self.step.statistics
        if not statistics:
            return
        own = [tf.convert_to_tensor(v.value) for v in statistics]
        averaged = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, own)
        for variable, value in zip(statistics, averaged, strict=True):
            variable.assign(value)

    def _shared_forward(self, x: Any) -> list[Any]:
        found = self.strategy.run(self._forward_share, (x,))
        return [tf.concat(self.strategy.experimental_local_results(output), axis=0) for output in found]

    def _forward_share(self, x: Any) -> list[Any]:
        first, last = self._bounds(x.shape[0])
        return self._forward(x[first:last], self._inference_batch)

    def _bounds(self, size: Any) -> tuple[Any, Any]:
        """Where this device's share of so many images begins and ends."""
        devices, number = self.strategy.num_replicas_in_sync, _replica()
        return size * number // devices, size * (number + 1) // devices


def _replica() -> int:
    """The number of the device that is being traced."""
    return int(tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group))
