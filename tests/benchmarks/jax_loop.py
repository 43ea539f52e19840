"""Measure the steps per second of `train_base` under JAX and of a pure JAX loop of the same network, in
turns.

    python tests/benchmarks/jax_loop.py [--seconds 5] [--rounds 3]

The network is `cnn2` on the 8x8 digits, batch 100, Adam: the smallest, where what is around a step weighs
most. The loop is a `lax.scan` over batches of indices into bytes on the device, all of it compiled once, with
Adam written out; and, since XLA takes longer for a convolution in a loop on a CPU, the same step called from
Python. Compiling is not counted. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import suppress

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tlcli import data
from tlcli.errors import Interrupted
from tlcli.store.records import Dataset
from tlcli.training import Recipe, train_base

BATCH, STEPS, WARM = 100, 256, 5


def start() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 1, 32), (32,), (3, 3, 32, 32), (32,), (128, 128), (128,), (128, 6), (6,)]
    return [(rng.standard_normal(shape) * 0.05 * (len(shape) > 1)).astype(np.float32) for shape in shapes]


def logits(weights: list[jax.Array], x: jax.Array) -> jax.Array:
    for kernel, bias in (weights[:2], weights[2:4]):
        x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x + bias)
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID").reshape(len(x), -1)
    return jax.nn.relu(x @ weights[4] + weights[5]) @ weights[6] + weights[7]


def pure(dataset: Dataset, seconds: float, scanned: bool) -> float:
    images, labels = jnp.asarray(np.asarray(dataset.train.images[:])), jnp.asarray(dataset.train.labels)

    def loss(weights: list[jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits(weights, x)), y[:, None], 1)
        return -chosen.mean()

    def step(state: tuple, index: jax.Array) -> tuple:
        weights, mean, square, number = state
        x = (images[index].astype("float32") / 255 - 0.3) / 0.37
        value, gradients = jax.value_and_grad(loss)(weights, x, labels[index])
        number = number + 1
        mean = [0.9 * m + 0.1 * g for m, g in zip(mean, gradients, strict=True)]
        square = [0.999 * v + 0.001 * g * g for v, g in zip(square, gradients, strict=True)]
        rate = 1e-3 * jnp.sqrt(1 - 0.999**number) / (1 - 0.9**number)
        moved = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(weights, mean, square, strict=True)]
        return (moved, mean, square, number), value

    together = jax.jit(lambda state, indices: lax.scan(step, state, indices), donate_argnums=0)
    single = jax.jit(step, donate_argnums=0)
    zeros = [np.zeros_like(w) for w in start()]
    state = jax.tree.map(jnp.array, (start(), zeros, zeros, np.float32(0)))
    rng, done, began = np.random.default_rng(1), -STEPS, 0.0
    while done <= 0 or time.perf_counter() - began < seconds:
        indices = rng.integers(0, len(images), (STEPS, BATCH)).astype(np.int32)
        if scanned:
            state, losses = together(state, indices)
        else:
            for index in indices:
                state, losses = single(state, index)
        np.asarray(losses)
        done += STEPS
        began = began or time.perf_counter()
    return done / (time.perf_counter() - began)


def ours(dataset: Dataset, seconds: float) -> float:
    points: list[tuple[float, int]] = []

    def enough() -> bool:
        return len(points) > WARM + 1 and points[-1][0] - points[WARM][0] > seconds

    recipe = Recipe(samples=10**9, eval_every=10**9, batch_size=BATCH)
    with suppress(Interrupted):
        train_base(
            dataset,
            "cnn2",
            recipe=recipe,
            progress=lambda p: points.append((time.perf_counter(), p.done)),
            stop=enough,
        )
    (began, before), (ended, after) = points[WARM], points[-1]
    return (after - before) / BATCH / (ended - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    dataset = data.split(data.load_source("digits"), range(6))
    seconds = args.seconds
    rates = [
        (pure(dataset, seconds, True), pure(dataset, seconds, False), ours(dataset, seconds))
        for _ in range(args.rounds)
    ]
    loop, single, tlcli = (max(column) for column in zip(*rates, strict=True))
    print(f"steps per second on {jax.devices()[0].device_kind}: pure JAX in one loop {loop:.0f}, a step at a")
    print(f"time {single:.0f}; tlcli {tlcli:.0f}: {tlcli / loop:.2f} and {tlcli / single:.2f} times")


if __name__ == "__main__":
    main()
