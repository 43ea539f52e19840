"""Networks of Keras Applications, in full: too slow for the suite.

    python tests/harnesses/applications.py chain       # four networks through every command, at 96 pixels
    python tests/harnesses/applications.py all         # every network builds and takes its own weights back

The chain makes weights with plain Keras, imports them, compares features with Keras (same preprocessing),
and runs transfer, embed, knn and report. Networks can be named: `all MobileNet VGG16`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tlcli import store
from tlcli.cli.main import run
from tlcli.models import exchange
from tlcli.models import network as net
from tlcli.models.registry import NETWORKS, architecture
from tlcli.store.weights import open_weights
from tlcli.training.embedding import embed

CHAIN = ("ResNet50V2", "MobileNetV3Small", "EfficientNetB0", "ConvNeXtTiny")
SIDE = 96


def randomized(model: keras.Model) -> keras.Model:
    """Give a model random weights unlike its initial ones, small enough to keep activations in range."""
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if variable.dtype == "float32" and len(variable.shape):
            value = np.asarray(variable.numpy())
            variable.assign(value + 0.1 * np.abs(value).mean() * rng.uniform(-1, 1, value.shape))
    return model


def call(*arguments: str) -> None:
    code = run([str(argument) for argument in arguments])
    assert code == 0, (code, arguments)


def chain(name: str, folder: Path) -> None:
    """One network from weights to the page."""
    os.chdir(folder)
    make = getattr(keras.applications, name)
    plain = randomized(make(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3), pooling="avg"))
    plain.save_weights("x.weights.h5")
    shape = f"{SIDE}x{SIDE}x3"
    call(
        "import-weights",
        "x.weights.h5",
        "--arch",
        f"keras:{name}",
        "--headless",
        "--input",
        shape,
        "-q",
        "-o",
        "base.h5",
    )
    if not Path("target.h5").exists():
        split = ("split", "--dataset", "digits", "--classes", "6-9", "--size", "40", "--like", "base.h5")
        call(*split, "-q", "-o", "target.h5")
    base, target = store.read("base.h5", store.Checkpoint), store.read("target.h5", store.Dataset)
    found = embed(base, target).parts["train"].embeddings
    module = {"ResNet50V2": "resnet_v2", "MobileNetV3Small": "mobilenet_v3", "EfficientNetB0": "efficientnet"}
    prepare = getattr(keras.applications, module.get(name, "convnext")).preprocess_input
    expected = plain.predict(prepare(np.asarray(target.train.images[:], np.float32)), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())
    call(
        "transfer",
        "base.h5",
        "target.h5",
        "--method",
        "logistic",
        "--method",
        "freeze",
        "--method",
        "finetune",
        "--samples",
        "40",
        "--batch-size",
        "10",
        "-q",
        "-o",
        "r.h5",
    )
    call("embed", "base.h5", "target.h5", "-q", "-o", "e.h5")
    call("knn", "e.h5", "--k", "1-5", "-q", "-o", "k.h5")
    call("report", "r.h5", "k.h5", "e.h5", "-q", "-o", "report")


def takes_its_own_weights(name: str, folder: Path) -> None:
    """Check that tlcli's network gets the weights that Keras saved."""
    short = name.removeprefix("keras:")
    side = 96
    plain = getattr(keras.applications, short)(
        include_top=False, weights=None, input_shape=(side, side, 3), pooling="avg"
    )
    plain.save_weights(folder / "x.weights.h5")
    network = net.build(name, (side, side, 3), 1)
    with open_weights(folder / "x.weights.h5") as file:
        ones = np.ones(3, np.float32)
        base = exchange.import_weights(file, network, [], np.zeros(0, np.int64), ones, ones)
    expected = [
        np.asarray(w.numpy()) for layer in plain.layers for w in layer.weights if "seed" not in w.path
    ]
    assert len(base.weights) == len(expected), (len(base.weights), len(expected))
    for (key, found), wanted in zip(base.weights.items(), expected, strict=True):
        assert np.array_equal(found, wanted), key
    assert len(network.groups) > 10
    assert architecture(name).pretrained is not None


def main(what: str, *names: str) -> None:
    every = {"chain": CHAIN, "all": [n.removeprefix("keras:") for n in NETWORKS.all_names() if ":" in n]}[
        what
    ]
    for name in names or every:
        began = time.monotonic()
        keras.backend.clear_session()
        with tempfile.TemporaryDirectory() as folder:
            if what == "chain":
                chain(name, Path(folder))
            else:
                takes_its_own_weights(f"keras:{name}", Path(folder))
            os.chdir("/")
        print(f"{name}: as it should be, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
