"""Digits, a small base and its targets, made once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tlcli import data, store
from tlcli.store.records import Checkpoint, Dataset


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="session")
def source_set(folder) -> Dataset:
    path = folder / "digits-0-5.h5"
    store.write(path, data.split(data.load_source("digits"), range(6)))
    return store.read(path, Dataset)


@pytest.fixture(scope="session")
def target_set(folder) -> Dataset:
    path = folder / "digits-6-9.h5"
    store.write(path, data.split(data.load_source("digits"), range(6, 10), size=150, validation=0.2))
    return store.read(path, Dataset)


@pytest.fixture(scope="session")
def padded():
    """Give a data set of 8x8 images a margin of two pixels, for networks that halve it three times."""

    def pad(dataset: Dataset) -> Dataset:
        parts = {
            name: dataclasses.replace(part, images=np.pad(part.images[:], ((0, 0), (2, 2), (2, 2), (0, 0))))
            for name, part in dataset.parts.items()
        }
        return dataclasses.replace(dataset, parts=parts)

    return pad


@pytest.fixture(scope="session")
def base(folder, source_set) -> Checkpoint:
    from tlcli.training import Recipe, train_base

    path = folder / "base.h5"
    made = train_base(source_set, "cnn2", recipe=Recipe(epochs=8, batch_size=50))
    store.write(path, made, parents=[source_set])
    return store.read(path, Checkpoint)
