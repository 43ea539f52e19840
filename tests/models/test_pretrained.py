"""Networks with published weights: they compute what the publisher's own program computes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tlcli.models import exchange
from tlcli.models import network as net
from tlcli.models.registry import architecture
from tlcli.store.records import Checkpoint, Dataset, Part
from tlcli.store.weights import open_weights
from tlcli.training.embedding import embed, rebuild

WEIGHTS = Path(__file__).parents[3] / "shared" / "data" / "efficientnet-lite0"


def imported(path: Path, side: int, classes: int, options: dict | None = None) -> Checkpoint:
    network = net.build("efficientnet-lite0", (side, side, 3), classes, options)
    published = architecture("efficientnet-lite0").pretrained
    assert published is not None
    mean, std = (np.full(3, value[0], np.float32) for value in (published.mean, published.std))
    with open_weights(path) as file:
        names = [str(number) for number in range(classes)]
        return exchange.import_weights(file, network, names, np.arange(classes), mean, std)


def outputs(base: Checkpoint, images: np.ndarray) -> np.ndarray:
    part = Part(images, np.zeros(len(images), np.int64), np.arange(len(images)))
    dataset = Dataset({"train": part}, ["one"], np.zeros(1, np.int64))
    return embed(base, dataset, "head").parts["train"].embeddings


def test_efficientnet_lite0_gives_the_publishers_logits() -> None:
    folder = Path(os.environ.get("TLCLI_WEIGHTS_DIR", WEIGHTS))
    if not (folder / "imagenet.safetensors").exists():
        pytest.skip(f"the ImageNet weights of EfficientNet-Lite0 are not in {folder}")
    pytest.importorskip("safetensors")
    reference = np.load(folder / "reference.npz")
    base = imported(folder / "imagenet.safetensors", 224, 1000)
    found = outputs(base, reference["images"])
    np.testing.assert_allclose(found, reference["logits"], atol=1e-3)
    assert np.ptp(found) > 5
    assert sum(v.size for k, v in base.weights.items() if "moving" not in k) == 4_652_008


def test_weights_go_through_pytorchs_names_and_back(tmp_path: Path) -> None:
    """Also: a network that resizes its images is the network on resized images."""
    import keras

    save = pytest.importorskip("safetensors.numpy").save_file
    network = net.build("efficientnet-lite0", (32, 32, 3), 7)
    weights = net.initial_weights(network, 3, "base")
    name = architecture("efficientnet-lite0").pretrained.pytorch_name
    tensors = {}
    for key, value in weights.items():
        layer, variable = key.split("/")
        suffix = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}.get(
            variable, variable.replace("moving", "running").replace("variance", "var")
        )
        if value.ndim == 4:
            value = (
                value.transpose(2, 3, 0, 1) if layer.endswith("_depthwise") else value.transpose(3, 2, 0, 1)
            )
        tensors[f"{name(layer)}.{suffix}"] = np.ascontiguousarray(value.T if value.ndim == 2 else value)
    save(tensors, tmp_path / "x.safetensors")
    base = imported(tmp_path / "x.safetensors", 32, 7)
    assert [*base.weights] == [*weights]
    assert all(np.array_equal(base.weights[key], weights[key]) for key in weights)

    small = imported(tmp_path / "x.safetensors", 16, 7, {"resize": "32"})
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    large = keras.ops.image.resize(images.astype(np.float32), (32, 32), interpolation="bicubic")
    pixels = (np.asarray(large) / 255 - base.mean) / base.std
    network = rebuild(base)
    np.testing.assert_allclose(outputs(small, images), network.model.predict(pixels, verbose=0), atol=1e-4)
