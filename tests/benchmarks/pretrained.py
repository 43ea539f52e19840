"""Measure a pretrained network against plain Keras: embedding, and a frozen arm of 20 epochs.

    python tests/benchmarks/pretrained.py [--network MobileNetV2] [--images 1500] [--side 96] [--epochs 20]

Both run in this process, one after the other, with the same random weights, which take the same time. The
first call of each, which compiles, is not counted for embedding and is counted for the frozen arm.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tlcli.models import network as net
from tlcli.models.registry import architecture
from tlcli.store.records import Checkpoint, Dataset, Part, Provenance
from tlcli.training import Recipe, embed, transfer

CLASSES = 4


def target(images: int, side: int) -> Dataset:
    """Images of noise: the content does not change the time."""
    rng = np.random.default_rng(0)

    def part(count: int) -> Part:
        pixels = rng.integers(0, 256, (count, side, side, 3)).astype(np.uint8)
        return Part(pixels, np.arange(count) % CLASSES, np.arange(count))

    names = [str(number) for number in range(CLASSES)]
    return Dataset({"train": part(images), "test": part(images // 4)}, names, np.arange(CLASSES))


def base_of(name: str, side: int) -> Checkpoint:
    """The network with the weights that it was built with."""
    network = net.build(f"keras:{name}", (side, side, 3), 10)
    told = architecture(f"keras:{name}").pretrained
    mean, std = (np.resize(np.array(v, np.float32), 3) for v in (told.mean, told.std))
    names = [str(number) for number in range(10)]
    return Checkpoint(
        network.architecture,
        {},
        (side, side, 3),
        names,
        np.arange(10),
        mean,
        std,
        net.weights(network.model),
        provenance=Provenance(name="base.h5"),
    )


def timed(function) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - processor


def said(what: str, plain: tuple[float, float], ours: tuple[float, float]) -> None:
    print(
        f"{what}: plain Keras {plain[0]:.1f} s ({plain[1]:.1f} s of processor), tlcli {ours[0]:.1f} s "
        f"({ours[1]:.1f} s); ratio {plain[0] / ours[0]:.2f} ({plain[1] / ours[1]:.2f} of processor time)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="MobileNetV2")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    data, base = target(arguments.images, arguments.side), base_of(arguments.network, arguments.side)
    shape = (arguments.side, arguments.side, 3)
    plain = getattr(keras.applications, arguments.network)(
        include_top=False, weights=None, input_shape=shape, pooling="avg"
    )
    plain.set_weights([value for key, value in base.weights.items() if not key.startswith("head/")])
    scaled = (data.train.images / np.float32(255) - base.mean) / base.std
    plain.predict(scaled[:32], verbose=0)
    embed(base, Dataset({"train": data.test}, data.class_names, data.class_original))

    def predict() -> None:
        plain.predict((data.train.images / np.float32(255) - base.mean) / base.std, verbose=0)

    only = Dataset({"train": data.train}, data.class_names, data.class_original)
    said(f"embedding of {arguments.images} images", timed(predict), timed(lambda: embed(base, only)))

    def fit() -> None:
        plain.trainable = False
        model = keras.Sequential([keras.Input(shape), plain, keras.layers.Dense(CLASSES)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        tested = (data.test.images / np.float32(255) - base.mean) / base.std, data.test.labels
        x = (data.train.images / np.float32(255) - base.mean) / base.std
        model.fit(x, data.train.labels, 32, arguments.epochs, verbose=0, validation_data=tested)

    recipe = Recipe(epochs=arguments.epochs, batch_size=32)
    said(
        f"a frozen arm of {arguments.epochs} epochs",
        timed(fit),
        timed(lambda: transfer(base, [data], ["freeze"], recipe=recipe)),
    )


if __name__ == "__main__":
    main()
