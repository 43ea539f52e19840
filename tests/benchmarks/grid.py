"""Measure how much faster `transfer` runs the grid of the MNIST study than plain Keras, both in one run.

    TLCLI_DATA_DIR=... python tests/benchmarks/grid.py [--samples 24000] [--seeds 1] [--sizes 100] [--torch]

The grid: four sizes x (scratch, convolutions frozen, all tuned), each run `samples` samples long, the test
accuracy taken every 1000 samples. The plain counterpart is what a notebook does: one model per run, `fit`,
and a callback that calls `evaluate` with batches of 100 every tenth batch, on all cores. tlcli trains as many
runs at once as there are cores, one thread each, the default of `tlcli transfer`. It runs in a separate
process, because TensorFlow sets its threads when it starts: once the whole grid, and once the frozen arms
alone. With `--torch` PyTorch runs the grid, too, written as its users write it (`torch_peer.py`). No time
includes importing a library. `TF_ENABLE_ONEDNN_OPTS=0` is for the plain counterpart alone: without it, Keras
has the kernels that tlcli turns on. pytest does not collect this file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch_peer
from keras import layers

from tlcli import data, store
from tlcli.store.records import Checkpoint, Dataset
from tlcli.training import Recipe, train_base, transfer

ARMS = {"scratch": "scratch", "frozen": "freeze:copy=2", "tuned": "finetune"}


def plain_model(classes: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


class EvaluateEvery(keras.callbacks.Callback):
    """Test accuracy after every few batches, as the course sheet asks."""

    def __init__(self, x: np.ndarray, y: np.ndarray, every: int) -> None:
        super().__init__()
        self.x, self.y, self.every, self.seen = x, y, every, 0
        self.accuracies: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.seen += 1
        if self.seen % self.every == 0:
            result = self.model.evaluate(self.x, self.y, batch_size=100, verbose=0)
            self.accuracies.append(result[1])


def plain_run(arm: str, base: Checkpoint, dataset: Dataset, samples: int, seed: int) -> float:
    keras.utils.set_random_seed(seed)
    model = plain_model(dataset.classes)
    copied = {"scratch": 0, "frozen": 2, "tuned": 3}[arm]
    weighted = [layer for layer in model.layers if layer.weights]
    for layer, name in list(zip(weighted, ("conv1", "conv2", "dense1"), strict=False))[:copied]:
        layer.set_weights([base.weights[f"{name}/kernel"], base.weights[f"{name}/bias"]])
        layer.trainable = arm != "frozen"
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    def prepared(images: np.ndarray) -> np.ndarray:
        return ((images / 255.0 - base.mean) / base.std).astype("float32")

    x, y = prepared(np.asarray(dataset.train.images)), dataset.train.labels
    watcher = EvaluateEvery(prepared(np.asarray(dataset.test.images)), dataset.test.labels, 10)
    epochs, rest = divmod(samples, len(y))
    if epochs:
        model.fit(x, y, batch_size=100, epochs=epochs, callbacks=[watcher], verbose=0)
    if rest:
        model.fit(x[:rest], y[:rest], batch_size=100, epochs=1, callbacks=[watcher], verbose=0)
    return watcher.accuracies[-1]


def ours(arms: list[str], folder: Path, args: argparse.Namespace) -> tuple[float, dict[str, list[float]]]:
    """Seconds and accuracies by arm of `transfer`, in a process with a thread for each run at once."""
    at_once = len(os.sched_getaffinity(0))
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": str(at_once)}
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    call = [sys.executable, __file__, "--child", *arms, "--folder", str(folder)]
    call += ["--samples", str(args.samples), "--seeds", str(args.seeds), "--sizes", args.sizes]
    done = subprocess.run(
        [*call, "--at-once", str(at_once)],
        env={**environment, **threads},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["seconds"], told["accuracies"]


def child(args: argparse.Namespace) -> None:
    base = store.read(args.folder / "base.h5", Checkpoint)
    sets = [store.read(args.folder / f"n{n}.h5", Dataset) for n in args.sizes.split(",")]
    recipe = Recipe(samples=args.samples, eval_every=1000)
    start = time.perf_counter()
    methods = [ARMS[arm] for arm in args.child]
    runs = transfer(base, sets, methods, recipe=recipe, runs=args.seeds, at_once=args.at_once).runs
    seconds = time.perf_counter() - start
    names = {arm: ARMS[arm].split(":")[0] for arm in args.child}
    accuracies = {
        arm: [run.test_accuracy for run in runs if run.method == name] for arm, name in names.items()
    }
    print(json.dumps({"seconds": seconds, "accuracies": accuracies}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=24_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sizes", default="100,200,2300,23900")
    parser.add_argument("--torch", action="store_true", help="PyTorch beside plain Keras")
    parser.add_argument("--child", nargs="+", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--at-once", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), args)


def compare(folder: Path, args: argparse.Namespace) -> None:
    source = data.load_source("mnist")
    base_set = store.write(folder / "base-set.h5", data.split(source, range(6), multiple_of=100))
    base = train_base(base_set, "cnn2", recipe=Recipe(samples=72_000, eval_every=72_000))
    base = store.write(folder / "base.h5", base)
    sets = [
        store.write(folder / f"n{n}.h5", data.split(source, range(6, 10), size=int(n)))
        for n in args.sizes.split(",")
    ]
    whole, accuracies = ours(list(ARMS), folder, args)
    frozen, _ = ours(["frozen"], folder, args)
    peers = {"plain": plain_run}
    if args.torch and torch_peer.installed():
        peers["torch"] = torch_peer.lab_run
    print(f"on {torch_peer.processor()}", flush=True)
    seconds: dict[str, dict[str, float]] = {name: {} for name in peers}
    for arm in ARMS:
        for name, run in peers.items():
            start = time.perf_counter()
            found = [run(arm, base, d, args.samples, seed) for d in sets for seed in range(args.seeds)]
            took = seconds[name][arm] = time.perf_counter() - start
            told = " ".join(f"{a:.4f}" for a in found)
            print(f"{arm:8s} {name} {took:7.1f} s; accuracies {told}", flush=True)
        print(" " * 24 + "tlcli: " + " ".join(f"{a:.4f}" for a in accuracies[arm]), flush=True)
    for name, took in seconds.items():
        for what, theirs, mine in (("all", sum(took.values()), whole), ("frozen", took["frozen"], frozen)):
            print(f"{what:8s} {name} {theirs:7.1f} s  tlcli {mine:7.1f} s  {theirs / mine:5.1f} x")


if __name__ == "__main__":
    main()
