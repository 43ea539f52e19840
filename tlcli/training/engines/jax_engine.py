"""The training loop compiled by JAX: a scan over the steps, the state passed in and out."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tlcli.training.step import Step, gather

INFERENCE_BATCH = 500


class JaxEngine:
    """Runs a `Step` with `jax.lax.scan`; Keras's variables are read before a call and set after it."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.optimizer = step.optimizer()
        self._first = [np.asarray(v.value) for v in self.optimizer.variables]
        changing = {id(v) for v in step.trainable}
        self._others = [v for v in step.model.variables if id(v) not in changing]
        statistics = {id(v) for v in step.statistics}
        self._statistics = [number for number, v in enumerate(self._others) if id(v) in statistics]
        self._average = (
            [keras.Variable(v.value, trainable=False, name=v.name) for v in step.averaged]
            if step.recipe.ema
            else []
        )
        places = [id(v) for v in self.optimizer.variables]
        self._rate = places.index(id(self.optimizer._learning_rate))
        self._train = jax.jit(self._scan)
        self._forward = jax.jit(self._outputs)

    def put(self, array: np.ndarray) -> jax.Array:
        return jnp.asarray(array)

    def train(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        state = self._state()
        state, (losses, right) = self._train(state, data, {k: jnp.asarray(v) for k, v in plan.items()})
        for variables, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return np.asarray(losses), np.asarray(right)

    def outputs(self, x: Any) -> list[jax.Array]:
        weights = [v.value for v in self.step.model.variables]
        blocks = [x[start : start + INFERENCE_BATCH] for start in range(0, len(x), INFERENCE_BATCH)]
        found = [self._forward(weights, block) for block in blocks]
        return [jnp.concatenate(parts) for parts in zip(*found, strict=True)]

    def variables(self) -> dict[str, Any]:
        named = {f"optimizer/{number:03d}": v for number, v in enumerate(self.optimizer.variables)}
        named.update({f"average/{number:03d}": v for number, v in enumerate(self._average)})
        return named

    def reset(self) -> None:
        for variable, value in zip(self.optimizer.variables, self._first, strict=True):
            variable.assign(value)
        for average, variable in zip(self._average, self.step.averaged, strict=False):
            average.assign(variable.value)

    def _variables(self) -> tuple[list[Any], ...]:
        return self.step.trainable, self._others, self.optimizer.variables, self._average

    def _state(self) -> tuple[list[Any], ...]:
        return tuple([v.value for v in variables] for variables in self._variables())

    def _scan(self, state: Any, data: dict[str, Any], plan: dict[str, Any]) -> Any:
        def one(carry: Any, row: dict[str, Any]) -> Any:
            return self._one(carry, self.step.presented(gather(data, row)), row)

        return jax.lax.scan(one, state, plan)

    def _one(self, state: Any, batch: dict[str, Any], row: dict[str, Any]) -> Any:
        trainable, others, optimizer, average = state

        def loss(trainable: list[Any]) -> Any:
            mapping = [
                *zip(self.step.trainable, trainable, strict=True),
                *zip(self._others, others, strict=True),
            ]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                total, cross_entropy, right = self.step.loss(batch)
            after = [scope.get_current_value(v) for v in self._others]
            kept = [new if new is not None else old for new, old in zip(after, others, strict=True)]
            return total, (cross_entropy, right, kept)

        gradients, (cross_entropy, right, others) = jax.grad(loss, has_aux=True)(trainable)
        optimizer = list(optimizer)
        optimizer[self._rate] = row["learning_rate"]
        moved, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        scales = [self.step.rate_scales.get(v.path, 1.0) for v in self.step.trainable]
        moved = [
            old + s * (new - old) if s != 1 else new
            for old, new, s in zip(trainable, moved, scales, strict=True)
        ]
        if average:
            step = optimizer[0].astype("float32")
            decay = jnp.minimum(self.step.recipe.ema, (1.0 + step) / (10.0 + step))
            present = [*moved, *(others[number] for number in self._statistics)]
            average = [decay * a + (1.0 - decay) * v for a, v in zip(average, present, strict=True)]
        return (moved, others, optimizer, average), (cross_entropy, right)

    def _outputs(self, weights: list[Any], x: Any) -> list[Any]:
        mapping = list(zip(self.step.model.variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            outputs = self.step.outputs(self.step.prepare(x), training=False)
        return [output.astype("float32") for output in outputs]
