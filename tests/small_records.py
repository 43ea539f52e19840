"""Small records of the four kinds, made from seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tlcli import store
from tlcli.store.results import shorten_logits

NAMES = ["six", "seven", "été"]


def make_dataset(train: int = 20, test: int = 7, validation: int = 5) -> store.Dataset:
    rng = np.random.default_rng(0)

    def part(n: int) -> store.Part:
        images = rng.integers(0, 256, (n, 6, 5, 2), np.uint8)
        return store.Part(images, rng.integers(0, 3, n), rng.permutation(100 * n)[:n])

    parts = {"train": part(train), "test": part(test)}
    if validation:
        parts["validation"] = part(validation)
    return store.Dataset(parts, list(NAMES), np.array([6, 7, 11]), "mnist", {"seed": 0, "classes": "6,7,11"})


def make_checkpoint() -> store.Checkpoint:
    rng = np.random.default_rng(1)
    steps = np.arange(4, dtype=np.int64) * 1000
    return store.Checkpoint(
        architecture="lab-cnn",
        options={"dropout": 0.5, "filters": [32, 32]},
        input_shape=(6, 5, 2),
        class_names=list(NAMES),
        class_original=np.array([6, 7, 11]),
        mean=np.array([0.1, 0.2], np.float32),
        std=np.array([0.3, 0.4], np.float32),
        weights={
            "conv_2/kernel": rng.random((3, 3, 2, 4), np.float32),
            "conv_1/bias": np.zeros(4, np.float32),
            "a/kernel": rng.random((4, 3), np.float32),
        },
        recipe={"epochs": 3, "optimizer": "adam"},
        seed=7,
        samples_seen=3000,
        complete=False,
        history={
            "samples_seen": steps,
            "train_loss": np.array([1.0, 0.5, 0.25, 0.1]),
            "test_accuracy": np.array([0.1, 0.5, 0.75, 1.0]),
        },
        test_predictions=rng.integers(0, 3, 7),
        state={"dropout/seed": np.array([1, 2], np.uint32), "empty": np.zeros((0, 3), np.float32)},
        channel_order="bgr",
        source="mnist",
        train_source_index=rng.permutation(2000)[:20],
        plugin="networks.py",
        plugin_sha256="cd" * 32,
        notes=["2 of 30 train images are in the test part, too."],
        provenance=store.Provenance(computed_by={"backend": "tensorflow", "device": "cpu", "threads": 2}),
    )


def make_headless() -> store.Checkpoint:
    """A network without a head: it has no classes."""
    return dataclasses.replace(
        make_checkpoint(), class_names=[], class_original=np.zeros(0, np.int64), test_predictions=None
    )


def make_embeddings(n: int = 30, width: int = 8) -> store.Embeddings:
    rng = np.random.default_rng(2)

    def part(n: int) -> store.EmbeddingPart:
        return store.EmbeddingPart(rng.random((n, width), np.float32), rng.integers(0, 3, n), np.arange(n))

    parts = {"train": part(n), "test": part(9)}
    return store.Embeddings(
        parts,
        "dense_1",
        list(NAMES),
        np.array([6, 7, 11]),
        mirrored=True,
        source="mnist",
        notes=["2 of 30 train images are in the test part, too.", "white is taken to be 255"],
    )


def make_results(runs: int = 3) -> store.Results:
    rng = np.random.default_rng(3)
    target = store.Target(
        "mnist-6-9-p0.01", "ab" * 32, 200, list(NAMES), rng.integers(0, 3, 50), np.arange(50), "mnist"
    )

    def run(i: int) -> store.Run:
        history = {"samples_seen": np.arange(5) * 1000, "test_accuracy": rng.random(5)}
        logits = shorten_logits(rng.normal(size=(50, 3)))
        return store.Run(
            "freeze",
            "freeze:copy=2",
            target.name,
            200,
            i,
            i,
            1000,
            100,
            architecture="lab-cnn",
            architecture_options={"filters": [32, 32]},
            base="base.h5",
            base_sha256="ef" * 32,
            copy=2,
            train_accuracy=0.75,
            selected="freeze:copy=2,rate=0.1",
            candidates={"freeze:copy=2,rate=0.1": {"accuracy": 0.5}},
            history=history,
            predictions=logits.argmax(axis=1),
            logits=logits,
        )

    found = store.Neighbours(
        target.name,
        200,
        2,
        layer="dense_1",
        metric="cosine",
        selected_on="cross-validation",
        ks=np.arange(1, 4),
        cv_accuracies=rng.random(3),
        test_accuracies=np.array([0.5, 0.75, np.nan]),
    )
    order = reversed(range(runs))
    return store.Results([run(i) for i in order], {target.name: target}, {"epochs": 3}, neighbours=[found])


MAKERS: dict[str, Callable[[], store.Record]] = {
    "dataset": make_dataset,
    "checkpoint": make_checkpoint,
    "headless": make_headless,
    "embeddings": make_embeddings,
    "results": make_results,
}


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal in values, dtypes, shapes and the order of dictionaries."""
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            if field.name != "provenance":
                assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, dict):
        assert set(a) == set(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key}]")
    elif isinstance(a, list):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        np.testing.assert_array_equal(a, b, where)
    else:
        assert a == b, where
