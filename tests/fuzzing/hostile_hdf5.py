"""HDF5 files whose reading could take more time or memory than their size allows."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import hdf5, sources, weights  # noqa: F401  they register the openers
from fuzzing.kinds import KINDS

# HDF5


def _edited(change: Callable[[Any], None]) -> bytes:
    """A dataset file of tlcli with something else in it, as h5py writes it."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.h5")
        path.write_bytes(KINDS["dataset"].make()[0])
        with h5py.File(path, "r+") as file:
            change(file)
        return path.read_bytes()


def small_chunks(n: int) -> bytes:
    def change(file: Any) -> None:
        for name in ("labels", "source_index", "images"):
            del file["train/" + name]
        file.create_dataset("train/labels", data=np.zeros(n, "i8"), chunks=(1,))
        file["train/source_index"], file["train/images"] = np.zeros(n, "i8"), np.zeros((n, 1, 1, 1), "u1")
        for name in ("test", "validation"):
            count = len(file[f"{name}/images"])
            del file[f"{name}/images"]
            file[f"{name}/images"] = np.zeros((count, 1, 1, 1), "u1")

    return _edited(change)


def class_named_twice(n: int) -> bytes:
    def change(file: Any) -> None:
        del file["classes/names"], file["classes/original"]
        file["classes/names"] = np.array([b"%06d" % i for i in range(n)] + [b"%06d" % (n - 1)])
        file["classes/original"] = np.arange(n + 1)

    return _edited(change)


def many_groups(n: int) -> bytes:
    def change(file: Any) -> None:
        for i in range(n):
            file["train"].create_group(f"{i}")

    return _edited(change)


def many_attributes(n: int) -> bytes:
    def change(file: Any) -> None:
        for i in range(n):
            group = file.create_group(f"{i}")
            for j in range(20):
                group.attrs[f"a{j}"] = np.int64(j)

    return _edited(change)


def zeros_in_chunks(n: int) -> bytes:
    """So many MiB of images, a thousandth of it stored."""

    def change(file: Any) -> None:
        del file["train/images"], file["train/labels"], file["train/source_index"]
        images = np.zeros((n, 512, 1024, 2), np.uint8)
        file.create_dataset("train/images", data=images, chunks=(1, 512, 1024, 2), compression="gzip")
        file["train/labels"], file["train/source_index"] = np.zeros(n, "i8"), np.zeros(n, "i8")

    return _edited(change)


def empty_names(n: int) -> bytes:
    """So many thousand texts of one byte."""

    def change(file: Any) -> None:
        del file["classes/names"]
        names = np.zeros(n * 1000, "S1")
        file.create_dataset("classes/names", data=names, chunks=(min(100_000, n * 1000),), compression="gzip")

    return _edited(change)


def branches_of_a_tree(n: int) -> bytes:
    """So many chunks in a tree of version 1 whose root has the same branch 64 times, five levels down."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.h5")
        with h5py.File(path, "w", libver="earliest") as file:
            file.create_dataset("a", data=np.zeros(n, "u1"), chunks=(1,))
        content = bytearray(path.read_bytes())
    trees = [m.start() for m in re.finditer(b"TREE\x01", content)]
    root = max(trees, key=lambda place: content[place + 5])
    child = next(place for place in trees if content[place + 5] == 0)
    at = content.index(struct.pack("<Q", root))
    for level in range(1, 6):
        node = b"TREE" + struct.pack("<BBH", 1, level, 64) + b"\xff" * 16
        keys = [struct.pack("<IIQQQ", 1, 0, i * 64**level, 0, child) for i in range(64)]
        child = len(content)
        content += node + b"".join(keys) + struct.pack("<IIQQ", 1, 0, 64**6, 0)
    content[at : at + 8] = struct.pack("<Q", child)
    content[40:48] = struct.pack("<Q", len(content))
    return bytes(content)


def objects_in_json(n: int) -> bytes:
    def change(file: Any) -> None:
        import h5py

        del file.attrs["options"]
        text = b'{"a":[' + b",".join([b"{}"] * (n * 1000)) + b"]}"
        file.create_dataset("options", data=np.array(text, h5py.string_dtype("utf-8", len(text))))

    return _edited(change)


def texts_in_one_place(n: int) -> bytes:
    """Names of layers that all refer to the same long text."""
    import keras_files

    layers = keras_files.as_legacy(keras_files.arrays())
    with tempfile.TemporaryDirectory() as folder:
        path = keras_files.legacy(Path(folder, "x.h5"), layers, "/", keras_files.variable)
        import h5py

        with h5py.File(path, "r+") as file:
            del file.attrs["layer_names"]
            file.attrs.create("layer_names", [b"x" * 60_000, *[b"y"] * n], dtype=h5py.string_dtype())
        content = path.read_bytes()
    place = content.index(b"x" * 60_000)
    heap = content.rindex(b"GCOL", 0, place)
    number = struct.unpack_from("<H", content, place - 16)[0]
    one = struct.pack("<IQI", 1, 0, 0)[:4]
    long = struct.pack("<IQI", 60_000, heap, number)
    start = content.index(long)
    assert content[start + 16 : start + 20] == one
    return content[:start] + long * (n + 1) + content[start + 16 * (n + 1) :]
