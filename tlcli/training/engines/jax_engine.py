"""The training loop compiled by JAX: one program for all lengths, its state kept on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tlcli.models import keras_private
from tlcli.training.engines.engine import Measured
from tlcli.training.engines.memory import explain_data_exhaustion, with_smaller_blocks
from tlcli.training.engines.program_cache import keep_programs
from tlcli.training.forward import Forward
from tlcli.training.step import INDICES, Step, index_name

keep_programs()

BLOCK, SMALL_BLOCK = 512, 128
"""Images per call outside training; the small block is for few images."""
STEPS = 512
"""The most steps per call. Arrays have this length; the number of steps is an argument."""
BYTES = 256 << 20
"""The most bytes of images per call, and of the largest activations outside training."""
NO_BATCH = (*INDICES, "learning_rate")

AHEAD = 8
"""The most steps that a CPU has waiting: each holds the memory of its activations from the call on."""

LOOPED: bool | None = None
"""Whether one call does many steps; None: on a GPU. XLA's convolutions are five times slower in a loop on a
CPU."""

State = tuple[list[Any], list[Any], list[Any], list[Any]]
"""Trained variables, the model's others, the optimizer's, the average."""
Waits = Callable[[], list[np.ndarray]]
"""A function that waits for steps and gives the losses and numbers right of some calls: 2 x steps each."""


class JaxPredictor:
    """Runs a network outside training, compiled once for each size of a block."""

    def __init__(self, forward: Forward, devices: int = 1) -> None:
        self._network = forward
        self._mesh = Mesh(jax.local_devices()[:devices], "batch") if devices > 1 else None
        self._forward = jax.jit(self._outputs)
        self._most: int | None = None
        """Images per block that fit into memory, after larger blocks did not."""

    def put(self, array: np.ndarray) -> jax.Array:
        with explain_data_exhaustion(array):
            return jax.device_put(array, self._everywhere)

    def outputs(self, x: Any) -> list[jax.Array]:
        block = BLOCK if len(x) > 3 * SMALL_BLOCK else SMALL_BLOCK
        most = max(1, BYTES // self._network.largest) if self._most is None else self._most
        found, taken = with_smaller_blocks(partial(self._in_blocks, x), min(block, most))
        if taken < min(block, most):
            self._most = taken
        return found

    def _in_blocks(self, x: Any, block: int) -> list[jax.Array]:
        starts = range(0, max(1, len(x)), block)
        found = [self._forward(self._weights(), _slice(x, start, block)) for start in starts]
        joined = [_join(parts, len(x)) for parts in zip(*found, strict=True)]
        return joined if jax.default_backend() == "cpu" else jax.block_until_ready(joined)

    def _weights(self) -> list[Any]:
        return [v.value for v in self._variables()]

    def _variables(self) -> list[Any]:
        """The variables in the order of `_weights`."""
        return list(self._network.model.variables)

    @property
    def _everywhere(self) -> NamedSharding | None:
        return NamedSharding(self._mesh, PartitionSpec()) if self._mesh else None

    def _sharding(self, rank: int, axis: int) -> NamedSharding | None:
        """The sharding of an array over the devices along the axis of its images."""
        spec = PartitionSpec(*[None] * axis, "batch") if axis < rank else PartitionSpec()
        return NamedSharding(self._mesh, spec) if self._mesh else None

    def _outputs(self, weights: list[Any], x: Any) -> list[Any]:
        if self._mesh:
            x = lax.with_sharding_constraint(x, self._sharding(x.ndim, 0))
        with keras.StatelessScope(list(zip(self._variables(), weights, strict=True))):
            outputs = self._network.outputs(self._network.prepare(x), training=False)
        return [output.astype("float32") for output in outputs]


@partial(jax.jit, static_argnames="block")
def _slice(x: Any, start: int, block: int) -> Any:
    """A block of images from `start`. The last block ends with the last image; zeros fill a block of
    fewer."""
    if len(x) < block:
        x = jnp.pad(x, [(0, block - len(x))] + [(0, 0)] * (x.ndim - 1))
    return lax.dynamic_slice_in_dim(x, start, block)


@partial(jax.jit, static_argnames="size")
def _join(blocks: tuple[Any, ...], size: int) -> Any:
    """Join the outputs of all blocks; the last block ends with the last image."""
    *before, last = blocks
    left = size - sum(map(len, before))
    return jnp.concatenate([*before, last[len(last) - left :] if before else last[:left]])


@jax.jit
def _gather(data: dict[str, Any], index: dict[str, Any]) -> dict[str, Any]:
    return {key: jnp.take(x, index[index_name(key)], axis=0) for key, x in data.items()}


@jax.jit
def _copy(values: Any) -> Any:
    return jax.tree.map(jnp.copy, values)


class JaxEngine(JaxPredictor):
    """Runs a `Step`. The steps change a state of the engine, copied from and to Keras's variables."""

    def __init__(self, step: Step, devices: int = 1) -> None:
        super().__init__(step, devices)
        self.step = step
        self._changing = {id(v) for v in step.trainable}
        self._others = [v for v in step.model.variables if id(v) not in self._changing]
        places = {id(v): number for number, v in enumerate(self._others)}
        self._statistics = [places[id(v)] for v in step.statistics]
        self.optimizer = step.optimizer()
        with keras_private.initialize_with_numpy():
            self.optimizer.build(step.trainable)
        self._first = [np.asarray(v.value) for v in self.optimizer.variables]
        names = [id(v) for v in self.optimizer.variables]
        self._rate = names.index(id(keras_private.rate_variable(self.optimizer)))
        self._state: State | None = None
        self._own: tuple[list[Any], list[Any]] = self._first, []
        self._looped = jax.default_backend() != "cpu" if LOOPED is None else LOOPED
        self.runs_ahead = self._looped
        compiled = partial(jax.jit, donate_argnums=0, out_shardings=self._everywhere)
        self._loop, self._step = compiled(self._steps), compiled(self._one)
        self._finite = jax.jit(self._all_finite)

    def train(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> Measured:
        advance = self._train_in_loop if self._looped else self._train_one_by_one
        measured = advance(data, plan)
        finite = self._finite(self._state)

        def read() -> tuple[np.ndarray, np.ndarray, bool]:
            losses, right = (np.concatenate(column) for column in zip(*measured(), strict=True))
            return losses, right, bool(finite)

        return read

    def _train_one_by_one(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> Waits:
        found = []
        data = {key: np.asarray(x) for key, x in data.items()}  # numpy gathers faster than XLA on a CPU
        for number, rate in enumerate(plan["learning_rate"]):
            batch = {key: value[number] for key, value in plan.items() if key not in NO_BATCH}
            for key, x in data.items():
                batch[key] = x[plan[index_name(key)][number]]
            self._state, measured = self._step(self._take_state(), self._place(batch, 0), rate)
            found.append(measured)
            if number >= AHEAD:
                jax.block_until_ready(found[number - AHEAD])
        return lambda: [np.array(jax.device_get(found), np.float32).T]

    def _train_in_loop(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> Waits:
        most, found = self._capacity(data, plan), []
        for start in range(0, len(plan["learning_rate"]), most):
            rows = {key: value[start : start + most] for key, value in plan.items()}
            count = len(rows["learning_rate"])
            rows = {key: _pad(value, most) for key, value in rows.items()}
            index = {key: value.astype(np.int32) for key, value in rows.items() if key in INDICES}
            drawn = {key: value for key, value in rows.items() if key not in NO_BATCH}
            batches = self._place(_gather(data, index) | drawn, 1)
            self._state, measured = self._loop(self._take_state(), batches, rows["learning_rate"], count)
            found.append((count, measured))
        return lambda: [np.array(jax.device_get(both))[:, :count] for count, both in found]

    def write(self) -> None:
        if self._state is None:
            return
        trained, others = _copy(self._state[:2])
        for variables, values in ((self.step.trainable, trained), (self._others, others)):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def read(self) -> None:
        if self._state is not None:
            self._own = _copy(self._state[2:])
            self._state = None

    def swap_average(self) -> None:
        trained, others, optimizer, average = self._take_state()
        count, others = len(trained), list(others)
        held = [*trained, *(others[place] for place in self._statistics)]
        for place, value in zip(self._statistics, average[count:], strict=True):
            others[place] = value
        self._state = average[:count], others, optimizer, held

    def reset(self) -> None:
        self._state = None
        average = [v.value for v in self.step.averaged_variables] if self.step.recipe.ema else []
        self._own = self._first, average

    def state(self) -> dict[str, np.ndarray]:
        optimizer, average = jax.device_get(self._own if self._state is None else self._state[2:])
        named = {f"optimizer/{number:03d}": value for number, value in enumerate(optimizer)}
        return named | {f"average/{number:03d}": value for number, value in enumerate(average)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._state = None
        optimizer, average = self._own
        self._own = (
            [state[f"optimizer/{number:03d}"] for number in range(len(optimizer))],
            [state[f"average/{number:03d}"] for number in range(len(average))],
        )

    def _weights(self) -> list[Any]:
        return super()._weights() if self._state is None else [*self._state[0], *self._state[1]]

    def _variables(self) -> list[Any]:
        return [*self.step.trainable, *self._others]

    def _take_state(self) -> State:
        """Take the state for the next step. The step consumes its arrays, so none may belong to Keras,
        too."""
        if self._state is None:
            present = [[v.value for v in group] for group in (self.step.trainable, self._others)]
            self._state = tuple(_copy((*present, *self._own)))
            if self._mesh:
                self._state = jax.device_put(self._state, self._everywhere)
        assert self._state is not None
        return self._state

    def _capacity(self, data: dict[str, Any], plan: dict[str, np.ndarray]) -> int:
        """The number of steps in the arrays of a call, the same for all calls of one training."""
        images = (plan[index_name(key)].shape[1] * x.nbytes // max(1, len(x)) for key, x in data.items())
        return int(np.clip(BYTES // max(1, sum(images)), 1, STEPS))

    def _place(self, batches: dict[str, Any], axis: int) -> dict[str, Any]:
        """Share batches among the devices along the axis of their images."""
        if self._mesh is None:
            return batches
        return {
            key: jax.device_put(value, self._sharding(value.ndim, axis)) for key, value in batches.items()
        }

    def _steps(self, state: State, batches: dict[str, Any], rates: Any, count: Any) -> Any:
        def one(number: Any, carry: Any) -> Any:
            state, losses, right = carry
            batch = {k: lax.dynamic_index_in_dim(v, number, keepdims=False) for k, v in batches.items()}
            state, (loss, correct) = self._one(state, batch, rates[number])
            return state, losses.at[number].set(loss), right.at[number].set(correct)

        nothing = jnp.zeros(len(rates), "float32")
        state, *measured = lax.fori_loop(0, count, one, (state, nothing, nothing))
        return state, measured

    def _all_finite(self, state: State) -> Any:
        changed = [*state[0], *(state[1][place] for place in self._statistics)]
        return jnp.all(jnp.stack([jnp.isfinite(v).all() for v in changed]))

    def _one(self, state: State, batch: dict[str, Any], rate: Any) -> Any:
        trainable, others, optimizer, average = state
        batch = self.step.prepare_batch(batch)

        def loss(trainable: list[Any]) -> Any:
            mapping = list(zip(self._variables(), [*trainable, *others], strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
                total, cross_entropy, right = self.step.loss(batch)
            after = [scope.get_current_value(v) for v in self._others]
            kept = [new if new is not None else old for new, old in zip(after, others, strict=True)]
            return total, (cross_entropy, right, kept)

        gradients, (cross_entropy, right, others) = jax.grad(loss, has_aux=True)(trainable)
        optimizer = list(optimizer)
        optimizer[self._rate] = rate
        moved, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        scales = [self.step.rate_scales.get(v.path, 1.0) for v in self.step.trainable]
        moved = [
            old + s * (new - old) if s != 1 else new
            for old, new, s in zip(trainable, moved, scales, strict=True)
        ]
        if average:
            step = optimizer[0].astype("float32")
            decay = jnp.minimum(self.step.recipe.ema, (1.0 + step) / (10.0 + step))
            present = [*moved, *(others[place] for place in self._statistics)]
            average = [decay * a + (1.0 - decay) * v for a, v in zip(average, present, strict=True)]
        return (moved, others, optimizer, average), (cross_entropy, right)


def _pad(rows: np.ndarray, most: int) -> np.ndarray:
    """Add rows of zeros, which are not used, behind those of the steps."""
    made = np.zeros((most, *rows.shape[1:]), rows.dtype)
    made[: len(rows)] = rows
    return made
