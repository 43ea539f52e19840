"""`import-weights` and `export-weights`, against plain Keras."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import sys

import h5py
import keras_files
import numpy as np
import pytest
from processes import ENVIRONMENT, fails

from tlcli import store
from tlcli.cli.commands import module
from tlcli.cli.import_weights import Task
from tlcli.models import architecture
from tlcli.store.records import Checkpoint, Dataset, Part

MEAN, STD = 121.936, 68.389


def randomized(model):
    """Give a model random weights, and moving statistics, unlike its initial ones."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            (rng.normal(size=w.shape) / np.sqrt(max(1, np.prod(w.shape[:-1])))).astype(np.float32) ** 2 + 0.1
            if w.ndim == 1
            else (rng.normal(size=w.shape) / np.sqrt(np.prod(w.shape[:-1]))).astype(np.float32)
            for w in model.get_weights()
        ]
    )
    return model


def plain_cnn2(classes=6):
    """The network `cnn2` in plain Keras, with the softmax at its end."""
    from keras import Input, Sequential, layers

    return randomized(
        Sequential(
            [
                Input((8, 8, 1)),
                layers.Conv2D(32, 3, activation="relu"),
                layers.Conv2D(32, 3),
                layers.ReLU(),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dropout(0.5),
                layers.Dense(128, activation="relu"),
                layers.Dropout(0.5),
                layers.Dense(classes, activation="softmax"),
            ]
        )
    )


def plain_vgg16():
    """The published base: ReLU, then batch normalization, with dropout between."""
    from keras import Input, Sequential, layers

    parts = [Input((32, 32, 3))]
    for widths in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for position, width in enumerate(widths):
            parts += [layers.Conv2D(width, 3, padding="same"), layers.ReLU(), layers.BatchNormalization()]
            parts += [layers.Dropout(0.4)] if position < len(widths) - 1 else []
        parts.append(layers.MaxPooling2D())
    parts += [layers.Flatten(), layers.Dense(512), layers.ReLU(), layers.BatchNormalization()]
    return randomized(Sequential([*parts, layers.Dropout(0.5), layers.Dense(100), layers.Softmax()]))


def as_legacy(path, model, **options):
    """A model's weights in the layout of Keras 2."""
    names = {layer.name: f"{type(layer).__name__.lower()}_{i}" for i, layer in enumerate(model.layers, 1)}
    layers = {
        name: {f"{name}/{v.name}:0": v.numpy() for v in model.get_layer(plain).weights}
        for plain, name in names.items()
    }
    return keras_files.legacy(path, layers, **options)


def logits_of(checkpoint: Checkpoint, images: np.ndarray) -> np.ndarray:
    """The logits of tlcli's network for images standardised by the checkpoint's constants."""
    from tlcli.training import embed

    part = Part(images, np.zeros(len(images), np.int64), np.arange(len(images)))
    names = checkpoint.class_names
    dataset = Dataset({"train": part, "test": part}, names, np.arange(len(names)))
    return embed(checkpoint, dataset, "head").parts["test"].embeddings


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def imported(call, work, *arguments) -> Checkpoint:
    done = call("import-weights", *arguments, "-o", "imported.h5", "--force")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"imported.h5\n"
    return store.read(work / "imported.h5", Checkpoint)


@pytest.mark.parametrize("group", ["/", "model_weights"])
def test_a_legacy_file_becomes_a_base(call, work, group):
    model = plain_cnn2()
    file = as_legacy(work / "old weights.h5", model, group=group)
    base = imported(
        call,
        work,
        "old weights.h5",
        "--arch",
        "cnn2",
        "--dataset",
        "digits-0-5.h5",
        "--mean",
        str(MEAN),
        "--std",
        str(STD),
    )
    dataset = store.read(work / "digits-0-5.h5", Dataset)
    expected = model.predict((dataset.test.images[:] - MEAN) / STD, verbose=0)
    np.testing.assert_allclose(softmax(logits_of(base, dataset.test.images[:])), expected, atol=1e-5)
    assert expected.max() > 0.3
    assert base.class_names == ["0", "1", "2", "3", "4", "5"]
    assert base.recipe["imported_from"] == "old weights.h5"
    assert base.recipe["imported_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [p.name for p in base.provenance.parents] == ["digits-0-5.h5"]
    assert base.provenance.command == (
        "tlcli import-weights 'old weights.h5' --arch cnn2 --dataset digits-0-5.h5 "
        "--mean 121.936 --std 68.389"
    )


def test_what_keras_itself_saves(call, work):
    """`save_weights`, and a whole model in the legacy layout, as this version of Keras writes them."""
    model = plain_cnn2()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save_weights(work / "x.weights.h5")
    model.save(work / "whole.h5")
    expected = {p.path: p.numpy() for p in model.weights}
    for name in ("x.weights.h5", "whole.h5"):
        base = imported(call, work, name, "--arch", "cnn2", "--classes", "6", "--input", "8x8x1")
        for found, array in zip(base.weights.values(), expected.values(), strict=True):
            np.testing.assert_array_equal(found, array)
    assert np.allclose(base.std, 1)
    assert not base.mean.any()
    done = call("inspect", "imported.h5")
    assert b"whole.h5" in done.stdout
    assert call("verify", "imported.h5").returncode == 0


def test_it_serves_as_a_base_and_the_same_file_gives_the_same_bytes(call, work):
    keras_weights = as_legacy(work / "x.h5", plain_cnn2())
    imported(call, work, "x.h5", "--arch", "cnn2", "--dataset", "digits-0-5.h5")
    first = (work / "imported.h5").read_bytes()
    (work / "elsewhere").mkdir()
    shutil.copy(keras_weights, work / "elsewhere")
    imported(call, work, "elsewhere/x.h5", "--dataset", "digits-0-5.h5", "--arch", "cnn2")
    assert (work / "imported.h5").read_bytes() == first
    done = call(
        "transfer", "imported.h5", "digits-6-9.h5", "--method", "freeze", "--samples", "200", "-o", "r.h5"
    )
    assert done.returncode == 0, done.stderr.decode()
    assert call("report", "r.h5", "imported.h5", "-o", "report").returncode == 0


def test_the_accuracy_on_a_published_set_shows_the_preprocessing(call, work):
    """It is that of plain Keras on the same test images."""
    from tlcli import data

    model = plain_cnn2(10)
    model.save_weights(work / "ten.weights.h5")
    asked = ("ten.weights.h5", "--arch", "cnn2", "--mean", "78", "--std", "96", "--force", "-o", "ten.h5")
    done = call("import-weights", *asked, "--dataset", "digits", "--json")
    test = data.load_source("digits").test
    right = model.predict((test.images[:] - 78) / 96, verbose=0).argmax(axis=1) == test.labels
    assert json.loads(done.stdout)["test_accuracy"] == pytest.approx(right.mean(), abs=2 / len(right))


def test_the_published_vgg_as_the_help_imports_it(call, work, monkeypatch):
    for name in ("TLCLI_DATA_DIR", "TLCLI_CACHE_DIR", "KERAS_HOME"):
        monkeypatch.setenv(name, str(work))
    model = plain_vgg16()
    as_legacy(work / "cifar100vgg.h5", model)
    done = call(*shlex.split(module("import-weights").EXAMPLES[0])[1:])
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"cifar100vgg-vgg16.h5\n"
    assert b"not on this machine" in done.stderr
    base = store.read(work / "cifar100vgg-vgg16.h5", Checkpoint)
    assert (len(base.class_names), base.class_names[0]) == (100, "apple")
    assert sum(array.size for array in base.weights.values()) == 15_047_588
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    expected = model.predict((images - MEAN) / STD, verbose=0)
    np.testing.assert_allclose(softmax(logits_of(base, images)), expected, atol=1e-5)


PLAIN_KERAS = """
import sys
sys.modules["tlcli"] = None
import keras
import numpy as np

images = np.load("images.npz")
found = {}
for name in sys.argv[1:]:
    model = keras.models.load_model(f"{name}.keras")
    found[name] = model.predict(images[name], verbose=0)
    assert not [one for one in model.layers if not type(one).__module__.startswith("keras.")]
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(f"{name}.weights.h5")
    assert np.array_equal(model.predict(images[name], verbose=0), found[name])
layers = keras.layers
own = keras.Sequential([
    keras.Input((8, 8, 1)), layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(32, 3, activation="relu"),
    layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(128, activation="relu"),
    layers.Dropout(0.5), layers.Dense(6),
])
own.load_weights("cnn2.weights.h5")
found["own"] = own.predict((images["cnn2"].astype("float32") - 100) / 60, verbose=0)
np.savez("found.npz", **found)
"""
EXPORTED = {
    "cnn2": ((8, 8, 1), {"dropout": "0.5"}),
    "cnn6-bn": ((16, 16, 3), {}),
    "densenet": ((16, 16, 3), {}),
    "small-cnn": ((16, 16, 3), {"head_units": "8"}),
    "whitened-cnn": ((16, 16, 3), {"filters": "8-12-16"}),
}


def random_base(name: str, shape: tuple[int, int, int], options: dict) -> Checkpoint:
    from tlcli.models import network as net

    network = net.build(name, shape, 6, options)
    randomized(network.model)
    constants = np.full(shape[2], 100 / 255, np.float32), np.full(shape[2], 60 / 255, np.float32)
    return Checkpoint(
        name, network.options, shape, list("abcdef"), np.arange(6), *constants, net.weights(network.model)
    )


def test_plain_keras_loads_what_is_exported_and_predicts_the_same(call, work):
    """In a process that cannot import tlcli; every architecture with layers of its own, and dropout."""
    rng = np.random.default_rng(0)
    images, expected = {}, {}
    for name, (shape, options) in EXPORTED.items():
        base = random_base(name, shape, options)
        base.channel_order = "bgr" if name == "densenet" else "rgb"
        store.write(work / f"{name}.h5", base)
        for suffix in (".keras", ".weights.h5"):
            done = call("export-weights", f"{name}.h5", "-o", name + suffix)
            assert done.returncode == 0, done.stderr.decode()
            assert done.stdout.decode() == f"{name}{suffix}\n"
        images[name] = rng.integers(0, 256, (5, *shape)).astype(np.uint8)
        expected[name] = logits_of(base, images[name])
    np.savez(work / "images.npz", **images)
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_KERAS, *EXPORTED],
        cwd=work,
        capture_output=True,
        env={**ENVIRONMENT, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr.decode()
    found = np.load(work / "found.npz")
    for name, logits in {**expected, "own": expected["cnn2"]}.items():
        np.testing.assert_allclose(found[name], logits, rtol=1e-4, atol=2e-5, err_msg=name)
        assert np.ptp(logits) > 0.1, name


def test_the_round_trip_keeps_the_weights_and_the_bytes(call, work):
    base = random_base("small-cnn", (16, 16, 3), {})
    store.write(work / "base.h5", base)
    result = json.loads(call("export-weights", "base.h5", "-o", "base.weights.h5", "--json").stdout)
    mean, std = ",".join(map(str, result["mean"])), str(result["std"][0])
    again = imported(
        call,
        work,
        "base.weights.h5",
        "--arch",
        "small-cnn",
        "--classes",
        "6",
        "--input",
        "16x16x3",
        "--mean",
        mean,
        "--std",
        std,
    )
    assert [*again.weights] == [*base.weights]
    assert all(np.array_equal(again.weights[key], base.weights[key]) for key in base.weights)
    np.testing.assert_allclose([again.mean, again.std], [base.mean, base.std], rtol=1e-6)
    assert call("export-weights", "base.h5").stdout == b"base.keras\n"
    first = (work / "base.keras").read_bytes()
    assert call("export-weights", "imported.h5", "-o", "again.weights.h5").returncode == 0
    assert (work / "again.weights.h5").read_bytes() == (work / "base.weights.h5").read_bytes()
    assert call("export-weights", "base.h5", "--force").returncode == 0
    assert (work / "base.keras").read_bytes() == first
    assert in_own_process(work, "export-weights", "base.h5", "--force") == "numpy True"
    assert (work / "base.keras").read_bytes() == first  # as with TensorFlow


def in_own_process(folder, *arguments):
    """The backend of Keras in a process that ends with a command, and whether no framework is loaded."""
    program = (
        "import sys; from tlcli.cli import commands, main; commands.OWN_PROCESS = True; "
        "assert main.run(sys.argv[1:]) == 0; from keras import config; "
        "print(config.backend(), not any(map(sys.modules.get, ('jax', 'tensorflow'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "-q"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_images_that_are_not_here_are_told_from_damaged_ones(tmp_path, monkeypatch):
    for name in ("TLCLI_DATA_DIR", "TLCLI_CACHE_DIR", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    missing = Task(architecture("cnn2"), "mnist", None, None, False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"cut")
    damaged = Task(architecture("cnn2"), "mnist", None, None, False)
    assert (missing.test, damaged.test) == (None, None)
    assert "train-images-idx3-ubyte" not in missing.untested
    assert "train-images-idx3-ubyte" in damaged.untested


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--arch", "cnn2"], 2, ["--dataset", "--classes"]),
        (["--arch", "cnn2", "--classes", "6", "--dataset", "digits"], 2, ["--dataset", "--classes"]),
        (["--arch", "cnn2", "--classes", "0"], 2, ["--classes"]),
        (["--arch", "cnn3", "--classes", "6"], 2, ["cnn3", "cnn8"]),
        (["--arch", "cnn2", "--dataset", "digts"], 2, ["digts", "'digits'"]),
        (["--arch", "cnn2", "--dataset", "pixels.h5"], 1, ["pixels.h5", "expected a dataset"]),
        (["--arch", "cnn2", "--dataset", "digits", "--input", "8x8x1"], 2, ["--input", "--dataset"]),
        (["--arch", "cnn2", "--classes", "6", "--mean", "1,2,3"], 2, ["--mean", "'1,2,3'"]),
        (["--arch", "cnn2", "--classes", "6", "--std", "0"], 2, ["--std", "above 0"]),
        (["--arch", "cnn2", "--classes", "6", "--std", "nan"], 2, ["--std"]),
        (["--arch", "cnn2", "--classes", "6", "--arch-option", "depth=3"], 2, ["depth"]),
    ],
)
def test_wrong_usage_of_import(call, work, arguments, code, words):
    keras_files.legacy(work / "x.h5", keras_files.as_legacy(keras_files.arrays()))
    fails(call("import-weights", "x.h5", *arguments, "-o", "out.h5"), code, *words)
    assert not (work / "out.h5").exists()


def test_weights_of_another_network_are_refused(call, work):
    keras_files.legacy(work / "x.h5", keras_files.as_legacy(keras_files.arrays()))
    with h5py.File(work / "evil.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("x.h5", "/")
    for name, words in (
        ("x.h5", ["(3, 3, 1, 4)", "(3, 3, 1, 32)", "conv1/kernel"]),
        ("evil.h5", ["external"]),
        ("none.h5", ["does not exist"]),
        ("digits-0-5.h5", ["not a weights file"]),
    ):
        message = call("import-weights", name, "--arch", "cnn2", "--classes", "6", "--input", "8x8x1")
        fails(message, 1, name, *words)
    assert not list(work.glob("*-cnn2.h5"))


def test_a_scale_that_looks_wrong_is_warned_of(call, work):
    as_legacy(work / "x.h5", plain_cnn2())
    done = call("import-weights", "x.h5", "--arch", "cnn2", "--dataset", "digits-0-5.h5", "--std", "0.3")
    assert b"255 times" in done.stderr


def test_wrong_usage_of_export(call, work):
    store.write(work / "base.h5", random_base("cnn2", (8, 8, 1), {}))
    for output in ("base.h5", "-", "x.zip", ".", ""):
        fails(call("export-weights", "base.h5", "-o", output), 2, ".keras", ".weights.h5")
    fails(call("export-weights", "digits-0-5.h5", "-o", "x.keras"), 1, "expected a checkpoint")
    fails(call("export-weights", "base.h5", "-o", "no/x.keras"), 1, "folder")
    (work / "x.keras").write_bytes(b"precious")
    fails(call("export-weights", "base.h5", "-o", "x.keras"), 1, "--force")
    assert (work / "x.keras").read_bytes() == b"precious"
    assert call("export-weights", "base.h5", "-o", "x.keras", "--force").returncode == 0
    assert (work / "x.keras").read_bytes()[:2] == b"PK"
    assert not list(work.glob(".*tlcli-tmp"))
