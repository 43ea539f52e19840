"""Foreign files, files of another kind and incomplete files are refused in plain words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from tlcli import store
from tlcli.errors import TlcliError


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"PK\x03\x04 zip", "is not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n", "cut short or damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(5000), "cut short or damaged"),
    ],
)
def test_foreign_bytes(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(content)
    for function in (store.read_any, store.describe, store.file_format):
        with pytest.raises(TlcliError, match=words):
            function(tmp_path / "x.h5")


def test_missing_and_odd_paths(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (
        ("no.h5", "does not exist"),
        ("", "is a folder"),
        ("pipe", "not a regular file"),
        ("a\0b", "could not be read"),
        ("n" * 300, "could not be read: file name too long"),
    ):
        with pytest.raises(TlcliError, match=words):
            store.read_any(tmp_path / name)


def test_truncated_anywhere(record: store.Record, tmp_path: Path) -> None:
    store.write(tmp_path / "x.h5", record)
    image = (tmp_path / "x.h5").read_bytes()
    for length in np.linspace(1, len(image) - 1, 40).astype(int):
        (tmp_path / "cut.h5").write_bytes(image[:length])
        with pytest.raises(TlcliError):
            store.read_any(tmp_path / "cut.h5")


def test_another_kind_is_named(checkpoint: store.Checkpoint, tmp_path: Path) -> None:
    store.write(tmp_path / "c.h5", checkpoint)
    words = "c.h5 holds a checkpoint (tlcli-checkpoint); expected a dataset (written by `tlcli split`)."
    with pytest.raises(TlcliError, match=re.escape(words)):
        store.read(tmp_path / "c.h5", store.Dataset)
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file.attrs["layer_names"] = ["dense"]
    with pytest.raises(TlcliError, match=r"none that tlcli wrote; expected results \(.*\) or embeddings"):
        store.read_any(tmp_path / "k.h5", (store.Results, store.Embeddings))


def test_a_newer_version_says_so(dataset: store.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    store.write(path, dataset)
    with h5py.File(path, "r+") as file:
        file.attrs.modify("format_version", np.int64(3))
    with pytest.raises(TlcliError, match="has format version 3; this tlcli reads 1"):
        store.read_any(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["format_version"]
        file.attrs["format_version"] = np.bytes_(b"[" * 3000)
    with pytest.raises(TlcliError) as refused:
        store.read_any(path)
    assert len(str(refused.value)) < 200
