"""The training loop compiled by TensorFlow: many steps per call, one trace for all runs of one shape."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.models import keras_private
from tlcli.training.engines.engine import Measured
from tlcli.training.engines.memory import explain_data_exhaustion, with_smaller_blocks
from tlcli.training.forward import Forward
from tlcli.training.parallel import TRACING
from tlcli.training.step import Step, gather


class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam with TensorFlow's fused kernel: the same arithmetic in one pass over the weights."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        mean, square = keras_private.adam_moments(self, variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(mean),
            v=_handle(square),
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class FusedSGD(keras.optimizers.SGD):
    """Keras's SGD with Nesterov's momentum on TensorFlow's fused kernel."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not (self.momentum and self.nesterov):
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = keras_private.sgd_momentum(self, variable)
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=_handle(variable),
            accum=_handle(momentum),
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=True,
        )


def inference_batch(largest: int) -> int:
    """Images per batch outside training: 500, enough for a GPU or several threads, or fewer large images,
    whose largest activations take 256 MiB.

    One thread is about a seventh faster if the largest activations of a batch stay in its cache. `largest` is
    their size for one image, in bytes.
    """
    set_here = tf.config.threading.get_intra_op_parallelism_threads()
    threads = set_here or os.environ.get("TF_NUM_INTRAOP_THREADS")
    if str(threads) != "1" or tf.config.list_physical_devices("GPU"):
        return int(np.clip((256 << 20) // largest, 1, 500))
    return int(np.clip((4 << 20) // largest, min(50, max(1, (256 << 20) // largest)), 500))


def graph(function: Callable[..., Any]) -> Any:
    """Make a graph function without AutoGraph, which takes a second and is not needed here."""
    return tf.function(function, autograph=False)


def open_shape(tensor: Any, dims: int) -> tf.TensorSpec:
    """The type of an array with open first dimensions."""
    return tf.TensorSpec([None] * dims + tensor.shape[dims:], tensor.dtype)


def plan_specs(plan: dict[str, Any]) -> dict[str, tf.TensorSpec]:
    """The types of the arrays of a plan, for any number of steps and images per step."""
    return {key: open_shape(t, min(2, t.shape.rank)) for key, t in plan.items()}


def _handle(variable: Any) -> Any:
    return variable.handle  # variables of Keras and of TensorFlow both have one


class TensorFlowPredictor:
    """Runs a network outside training as one graph with the loop over batches inside."""

    def __init__(self, forward: Forward) -> None:
        self._network = forward
        self._infer: Any = None
        self._inference_batch = inference_batch(forward.largest)

    def put(self, array: np.ndarray) -> tf.Tensor:
        with explain_data_exhaustion(array):
            return tf.convert_to_tensor(array)

    def outputs(self, x: Any) -> list[tf.Tensor]:
        if self._infer is None:
            specs = tf.TensorSpec([None, *x.shape[1:]], x.dtype), tf.TensorSpec([], tf.int32)
            with TRACING:
                self._infer = graph(self._forward).get_concrete_function(*specs)
        found, self._inference_batch = with_smaller_blocks(
            lambda batch: list(self._infer(x, tf.constant(batch))), self._inference_batch
        )
        return found

    def _forward(self, x: Any, batch: Any) -> list[Any]:
        count = tf.shape(x)[0]
        # Zero images take one step, which gives the outputs' shapes.
        steps = tf.maximum(1, (count + batch - 1) // batch)
        heads = len(self._network.model.outputs)
        found = [tf.TensorArray(tf.float32, size=steps, infer_shape=False) for _ in range(heads)]

        def body(i: Any, *found: Any) -> tuple[Any, ...]:
            inputs = self._network.prepare(x[i * batch : (i + 1) * batch])
            outputs = self._network.outputs(inputs, training=False)
            return i + 1, *(a.write(i, tf.cast(o, tf.float32)) for a, o in zip(found, outputs, strict=True))

        _, *found = tf.while_loop(lambda i, *_: i < steps, body, (0, *found), parallel_iterations=1)
        return [a.concat() for a in found]


class TensorFlowEngine(TensorFlowPredictor):
    """Runs a `Step` as one graph with the loop inside; Keras's variables are changed in place."""

    runs_ahead = False

    def __init__(self, step: Step) -> None:
        super().__init__(step)
        self.step = step
        self.optimizer = step.optimizer(FusedAdam, FusedSGD)
        self.optimizer.build(step.trainable)
        self._first = [v.numpy() for v in self.optimizer.variables]
        decay = step.recipe.ema
        self._average = (
            [tf.Variable(v.value, trainable=False) for v in step.averaged_variables] if decay else []
        )
        self._scales = [step.rate_scales.get(v.path, 1.0) for v in step.trainable]
        self._train: dict[Any, Any] = {}

    def train(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> Measured:
        tensors = {key: tf.convert_to_tensor(value) for key, value in plan.items()}
        losses, right, finite = self._compile(data, tensors)(data, tensors)
        return lambda: (losses.numpy(), right.numpy(), bool(finite))

    def write(self) -> None:
        """Do nothing: the engine trains Keras's variables themselves."""

    read = write

    def swap_average(self) -> None:
        for average, variable in zip(self._average, self.step.averaged_variables, strict=True):
            held = tf.identity(variable.value)
            variable.assign(average)
            average.assign(held)

    def reset(self) -> None:
        for variable, value in zip(self.optimizer.variables, self._first, strict=True):
            variable.assign(value)
        for average, variable in zip(self._average, self.step.averaged_variables, strict=False):
            average.assign(variable.value)

    def state(self) -> dict[str, np.ndarray]:
        return {key: variable.numpy() for key, variable in self._own_state().items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        for key, variable in self._own_state().items():
            variable.assign(state[key])

    def _own_state(self) -> dict[str, Any]:
        named = {f"optimizer/{number:03d}": v for number, v in enumerate(self.optimizer.variables)}
        named.update({f"average/{number:03d}": v for number, v in enumerate(self._average)})
        return named

    def _compile(self, data: dict[str, Any], plan: dict[str, Any]) -> Any:
        """The traced loop for arrays of these types, of any length."""

        specs = {key: open_shape(t, 1) for key, t in data.items()}, plan_specs(plan)
        key = tuple(sorted((k, str(spec)) for part in specs for k, spec in part.items()))
        if key not in self._train:
            with TRACING:
                self._train[key] = graph(self._loop).get_concrete_function(*specs)
        return self._train[key]

    def _loop(self, data: dict[str, Any], plan: dict[str, Any]) -> tuple[Any, Any, Any]:
        steps = tf.shape(plan["learning_rate"])[0]
        losses = tf.TensorArray(tf.float32, size=steps)
        right = tf.TensorArray(tf.float32, size=steps)

        def body(i: Any, losses: Any, right: Any) -> tuple[Any, Any, Any]:
            row = {key: value[i] for key, value in plan.items()}
            loss, correct = self._advance(data, row)
            return i + 1, losses.write(i, loss), right.write(i, correct)

        _, losses, right = tf.while_loop(
            lambda i, *_: i < steps, body, (0, losses, right), parallel_iterations=1
        )
        with tf.control_dependencies([losses.flow]):
            finite = [tf.reduce_all(tf.math.is_finite(v.value)) for v in self.step.averaged_variables]
        return losses.stack(), right.stack(), tf.reduce_all(finite)

    def _advance(self, data: dict[str, Any], row: dict[str, Any]) -> tuple[Any, Any]:
        """Do the step of a row of the plan; returns its cross-entropy and the number right."""
        batch, variables = self.step.prepare_batch(gather(data, row)), self.step.trainable
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            total, cross_entropy, right = self.step.loss(batch)
        gradients = tape.gradient(total, [v.value for v in variables])
        self.optimizer.learning_rate.assign(row["learning_rate"])
        pairs = zip(variables, self._scales, strict=True)
        before = [tf.identity(v.value) if scale != 1 else None for v, scale in pairs]
        self.optimizer.apply(gradients, variables)
        for v, old, scale in zip(variables, before, self._scales, strict=True):
            if old is not None:
                v.assign(old + scale * (v.value - old))
        self._follow()
        return cross_entropy, right

    def _follow(self) -> None:
        """Update the average: quickly at the start, when there is little to average, slowly later."""
        if not self._average:
            return
        step = tf.cast(self.optimizer.iterations.value, tf.float32)
        decay = tf.minimum(self.step.recipe.ema, (1.0 + step) / (10.0 + step))
        for average, v in zip(self._average, self.step.averaged_variables, strict=True):
            average.assign(decay * average + (1.0 - decay) * v.value)
