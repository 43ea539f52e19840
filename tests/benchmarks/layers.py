"""Measure how much faster the layer study (Yosinski et al.) runs than plain Keras, both in one run.

    TLCLI_DATA_DIR=... python tests/benchmarks/layers.py [--layers 2,5] [--epochs 3] [--share 1]

A part of the grid: one base, its own half and the other, frozen and tuned, copied up to the given layers, on
a share of the images. The plain counterpart is what a notebook does in Keras: a new model per network,
weights copied, `trainable = False`, `compile`, `fit` with batches of 50, the test part after each epoch.
`tlcli transfer` does the whole part in one process, as many runs at once as there are cores; its start-up is
included. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TLCLI = [sys.executable, "-m", "tlcli.cli.main"]


def tlcli(*arguments: str) -> None:
    subprocess.run([*TLCLI, *arguments, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def plain_model(classes: int):
    import keras
    from keras import layers

    x = inputs = keras.Input((32, 32, 3))
    for width in (8, 16, 32):
        for _ in range(2):
            x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same")(x)))
        x = layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(layers.Flatten()(x)))


def plain_run(base, dataset, copied: int, frozen: bool, epochs: int) -> float:
    import numpy as np
    from keras import layers

    model = plain_model(dataset.classes)
    convolutions = [one for one in model.layers if isinstance(one, layers.Conv2D)]
    normalizations = [one for one in model.layers if isinstance(one, layers.BatchNormalization)]
    for number in range(copied):
        for layer, name, variables in (
            (convolutions[number], f"conv{number + 1}", ("kernel", "bias")),
            (
                normalizations[number],
                f"conv{number + 1}_bn",
                ("gamma", "beta", "moving_mean", "moving_variance"),
            ),
        ):
            layer.set_weights([base.weights[f"{name}/{v}"] for v in variables])
            layer.trainable = not frozen
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    def prepared(part):
        return ((np.asarray(part.images[:]) / 255.0 - base.mean) / base.std).astype("float32")

    x_test = prepared(dataset.test)
    history = model.fit(
        prepared(dataset.train),
        dataset.train.labels,
        batch_size=50,
        epochs=epochs,
        verbose=0,
        validation_data=(x_test, dataset.test.labels),
    )
    return history.history["val_accuracy"][-1]


def measure(precision: str, args: argparse.Namespace) -> float:
    """Run the grid in a precision, and write its results to PRECISION.h5: the seconds it takes."""
    start = time.perf_counter()
    arms = ["--method", "freeze", "--method", "finetune", "--copy", args.layers]
    how = ["--runs", "1", "--epochs", str(args.epochs), "--batch-size", "50", "--precision", precision]
    tlcli("transfer", "base.h5", "a.h5", "b.h5", *arms, *how, "-o", f"{precision}.h5")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--layers", default="2,5")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--precision", default="float32,mixed", help="tlcli's; plain Keras takes float32")
    args = parser.parse_args()
    layers = args.layers.split(",")
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    share = ["--proportion", str(args.share)]
    tlcli("split", "--dataset", "cifar10", "--classes", "random:5", "--seed", "1", *share, "-o", "a.h5")
    tlcli("split", "--dataset", "cifar10", "--classes", "except:a.h5", "--seed", "1", *share, "-o", "b.h5")
    tlcli("train-base", "a.h5", "--arch", "cnn6-bn", "--epochs", "3", "--batch-size", "50", "-o", "base.h5")

    ours = {precision: measure(precision, args) for precision in args.precision.split(",")}
    from tlcli import store
    from tlcli.store.records import Checkpoint, Dataset, Results

    runs = {precision: store.read(f"{precision}.h5", Results).runs for precision in ours}
    base = store.read("base.h5", Checkpoint)
    plain: dict[bool, list[float]] = {True: [], False: []}
    seconds = {True: 0.0, False: 0.0}
    for name in ("a.h5", "b.h5"):
        dataset = store.read(name, Dataset)
        for copied in map(int, layers):
            for frozen in (True, False):
                start = time.perf_counter()
                plain[frozen].append(plain_run(base, dataset, copied, frozen, args.epochs))
                seconds[frozen] += time.perf_counter() - start
    for frozen, method in ((True, "freeze"), (False, "finetune")):
        print(f"{method:9s} mean accuracy: plain {mean(plain[frozen]):.4f}", end="")
        for precision, made in runs.items():
            accuracy = mean(r.test_accuracy for r in made if r.method == method)
            print(f", {precision} {accuracy:.4f}", end="")
        print(f"; plain {seconds[frozen]:.1f} s")
    total = sum(seconds.values())
    for precision, took in ours.items():
        print(
            f"{len(runs[precision])} networks: plain {total:.1f} s, tlcli in {precision} {took:.1f} s: "
            f"{total / took:.1f} times faster"
        )


if __name__ == "__main__":
    main()
