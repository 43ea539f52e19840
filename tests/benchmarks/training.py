"""Measure images per second in training: `train_base` against `model.fit`, same network and batch, one run.

    python tests/benchmarks/training.py [--networks cnn6-bn] [--threads 2] [--seconds 20] [--torch]

Both train from random weights with SGD and Nesterov's momentum on 32x32 images of noise, without augmentation
and evaluation. The plain counterpart is the same network of Keras's own layers, compiled and fitted on images
that are standardised beforehand, all at its defaults; ours takes the bytes and standardises in the step. With
`--torch` PyTorch stands beside them, written as its users write it (`torch_peer.py`). All are timed from the
fourth report on, in turns, and the better of two rounds counts. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch_peer

if TYPE_CHECKING:
    from tlcli.store.records import Dataset

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCHES = {"whitened-cnn": 200, "small-cnn": 100, "cnn6-bn": 50}
CLASSES = {"whitened-cnn": 100}
IMAGES = 4000
WARM = 3


class Enough(Exception):
    """Ends a `fit`."""


class Meter:
    """Images per second between the reports of a training, less the first ones, which compile."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.points: list[tuple[float, int]] = []

    def report(self, images: int) -> None:
        self.points.append((time.perf_counter(), images))

    @property
    def done(self) -> bool:
        return len(self.points) > WARM + 1 and time.perf_counter() - self.points[WARM][0] > self.seconds

    @property
    def rate(self) -> float:
        (start, before), (end, after) = self.points[WARM], self.points[-1]
        return (after - before) / (end - start)


@contextmanager
def keras_layers() -> Iterator[None]:
    """Let the architectures be built of Keras's own layers."""
    import keras

    from tlcli.models import layers

    class Whitening(keras.layers.Conv2D):
        def __init__(self, size: int, name: str) -> None:
            super().__init__(24, size, use_bias=False, trainable=False, name=name)

    own = {
        "FusedConv2D": keras.layers.Conv2D,
        "FusedBatchNormalization": keras.layers.BatchNormalization,
        "FusedGelu": partial(keras.layers.Activation, "gelu"),
        "PatchWhitening": Whitening,
    }
    ours = {name: getattr(layers, name) for name in own}
    for name, layer in own.items():
        setattr(layers, name, layer)
    try:
        yield
    finally:
        for name, layer in ours.items():
            setattr(layers, name, layer)


def plain(
    arch: str,
    dataset: Dataset,
    seconds: float,
    batch: int,
    *,
    precision: str = "float32",
    options: dict[str, Any] | None = None,
    adam: bool = False,
    ready: Callable[[], None] | None = None,
) -> float:
    """Keras's `fit`; `ready` is called when all is compiled."""
    import keras

    from tlcli.models import network as net

    meter = Meter(seconds)

    class Report(keras.callbacks.Callback):
        def on_train_batch_end(self, number: int, logs: dict | None = None) -> None:
            meter.report(len(meter.points) * batch)
            if meter.done:
                raise Enough

    with keras_layers():
        model = net.build(arch, dataset.image_shape, dataset.classes, options, precision).model
    model.compile(
        keras.optimizers.Adam() if adam else keras.optimizers.SGD(0.001, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    x = standardised(dataset)
    y = np.asarray(dataset.train.labels)
    if ready:
        model.fit(x[: 2 * batch], y[: 2 * batch], batch_size=batch, verbose=0)
        ready()
    with suppress(Enough):
        model.fit(x, y, batch_size=batch, epochs=10**6, verbose=0, callbacks=[Report()])
    return meter.rate


def ours(
    arch: str,
    dataset: Dataset,
    seconds: float,
    *,
    recipe: str | None = None,
    options: dict[str, Any] | None = None,
    **how: Any,
) -> float:
    """`train_base` with a recipe, or with what is given of one."""
    from tlcli.errors import Interrupted
    from tlcli.training import Recipe, train_base

    meter = Meter(seconds)
    given = Recipe.from_options(recipe, samples=10**8, eval_every=10**8, **how)
    with suppress(Interrupted):
        train_base(
            dataset,
            arch,
            options=options,
            recipe=given,
            progress=lambda p: meter.report(p.done),
            stop=lambda: meter.done,
        )
    return meter.rate


def standardised(dataset: Dataset) -> np.ndarray:
    return (np.asarray(dataset.train.images[:], np.float32) / 255 - np.float32(0.5)) / np.float32(0.25)


def noise(classes: int) -> Dataset:
    """Images without content: nothing here depends on what a network learns."""
    from tlcli.store.records import Dataset, Part

    rng = np.random.default_rng(0)

    def part(size: int) -> Part:
        images = rng.integers(0, 256, (size, 32, 32, 3)).astype(np.uint8)
        return Part(images, rng.integers(0, classes, size), np.arange(size))

    names = [str(number) for number in range(classes)]
    return Dataset({"train": part(IMAGES), "test": part(100)}, names, np.arange(classes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", default=",".join(BATCHES))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--torch", action="store_true", help="PyTorch beside the two")
    args = parser.parse_args()
    if args.threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(args.threads)
    torch = torch_peer.NETWORKS if args.torch and torch_peer.installed() else ()
    print(f"images per second in training on {torch_peer.processor()}", file=sys.stderr)
    for arch in args.networks.split(","):
        dataset, batch = noise(CLASSES.get(arch, 10)), BATCHES[arch]
        sgd = {"optimizer": "sgd", "learning_rate": 0.001, "batch_size": batch, "precision": args.precision}
        rates = [
            (
                plain(arch, dataset, args.seconds, batch),
                ours(arch, dataset, args.seconds, **sgd),
                torch_peer.rate(arch, dataset, batch, args.seconds) if arch in torch else 0.0,
            )
            for _ in range(args.rounds)
        ]
        fit, tlcli, peer = (max(column) for column in zip(*rates, strict=True))
        told = f"fit {fit:6.0f}, tlcli {tlcli:6.0f}: {tlcli / fit:.2f} times"
        told += f"; PyTorch {peer:6.0f}: {tlcli / peer:.2f} times" if peer else ""
        print(f"{arch:14s} batch {batch:3d}: {told}", flush=True)


if __name__ == "__main__":
    main()
