"""The networks of Keras Applications: their names, their layers, and weights that Keras saved."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tlcli import store
from tlcli.errors import TlcliError, UsageError
from tlcli.models import exchange, published
from tlcli.models import network as net
from tlcli.models.layerspec import resolve_layers
from tlcli.models.registry import NETWORKS, architecture
from tlcli.store.records import Checkpoint, Dataset, Part
from tlcli.store.weights import open_weights
from tlcli.training import Recipe, transfer
from tlcli.training.embedding import embed

NAME, SIDE = "keras:MobileNetV3Small", 48


def test_every_network_of_keras_has_a_name_and_its_preprocessing() -> None:
    ours = {name.removeprefix("keras:") for name in NETWORKS.all_names() if name.startswith("keras:")}
    assert ours == {name for name in dir(keras.applications) if name[0].isupper()}
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, 2, 3)).astype(np.float32)
    for name, module in {
        "VGG16": "vgg16",
        "ResNet50": "resnet",
        "ResNet50V2": "resnet_v2",
        "DenseNet121": "densenet",
        "MobileNet": "mobilenet",
        "MobileNetV2": "mobilenet_v2",
        "MobileNetV3Small": "mobilenet_v3",
        "NASNetMobile": "nasnet",
        "Xception": "xception",
        "InceptionV3": "inception_v3",
        "InceptionResNetV2": "inception_resnet_v2",
        "EfficientNetB0": "efficientnet",
        "EfficientNetV2S": "efficientnet_v2",
        "ConvNeXtTiny": "convnext",
    }.items():
        told = architecture(f"keras:{name}").pretrained
        assert told is not None
        ordered = pixels[..., ::-1] if told.channel_order == "bgr" else pixels
        found = (ordered / 255 - np.array(told.mean)) / np.array(told.std)
        expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=name)


def test_layers_are_counted_along_the_branches() -> None:
    """The normalization of a branch belongs to its own convolution, in whichever order they come."""
    layers = keras.layers
    images = keras.Input((8, 8, 3), name="images")
    x = layers.Normalization(name="normalization")(images)
    x = stem = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    x = layers.BatchNormalization(name="block_1_bn")(layers.Conv2D(4, 1, name="block_1_conv")(x))
    x = layers.Conv2D(4, 1, name="block_2_conv")(x)
    x = layers.BatchNormalization(name="block_2_bn")(x)
    side = layers.BatchNormalization(name="side_bn")(layers.Conv2D(4, 1, name="side_conv")(stem))
    x = layers.BatchNormalization(name="joint_bn")(layers.Add()([x, side]))
    x = layers.SeparableConv2D(4, 3, name="block_12a_separable")(x)
    logits = layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(x))
    groups = net.weighted_groups(keras.Model(images, logits))
    by_first = {group[0]: group for group in groups}
    assert by_first["side_conv"][:2] == ("side_conv", "side_bn")
    assert by_first["block_1_conv"] == ("block_1_conv", "block_1_bn")
    assert {"block_2_bn", "joint_bn"} <= {*by_first["block_2_conv"], *by_first["side_conv"]}
    assert [groups[0], groups[-2], groups[-1]] == [("normalization",), ("block_12a_separable",), ("head",)]
    below = len(groups) - 1
    assert resolve_layers("block_12", groups, "freeze") == [below]
    assert resolve_layers("block_1", groups, "freeze") == [groups.index(by_first["block_1_conv"]) + 1]
    with pytest.raises(UsageError, match="a block"):
        resolve_layers("block_3", groups, "freeze")


def base_of(path: Path, classes: int = 5) -> Checkpoint:
    names = [str(number) for number in range(classes)]
    network = net.build(NAME, (SIDE, SIDE, 3), max(1, classes))
    with open_weights(path) as file:
        ones = np.ones(3, np.float32)
        return exchange.import_weights(file, network, names, np.arange(classes), 0 * ones, ones / 255)


@pytest.fixture(scope="module")
def plain():
    """A network as a user builds it, with another head and random weights."""
    inputs = keras.Input((SIDE, SIDE, 3))
    make = keras.applications.MobileNetV3Small
    below = make(include_top=False, weights=None, input_tensor=inputs, pooling="avg")
    model = keras.Model(inputs, keras.layers.Dense(5)(below.output))
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(0, 0.02, w.shape).astype(np.float32) for w in model.get_weights()])
    return model


def test_weights_saved_by_keras_give_its_features(plain: keras.Model, tmp_path: Path) -> None:
    """In all of Keras's files; also as part of another network, and without the head."""
    images = np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8)
    expected = plain.predict(images.astype(np.float32), verbose=0)
    plain.save(tmp_path / "whole.h5")
    plain.save(tmp_path / "whole.keras")
    plain.save_weights(tmp_path / "x.weights.h5")
    below = keras.Model(plain.inputs, plain.layers[-2].output)
    below.save(tmp_path / "notop.h5")
    nested = keras.Sequential([keras.Input((SIDE, SIDE, 3)), below, plain.layers[-1]])
    nested.save(tmp_path / "nested.h5")
    nested.save(tmp_path / "nested.keras")
    weights = base_of(tmp_path / "whole.h5").weights
    for name in ("whole.keras", "x.weights.h5", "nested.h5", "nested.keras"):
        found = base_of(tmp_path / name).weights
        assert [*found] == [*weights], name
        assert all(np.array_equal(found[key], weights[key]) for key in weights), name
    part = Part(images, np.zeros(4, np.int64), np.arange(4))
    dataset = Dataset({"train": part}, ["one"], np.zeros(1, np.int64))
    base = base_of(tmp_path / "whole.h5")
    found = embed(base, dataset, "head").parts["train"].embeddings
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected) > 1e-3

    mean, std = np.array([0.3, 0.4, 0.5], np.float32), np.array([0.01, 0.02, 0.03], np.float32)
    blue_first = dataclasses.replace(base, channel_order="bgr", mean=mean, std=std)
    found = embed(blue_first, dataset, "head").parts["train"].embeddings
    expected = plain.predict((images[..., ::-1] / np.float32(255) - mean) / std, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)

    for name in ("notop.h5", "whole.h5", "whole.keras"):
        headless = base_of(tmp_path / name, classes=0)
        assert [*headless.weights] == [key for key in weights if not key.startswith("head/")]
    with pytest.raises(TlcliError, match=r"lacks head"):
        base_of(tmp_path / "notop.h5")


def test_the_chain_from_a_network_of_keras(plain: keras.Model, tmp_path: Path) -> None:
    """Heads, frozen layers up to a block, and all layers tuned; the kept network is the trained one."""
    plain.save(tmp_path / "whole.h5")
    base = base_of(tmp_path / "whole.h5", classes=0)
    rng = np.random.default_rng(2)
    parts = {
        name: Part(
            rng.integers(0, 256, (16, SIDE, SIDE, 3)).astype(np.uint8), np.arange(16) % 2, np.arange(16)
        )
        for name in ("train", "test")
    }
    dataset = Dataset(parts, ["a", "b"], np.arange(2))
    arms = ["logistic", "freeze:freeze=expanded_conv_3", "finetune"]
    recipe = Recipe(samples=16, batch_size=8)
    results = transfer(base, [dataset], arms, recipe=recipe, save_dir=tmp_path / "networks")
    logistic, frozen, tuned = results.runs
    assert frozen.freeze < tuned.copy == logistic.copy
    assert logistic.trainable_parameters < frozen.trainable_parameters < tuned.trainable_parameters
    kept = store.read(next((tmp_path / "networks").glob("*finetune*")), Checkpoint)
    logits = embed(kept, dataset, "head").parts["test"].embeddings
    assert np.array_equal(logits.argmax(axis=1), tuned.predictions)


def test_published_weights_are_checked(plain: keras.Model, tmp_path: Path, monkeypatch) -> None:
    asked = published.published_file(NAME, head=False)
    assert asked.name.endswith(".h5")
    assert asked.url.startswith("https://")
    assert len(asked.digest) in (32, 64)
    with pytest.raises(UsageError, match="`headless`"):
        published.published_file(NAME, head=True)
    with pytest.raises(TlcliError, match=f"holds no {asked.name}"):
        published.find(asked, tmp_path)
    (tmp_path / asked.name).write_bytes(b"something else")
    with pytest.raises(TlcliError, match="not the file that Keras published"):
        published.find(asked, tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    shutil.copytree(tmp_path, tmp_path / "models", ignore=shutil.ignore_patterns("models"))
    with pytest.raises(TlcliError, match="not the file that Keras published"):
        published.find(asked, None)


def test_the_configuration_is_read_as_data(plain: keras.Model, tmp_path: Path) -> None:
    plain.save(tmp_path / "x.keras")
    evil = {"module": "builtins", "class_name": "exec", "config": {"name": "cnn2", "function": "import os"}}
    with zipfile.ZipFile(tmp_path / "x.keras") as there, zipfile.ZipFile(tmp_path / "e.keras", "w") as made:
        made.writestr("model.weights.h5", there.read("model.weights.h5"))
        made.writestr("config.json", json.dumps(evil))
    with open_weights(tmp_path / "e.keras") as file:
        assert file.model == "cnn2"
