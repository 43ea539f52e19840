"""Measure processor time and peak memory of the commands on files of three sizes, and the growth of both.

    python tests/benchmarks/load.py [--share 1.0] [--only results,embeddings,dataset,photos]

At most: results with 1,000 runs, embeddings of 1,000,000 x 128, datasets of 100,000 images of 32 x 32 x 3
and of 10,000 of 224 x 224 x 3, which MobileNetV3Small takes.
Each command runs in a process of its own; the memory is what Linux tells of it (VmHWM). Growth is the
exponent between the two largest sizes: 1 means in proportion, 0 not at all.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tlcli import store

SIZES = {
    "results": (10, 100, 1000),
    "embeddings": (10_000, 100_000, 1_000_000),
    "dataset": (1000, 10_000, 100_000),
    "photos": (1000, 3000, 10_000),
}
FROZEN = ["--method", "ridge", "--method", "logistic", "--method", "freeze"]
TUNED = ["--method", "finetune", "--samples", "320", "--eval-every", "320"]
COMMANDS = {
    "results": [["inspect", "x.h5"], ["verify", "x.h5"], ["report", "x.h5", "-o", "report"]],
    "embeddings": [["inspect", "x.h5"], ["verify", "x.h5"], ["knn", "x.h5", "-o", "knn.h5"]],
    "dataset": [
        ["inspect", "x.h5"],
        ["verify", "x.h5"],
        ["split", "--dataset", "x.h5", "--classes", "0-4", "-o", "split.h5"],
        ["embed", "base.h5", "x.h5", "-o", "embedded.h5"],
        ["train-base", "x.h5", "--arch", "cnn2", "--samples", "2000", "-o", "trained.h5"],
    ],
    "photos": [
        ["embed", "base.h5", "x.h5", "-o", "embedded.h5"],
        ["knn", "embedded.h5", "-o", "knn.h5"],
        ["transfer", "base.h5", "x.h5", *FROZEN, "--epochs", "5", "--runs", "1", "-o", "frozen.h5"],
        ["transfer", "base.h5", "x.h5", *TUNED, "--runs", "1", "-o", "tuned.h5"],
    ],
}
RUN = (
    "import sys, time; from tlcli.cli.main import run\n"
    "code = run(sys.argv[1:])\n"
    "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
    "sys.stderr.write(f'\\n{time.process_time()} {peak.split()[1]}'); sys.exit(code)"
)
CLASSES = [str(n) for n in range(10)]


def make_results(runs: int) -> store.Results:
    """Arms at four sizes, with 20 measurements and 1,000 test predictions each."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 1000)
    targets = [
        store.Target(f"t-n{n}", "ab" * 32, n, CLASSES, labels, np.arange(1000), "made up")
        for n in (100, 300, 1000, 3000)
    ]
    arms = ("scratch", "freeze:copy=2", "freeze", "finetune", "l2-sp")
    made = []
    for i in range(runs):
        target, arm, run = targets[i % 4], arms[i // 4 % 5], i // 20
        right = rng.random(1000) < 0.8 + 0.02 * (i % 4) + rng.normal(0, 0.01)
        predictions = np.where(right, labels, (labels + 1) % 10)
        curve = np.linspace(0.3, right.mean(), 20)
        history = {
            "samples_seen": np.arange(1, 21) * 500,
            "train_loss": 1 - curve,
            "train_accuracy": curve,
            "test_loss": 1 - curve,
            "test_accuracy": curve,
        }
        made.append(
            store.Run(
                arm.split(":")[0],
                arm,
                target.name,
                target.train_size,
                run,
                run,
                20_000,
                10_000,
                architecture="cnn2",
                history=history,
                predictions=predictions,
            )
        )
    return store.Results(made, {t.name: t for t in targets}, {"samples": 10_000})


def make_embeddings(images: int) -> store.Embeddings:
    """Overlapping clusters, 128 wide, with 1,000 test images."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((10, 128), np.float32)

    def part(n: int) -> store.EmbeddingPart:
        labels = rng.integers(0, 10, n)
        vectors = rng.standard_normal((n, 128), np.float32)
        vectors += 0.5 * centres[labels]
        return store.EmbeddingPart(vectors, labels, np.arange(n))

    return store.Embeddings({"train": part(images), "test": part(1000)}, "dense", CLASSES, np.arange(10))


def make_dataset(images: int, side: int = 32) -> store.Dataset:
    """Noise that hardly compresses, 500 of the images for testing."""
    rng = np.random.default_rng(0)

    def part(n: int) -> store.Part:
        pixels = rng.integers(0, 256, (n, side, side, 3), np.uint8)
        return store.Part(pixels, np.arange(n) % 10, np.arange(n))

    return store.Dataset({"train": part(images - 500), "test": part(500)}, CLASSES, np.arange(10), "made up")


MAKERS: dict[str, Callable[[int], store.Record]] = {
    "results": make_results,
    "embeddings": make_embeddings,
    "dataset": make_dataset,
    "photos": partial(make_dataset, side=224),
}
BASES = {"dataset": ("cnn2", 1000, 32), "photos": ("keras:MobileNetV3Small", 532, 224)}
"""For datasets, a base: its network, the images that it is trained on, and their size."""


def measure(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Processor seconds (of all threads) and MB of one command."""
    force = ["--force"] if "-o" in arguments else []
    command = [sys.executable, "-c", RUN, *arguments, *force]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds, kibibytes = done.stderr.split()[-2:]
    return float(seconds), int(kibibytes) * 1024 / 1e6


def growth(values: list[float], sizes: list[int]) -> float:
    """The exponent between the two largest sizes."""
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def make(kind: str, size: int, folder: Path) -> None:
    """Write the file, and for datasets a base, in this process."""
    store.write(folder / "x.h5", MAKERS[kind](size), force=True)  # type: ignore[type-var]
    if kind in BASES and not (folder / "base.h5").exists():
        network, images, side = BASES[kind]
        store.write(folder / "small.h5", make_dataset(images, side))
        measure(["train-base", "small.h5", "--arch", network, "--samples", "32", "-o", "base.h5"], folder)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="Of the sizes.")
    parser.add_argument("--only", default=",".join(SIZES))
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(options.make[0], int(options.make[1]), Path(options.make[2]))
        return
    print("| file | command | " + "size: processor seconds, peak MB | " * 3 + "growth of time, memory |")
    print("| --- | --- | " + "---: | " * 4)
    for kind in options.only.split(","):
        sizes = [round(size * options.share) for size in SIZES[kind]]
        measured: dict[str, list[tuple[float, float]]] = {}
        with tempfile.TemporaryDirectory(prefix="tlcli-load-") as name:
            for size in sizes:
                making = [sys.executable, __file__, "--make", kind, str(size), name]
                subprocess.run(making, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
                for arguments in COMMANDS[kind]:
                    called = " ".join(arguments).partition(" -o ")[0] if kind == "photos" else arguments[0]
                    measured.setdefault(called, []).append(measure(arguments, Path(name)))
        for command, found in measured.items():
            cells = [f"{n:,}: {s:.1f} s, {m:,.0f} MB" for n, (s, m) in zip(sizes, found, strict=True)]
            exponents = [f"{growth([f[i] for f in found], sizes):.2f}" for i in (0, 1)]
            print(f"| {kind} | `{command}` | {' | '.join(cells)} | {', '.join(exponents)} |", flush=True)
        print(json.dumps({kind: measured}), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
