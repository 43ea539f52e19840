"""Measure the steps per second of `train_base` under JAX and of a pure JAX loop of the same network, in
turns.

    python tests/benchmarks/jax_loop.py [--seconds 2] [--rounds 5] [--processor-time]

The network is `cnn2` on the 8x8 digits, batch 100, Adam: the smallest, where what is around a step weighs
most. The loop is a `lax.scan` over batches of indices into bytes on the device, all of it compiled once, with
Adam written out (`pure_jax.py`); and, since XLA takes longer for a convolution in a loop on a CPU, the same
step called from Python. Compiling is not counted. Labels are drawn: what has been learned has gradients too
small for normal floats, and these take longer. The medians of the rounds count. `taskset -c 0` measures one
processor. Not collected by pytest, but `tests/training/test_jax.py` asks for `measure`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping

os.environ["KERAS_BACKEND"] = "jax"

import jax
import numpy as np
from pure_jax import Loop

from tlcli import data
from tlcli.store.records import Dataset
from tlcli.training import Recipe, train_base
from tlcli.training.computing import cores

Clock = Callable[[], float]
BATCH = 100


def digits() -> Dataset:
    dataset = data.split(data.load_source("digits"), range(6))
    train = dataset.train
    train.labels = np.random.default_rng(0).integers(0, dataset.classes, len(train))
    return dataset


def train_with_tlcli(dataset: Dataset, steps: int, clock: Clock) -> float:
    """Steps per second between the first evaluation and the third: before each, all steps are done."""
    points: list[float] = []
    each = steps * BATCH
    train_base(
        dataset,
        "cnn2",
        recipe=Recipe(samples=3 * each, eval_every=each, batch_size=BATCH),
        measured=lambda key, row: points.append(clock()),
    )
    return 2 * steps / (points[2] - points[0])


def measure(
    loops: Mapping[str, str], rounds: int, seconds: float, steps: int, clock: Clock
) -> dict[str, list[float]]:
    """Steps per second of loops in JAX alone, by name, and of tlcli: in turns, so many rounds.

    Args:
        loops: `Loop`'s `how`, by name.
        rounds: How many times each is measured.
        seconds: How long a loop is measured.
        steps: Between two evaluations of tlcli.
        clock: Seconds, on the clock or of the processor.
    """
    dataset = digits()
    train = dataset.train
    rates: dict[str, list[float]] = {name: [] for name in (*loops, "tlcli")}
    made = {
        name: Loop("cnn2", np.asarray(train.images[:]), train.labels, BATCH, how=how)
        for name, how in loops.items()
    }
    for _ in range(rounds):
        for name, loop in made.items():
            count = 16 if loop.how == "scan" and jax.default_backend() == "cpu" else 64
            rates[name].append(loop.rate(seconds, count, clock) / BATCH)
        rates["tlcli"].append(train_with_tlcli(dataset, steps, clock))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true", help="count seconds of the processor")
    args = parser.parse_args()
    clock = time.process_time if args.processor_time else time.perf_counter
    rates = measure({"one loop": "scan", "a step at a time": "single"}, args.rounds, args.seconds, 512, clock)
    print(f"steps per second on {jax.devices()[0].device_kind}, {cores()} processors")
    for name, found in rates.items():
        ratios = [mine / peer for mine, peer in zip(rates["tlcli"], found, strict=True)]
        print(f"{name:16s} {np.median(found):6.0f}; tlcli {np.median(ratios):.2f} times as many", flush=True)


if __name__ == "__main__":
    main()
