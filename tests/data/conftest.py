"""The folders of the real data sets, and small stand-ins for them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tlcli.data import Source, load_source
from tlcli.data.source import class_part

_FILES = {
    "mnist": "mnist/train-images-idx3-ubyte.gz",
    "fashion-mnist": "fashion-mnist/train-images-idx3-ubyte.gz",
    "cifar10": "cifar-10-batches-bin/test_batch.bin",
    "cifar100": "cifar-100-binary/test.bin",
}
_DATA_DIR = os.environ.get("TLCLI_DATA_DIR")
_cache: dict[str, Source] = {}


@pytest.fixture
def published(monkeypatch):
    """A function that gives a published set by name; skips the test if its files are missing."""

    def find(name: str) -> Source:
        if name in _cache:
            return _cache[name]
        folders = [_DATA_DIR, Path(__file__).parents[3] / "shared" / "data"]
        for folder in folders:
            if folder and (Path(folder) / _FILES[name]).is_file():
                _cache[name] = load_source(name, data_dir=folder, download=False)
                return _cache[name]
        pytest.skip(f"the files of {name} are not here: name their folder in TLCLI_DATA_DIR")

    return find


@pytest.fixture
def no_caches(monkeypatch, tmp_path):
    """Hide Keras's cache, tlcli's cache and the data folder of this machine."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TLCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("TLCLI_DATA_DIR", raising=False)


@pytest.fixture
def tiny():
    """Makes a source of the given number of training images per class; pixel values tell them apart."""

    def make(counts: list[int], tests: int = 2, names: list[str] | None = None) -> Source:
        def part(each: list[int]):
            labels = np.repeat(np.arange(len(each)), each)
            images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones(
                (1, 2, 2, 1), np.uint8
            )
            return class_part(images, labels)

        return Source(
            "tiny", part(counts), part([tests] * len(counts)), names or [str(c) for c in range(len(counts))]
        )

    return make
