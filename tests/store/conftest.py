"""Small records of the four kinds, made from seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tlcli import store

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
            "train_loss": np.array([1.0, 0.5, np.nan, 0.1]),
            "test_accuracy": np.array([0.1, 0.5, np.nan, 1.0]),
        },
        test_predictions=rng.integers(0, 3, 7),
        optimizer={"iteration": np.array(30), "conv_2/kernel/momentum": rng.random((3, 3, 2, 4), np.float32)},
        state={"dropout/seed": np.array([1, 2], np.uint32), "empty": np.zeros((0, 3), np.float32)},
    )


def make_embeddings(n: int = 30, width: int = 8) -> store.Embeddings:
    rng = np.random.default_rng(2)

    def part(n: int) -> store.EmbeddingPart:
        return store.EmbeddingPart(rng.random((n, width), np.float32), rng.integers(0, 3, n), np.arange(n))

    return store.Embeddings({"train": part(n), "test": part(9)}, "dense_1", list(NAMES), np.array([6, 7, 11]))


def make_results(runs: int = 3) -> store.Results:
    rng = np.random.default_rng(3)
    target = store.Target(
        "mnist-6-9-p0.01", "ab" * 32, 200, list(NAMES), rng.integers(0, 3, 50), np.arange(50), "mnist"
    )

    def run(i: int) -> store.Run:
        history = {"samples_seen": np.arange(5) * 1000, "test_accuracy": rng.random(5)}
        return store.Run(
            f"mnist-6-9-p0.01|freeze(copy=2)|{i}",
            "freeze",
            "freeze(copy=2)",
            target.name,
            200,
            i,
            i,
            1000,
            100,
            {"base": "base.h5", "copy": 2},
            history,
            rng.integers(0, 3, 50),
        )

    knn = store.Run(
        "knn",
        "knn",
        "knn(euclidean, uniform)",
        target.name,
        200,
        0,
        0,
        0,
        0,
        history={"samples_seen": np.array([200]), "test_accuracy": np.array([0.5])},
        curves={"k": np.arange(1, 4), "cv_accuracy": rng.random(3)},
    )
    return store.Results(
        [*(run(i) for i in reversed(range(runs))), knn], {target.name: target}, {"epochs": 3}
    )


MAKERS: dict[str, Callable[[], store.Record]] = {
    "dataset": make_dataset,
    "checkpoint": make_checkpoint,
    "embeddings": make_embeddings,
    "results": make_results,
}


@pytest.fixture(params=list(MAKERS))
def record(request: pytest.FixtureRequest) -> store.Record:
    """One record of each kind."""
    return MAKERS[request.param]()


@pytest.fixture
def dataset() -> store.Dataset:
    return make_dataset()


@pytest.fixture
def checkpoint() -> store.Checkpoint:
    return make_checkpoint()


@pytest.fixture
def embeddings() -> store.Embeddings:
    return make_embeddings()


@pytest.fixture
def results() -> store.Results:
    return make_results()
