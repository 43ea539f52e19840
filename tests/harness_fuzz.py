"""Opens mutated files of every kind that tlcli reads, and looks at how that ends.

    python tests/harness_fuzz.py --cases 12000

Each case is drawn from (seed, kind, number), so that any can be made again: `--kind K --first N --cases 1`.
Allowed is what the file holds, or an error in a line or two. A traceback is not, nor is a case that takes
longer than TIME_LIMIT, or more memory than its kind may, nor one that ends the interpreter: cases run in
worker processes, so that even this is counted and the next case goes on.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import gzip
import io
import json
import os
import pickle
import resource
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "store"))

TIME_LIMIT = 20.0
"""Seconds that a case may take; an honest file of these sizes takes some milliseconds."""
MEMORY_LIMIT = 300 << 20
"""Bytes that a case may add to the memory of the process."""
PIXEL_MEMORY = 1700 << 20
"""For images, of which each may have 100 million pixels, in colour, and be converted."""

Make = Callable[[], list[bytes]]
Open = Callable[[Path], str | None]


@dataclasses.dataclass
class Kind:
    """A kind of file: some good ones, how one is opened, and what a mutation may be."""

    name: str
    suffix: str
    make: Make
    open: Open
    """Returns a digest where the content must be that of a good file or refused; None where it may differ."""
    edits: Callable[[Path, np.random.Generator], None] | None = None
    """A mutation of its own, instead of one of the bytes."""
    memory: int = MEMORY_LIMIT


KINDS: dict[str, Kind] = {}


def register(name: str, suffix: str, **options: Any) -> Callable[[Make], Make]:
    """Register a kind with the function that makes good files of it."""

    def add(make: Make) -> Make:
        KINDS[name] = Kind(name, suffix, make, **options)
        return make

    return add


# --- mutations of bytes -------------------------------------------------------------------------------------


def mutate(files: list[bytes], rng: np.random.Generator) -> bytes:
    """One file with one to four mutations."""
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        BYTE_MUTATIONS[rng.integers(len(BYTE_MUTATIONS))](data, files, rng)
    return bytes(data)


def _span(data: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(2 ** rng.uniform(0, 12)))


def _flip_bits(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(data), int(rng.integers(1, 17))):
        data[place] ^= 1 << int(rng.integers(8))


def _flip_early(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    """Headers are where the sizes stand."""
    for place in rng.integers(0, min(len(data), 1024), int(rng.integers(1, 5))):
        data[place] ^= 1 << int(rng.integers(8))


def _truncate(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def _overwrite(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    fill = [rng.bytes(stop - start), bytes(stop - start), b"\xff" * (stop - start)]
    data[start:stop] = fill[rng.integers(3)]


def _number(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    """A number that is often the wrong one, of any width and either order."""
    value = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**62, 2**63 - 1]))
    width = int(rng.choice([1, 2, 4, 8]))
    start = int(rng.integers(len(data)))
    order = "little" if rng.random() < 0.7 else "big"
    data[start : start + width] = (value % 256**width).to_bytes(width, order)  # type: ignore[arg-type]


def _copy_block(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    to = int(rng.integers(len(data)))
    data[to : to + stop - start] = data[start:stop]


def _splice(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    """A block of another file of the kind, in its place."""
    start, stop = _span(data, rng)
    data[start:stop] = files[rng.integers(len(files))][start:stop]


def _swap_blocks(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    size = int(2 ** rng.uniform(2, 10))
    one, other = sorted(int(n) for n in rng.integers(0, len(data), 2))
    size = min(size, other - one, len(data) - other)
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _remove_block(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    del data[start:stop]


def _insert_block(data: bytearray, files: list[bytes], rng: np.random.Generator) -> None:
    start, stop = _span(data, rng)
    data[start:start] = data[start:stop]


BYTE_MUTATIONS = [
    _flip_bits, _flip_bits, _flip_early, _truncate, _overwrite, _number, _number, _copy_block, _splice,
    _swap_blocks, _remove_block, _insert_block,
]  # fmt: skip


# --- HDF5 ---------------------------------------------------------------------------------------------------


def _records() -> dict[str, Any]:
    from conftest import MAKERS

    return {name: make() for name, make in MAKERS.items()}


def _written(record: Any, *, old: bool = False) -> bytes:
    """The bytes of a record; `old` in HDF5's first format, whose metadata have no checksums."""
    from h5py import h5f

    from tlcli import store
    from tlcli.store import layout

    plain, folder = layout.VERSIONS, tempfile.mkdtemp()
    try:
        if old:
            layout.VERSIONS = (h5f.LIBVER_EARLIEST, h5f.LIBVER_LATEST)
        store.write(f"{folder}/x.h5", record, command="tlcli made it")
        return Path(folder, "x.h5").read_bytes()
    finally:
        layout.VERSIONS = plain
        shutil.rmtree(folder)


def _open_hdf5(path: Path) -> str:
    """Through every door: looked at, verified, read."""
    from tlcli import store
    from tlcli.errors import TlcliError

    try:
        store.describe(path)
    finally:
        report = store.verify(path)
    try:
        record = store.read_any(path)
    except TlcliError:
        assert not report.ok, "verify says that it is sound, and it cannot be read"
        raise
    assert report.ok, f"read, and verify says {report.problems}"
    return record.provenance.content_sha256


def _open_pipe(path: Path) -> str:
    """As `-`: HDF5 then reads through Python from memory, which is another way through its code."""
    from types import SimpleNamespace
    from unittest import mock

    from tlcli import store

    stdin = SimpleNamespace(buffer=io.BytesIO(path.read_bytes()), isatty=lambda: False)
    with mock.patch.object(sys, "stdin", stdin):
        return store.read_any("-").provenance.content_sha256


def _edit_hdf5(path: Path, rng: np.random.Generator) -> None:
    """What h5py lets anyone do to a file."""
    import h5py

    with h5py.File(path, "r+") as file:
        paths: list[str] = []
        file.visit(paths.append)
        for _ in range(int(rng.integers(1, 4))):
            try:
                HDF5_EDITS[rng.integers(len(HDF5_EDITS))](file, ["/", *paths], rng)
            except (KeyError, ValueError, TypeError, OSError, RuntimeError, AttributeError):
                continue  # this edit is not possible here
    if rng.random() < 0.2:
        path.write_bytes(mutate([path.read_bytes()], rng))


def _value(rng: np.random.Generator, file: Any) -> Any:
    """Something that an attribute or a dataset could hold."""
    import h5py

    shape = tuple(int(n) for n in rng.integers(0, 5, rng.integers(0, 4)))
    return [
        lambda: np.int64(rng.integers(-(2**62), 2**62)), lambda: rng.choice([np.nan, np.inf, 0.5]),
        lambda: "text of variable length", lambda: np.bytes_(rng.bytes(int(rng.integers(1, 200)))),
        lambda: np.bytes_(b"../../etc/passwd"), lambda: np.bytes_(b"<script>alert(1)</script>"),
        lambda: np.bytes_(b'{"a": [1, {"b": 1e999}]}'), lambda: np.bytes_(b"[" * 5000), lambda: True,
        lambda: rng.integers(0, 9, shape), lambda: rng.random(shape), lambda: rng.random(shape).astype("f2"),
        lambda: np.zeros(shape, [("a", "<i8"), ("b", "S3")]), lambda: h5py.Empty("f8"),
        lambda: np.zeros(shape, ">i4"), lambda: np.array(["a", "bc"], "S2"), lambda: np.zeros(shape, "V5"),
        lambda: np.full(shape, 2**63, np.uint64), lambda: file.ref, lambda: np.zeros(shape, complex),
    ][rng.integers(20)]()  # fmt: skip


def _any(paths: list[str], rng: np.random.Generator) -> str:
    return paths[rng.integers(len(paths))]


def _set_attribute(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    target = file[_any(paths, rng)]
    names = [*target.attrs, "extra", "format", "position", "../x", "<b>", "\x1b[2J", "n" * 700]
    target.attrs[names[rng.integers(len(names))]] = _value(rng, file)


def _delete_attribute(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    target = file[_any(paths, rng)]
    names = list(target.attrs)
    del target.attrs[names[rng.integers(len(names))]]


def _replace_dataset(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    name = _any(paths[1:], rng)
    del file[name]
    file[name] = _value(rng, file)


def _odd_dataset(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    """Shapes, chunks and filters that do not fit what is stored."""
    import h5py

    name = _any(paths[1:], rng)
    del file[name]
    shape = tuple(int(2 ** rng.uniform(0, 40 / (i + 1))) for i in range(int(rng.integers(1, 5))))
    chunks = tuple(int(min(n, 2 ** rng.uniform(0, 8))) for n in shape) if rng.random() < 0.7 else None
    packed = rng.choice([None, "gzip", "lzf", "szip"]) if chunks else None
    dtype = str(rng.choice(["u1", "i8", "f4", "f8", "S5"]))
    more = {"maxshape": (None, *shape[1:]), "fletcher32": bool(rng.random() < 0.3)} if chunks else {}
    stored = file.create_dataset(name, shape, dtype, chunks=chunks, compression=packed, **more)
    if chunks and rng.random() < 0.7 and isinstance(stored, h5py.Dataset):
        stored.id.write_direct_chunk((0,) * len(shape), rng.bytes(int(2 ** rng.uniform(0, 12))),
                                     filter_mask=int(rng.integers(0, 4)))  # fmt: skip


def _change_values(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    stored = file[_any(paths, rng)]
    values = np.asarray(stored[()])
    flat = values.reshape(-1)
    flat[rng.integers(len(flat))] = np.frombuffer(rng.bytes(values.dtype.itemsize), values.dtype)[0]
    stored[...] = values


def _link(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    import h5py

    name, other = _any(paths[1:], rng), _any(paths, rng)
    kept = file[other]
    if rng.random() < 0.5:
        del file[name]
    else:
        name += "2"
    file[name] = [kept, h5py.SoftLink(other), h5py.ExternalLink("secret.h5", "/x")][rng.integers(3)]


def _elsewhere(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    """External storage, or a virtual dataset."""
    import h5py

    name = _any(paths[1:], rng)
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    if rng.random() < 0.5:
        file.create_dataset(name, shape, dtype, external=[("secret.h5", 0, 10**6)])
    else:
        plan = h5py.VirtualLayout(shape, dtype)
        plan[...] = h5py.VirtualSource("secret.h5", "x", shape)
        file.create_virtual_dataset(name, plan)


def _move(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    file.move(_any(paths[1:], rng), str(rng.choice(["moved", "train/x", "a/b/c/d", _any(paths, rng) + "/y"])))


def _delete(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    del file[_any(paths[1:], rng)]


HDF5_EDITS = [
    _set_attribute, _set_attribute, _set_attribute, _delete_attribute, _replace_dataset, _odd_dataset,
    _change_values, _link, _elsewhere, _move, _delete,
]  # fmt: skip


def _forge_hdf5(path: Path, rng: np.random.Generator) -> None:
    """Wrong values under right digests, as somebody would write them who has read the documentation."""
    from unittest import mock

    from tlcli import store
    from tlcli.errors import TlcliError
    from tlcli.store import digest, formats, layout

    def change(tree: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            _change_tree(tree, rng)
        tree.set("", "provenance_sha256", digest.provenance_digest(tree))

    record = store.read_any(path)
    rules = mock.patch.object(layout.checks.Rules, "array", return_value=layout.schema.COMMON_ARRAYS[0])
    try:
        with mock.patch.object(formats, "check_tree", change), rules:
            store.write(path, record, force=True, command="tlcli made it")
    except (TlcliError, ValueError, TypeError, KeyError, UnicodeError, AttributeError):
        return  # not even HDF5 would have it


TEXTS = ["", "x", "../x", "<script>", "\x1b[2J", "é" * 300, "none", "nan", "{}", "[]", "[1]", "a|b|c",
         '{"a": 1}', "[6, 5, 2]", '{"epochs": "x"}', '{"copy": []}', "null"]  # fmt: skip


def _change_tree(tree: Any, rng: np.random.Generator) -> None:
    """One change to the arrays or the attributes of a tree."""
    if rng.random() < 0.5:
        group = _any([*tree.attributes], rng)
        name = _any([*tree.attributes[group]], rng)
        old = tree.attributes[group][name]
        if rng.random() < 0.1:
            del tree.attributes[group][name]
        elif isinstance(old, str) and old[:1] in "{[" and rng.random() < 0.7:
            tree.attributes[group][name] = json.dumps(_changed_json(json.loads(old), rng))
        elif isinstance(old, str):
            tree.attributes[group][name] = _any(TEXTS, rng)
        else:
            tree.attributes[group][name] = int(rng.choice([-1, 0, 1, 2**31, 2**62, -(2**63)]))
        return
    path = _any([*tree.datasets], rng)
    data = tree.datasets[path]
    choice = rng.random()
    if isinstance(data, str):
        tree.datasets[path] = json.dumps(_changed_json(json.loads(data), rng))
    elif isinstance(data, list):
        tree.datasets[path] = [_any(TEXTS, rng) if rng.random() < 0.5 else text for text in data]
    elif choice < 0.15:
        del tree.datasets[path]
    elif choice < 0.3 and data.ndim:
        tree.datasets[path] = np.repeat(data, 2, 0) if rng.random() < 0.5 else data[:1]
    elif choice < 0.4:
        tree.datasets[path] = data.astype(str(rng.choice(["f8", "i4", "u1", "f4", "i8"])))
    elif data.size:
        data = data.copy()
        odd = [-1, 0, 1, 7, 100, 10**6] if data.dtype.kind in "iu" else [np.nan, np.inf, -1, 1e300, 0]
        with np.errstate(all="ignore"):
            values = np.asarray(rng.choice(odd, data.size)).astype(data.dtype).reshape(data.shape)
        tree.datasets[path] = np.where(rng.random(data.shape) < rng.choice([0.1, 1.0]), values, data)


def _changed_json(value: Any, rng: np.random.Generator) -> Any:
    """JSON with one value replaced somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = _any([*value], rng)
        return {**value, key: _changed_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = int(rng.integers(len(value)))
        return [*value[:place], _changed_json(value[place], rng), *value[place + 1 :]]
    return [None, 0, -1, 1e300, 2**70, "", "x", "<b>", [], {}, [[]], {"a": None}, True, 0.5][rng.integers(14)]


def _open_forged(path: Path) -> None:
    """A forged file may be read: then what uses it must end well too."""
    from tlcli import store
    from tlcli.analysis import knn

    store.describe(path)
    record = store.read_any(path)
    assert store.verify(path).ok
    if isinstance(record, store.Embeddings):
        knn.evaluate(record, [1, 2, 3])
    elif isinstance(record, store.Dataset):
        from tlcli.data import load_source, split

        source = load_source(str(path))
        split(source, _two_classes(source), size=8)
    else:
        _compose(record)


def _compose(record: Any) -> None:
    """The report, but for the drawing."""
    from tlcli.report.gather import gather
    from tlcli.report.report import compose

    compose(gather([record]), None, "")


def _add_hdf5_kinds() -> None:
    for name in ("dataset", "checkpoint", "embeddings", "results"):
        make, old = _maker(name, old=False), _maker(name, old=True)
        KINDS[name] = Kind(name, ".h5", make, _open_hdf5)
        KINDS[f"{name}, without checksums"] = Kind(f"{name}, without checksums", ".h5", old, _open_hdf5)
        KINDS[f"{name}, edited"] = Kind(f"{name}, edited", ".h5", make, _open_hdf5, _edit_hdf5)
        KINDS[f"{name}, forged"] = Kind(f"{name}, forged", ".h5", make, _open_forged, _forge_hdf5)

    def both() -> list[bytes]:
        return [_written(record, old=old) for record in _records().values() for old in (False, True)]

    KINDS["through a pipe"] = Kind("through a pipe", ".h5", both, _open_pipe)


def _maker(name: str, *, old: bool) -> Make:
    return lambda: [_written(_records()[name], old=old)]


_add_hdf5_kinds()


# --- the sources of `split --dataset` -----------------------------------------------------------------------

IMAGES = np.random.default_rng(5).integers(0, 256, (24, 6, 6, 3), np.uint8)
LABELS = np.arange(24) % 3


def _open_source(path: Path) -> None:
    from tlcli.data import load_source, split

    source = load_source(str(path))
    split(source, _two_classes(source))


def _two_classes(source: Any) -> list[int]:
    """Numbers of classes as `split` takes them."""
    return list(source.class_numbers or range(len(source.class_names)))[:2]


@register("npz", ".npz", open=_open_source)
def _npz() -> list[bytes]:
    files = []
    for save in (np.savez, np.savez_compressed):
        whole = {"images": IMAGES, "labels": LABELS, "class_names": np.array(["a", "b", "c"])}
        parts = {"x_train": IMAGES / 255, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS}
        for names in (whole, parts):
            file = io.BytesIO()
            save(file, **names)  # type: ignore[arg-type]
            files.append(file.getvalue())
    return files


@register("mat 5", ".mat", open=_open_source)
def _mat5() -> list[bytes]:
    import scipy.io

    files = []
    for packed in (False, True):
        file = io.BytesIO()
        held = {"images": IMAGES, "labels": LABELS, "cell": np.array([1, "x"], object), "s": {"a": 1}}
        scipy.io.savemat(file, held, do_compression=packed)
        files.append(file.getvalue())
    return files


@register("mat 7.3", ".mat", open=_open_source)
def _mat73() -> list[bytes]:
    import h5py

    from tlcli.data import matlab

    with tempfile.TemporaryDirectory() as folder:
        with h5py.File(f"{folder}/x.mat", "w", userblock_size=512) as file:
            file.create_dataset("images", data=IMAGES.T, chunks=True, compression="gzip")
            file.create_dataset("labels", data=LABELS.astype(float)[None].T)
        content = bytearray(Path(folder, "x.mat").read_bytes())
    content[:128] = matlab.HEADER_V73.ljust(124) + b"\x00\x02IM"
    return [bytes(content)]


def _open_idx(path: Path) -> None:
    from tlcli.data import idx

    idx.read_idx(path, 1 if path.read_bytes()[3:4] == b"\1" else 3)


@register("idx", "-images-idx3-ubyte", open=_open_idx)
def _idx() -> list[bytes]:
    images, labels = IMAGES[..., 0], LABELS.astype(np.uint8)
    plain = [
        bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        for array in (images, labels)
    ]
    return [*plain, gzip.compress(plain[0], mtime=0)]


def _small_layout() -> Any:
    from tlcli.data.readers import cifar10

    return dataclasses.replace(cifar10.LAYOUT, train=(("data_batch_1", 5),), test=("test_batch", 5))


def _records_of_cifar() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    return rng.integers(0, 10, 5).astype(np.uint8), rng.integers(0, 256, (5, 3072), np.uint8)


def _open_cifar(decode: str) -> Open:
    def opened(path: Path) -> None:
        from tlcli.data import cifar

        getattr(cifar, decode)(_small_layout(), path.name, path.read_bytes(), 5)

    return opened


@register("CIFAR, binary", ".bin", open=_open_cifar("_from_binary"))
def _cifar_binary() -> list[bytes]:
    labels, pixels = _records_of_cifar()
    return [np.concatenate([labels[:, None], pixels], 1).tobytes()]


@register("CIFAR, python", "", open=_open_cifar("_from_python"))
def _cifar_python() -> list[bytes]:
    labels, pixels = _records_of_cifar()
    batch = {"data": pixels, "labels": labels.tolist(), "filenames": ["a.png"] * 5, "batch_label": "x"}
    return [pickle.dumps(batch, protocol) for protocol in range(5)]


def _open_archive(path: Path) -> None:
    from tlcli.data import archives

    archives.read_files(path, {"data_batch_1.bin": 20_000, "test_batch.bin": 20_000})


@register("CIFAR, archive", ".tar.gz", open=_open_archive)
def _cifar_archive() -> list[bytes]:
    import tarfile

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("data_batch_1.bin", "test_batch.bin"):
            member = tarfile.TarInfo(f"cifar/{name}")
            member.size = len(_cifar_binary()[0])
            tar.addfile(member, io.BytesIO(_cifar_binary()[0]))
    return [file.getvalue(), gzip.compress(file.getvalue(), mtime=0)]


def _open_image(path: Path) -> None:
    from tlcli.data import decoding

    for size in (None, (8, 8)):
        pixels = decoding.decode_one(path, size)
        assert pixels.dtype == np.uint8
        assert pixels.ndim in (2, 3)


def _images(format: str, **options: Any) -> list[bytes]:
    from PIL import Image

    files = []
    for pixels in (IMAGES[0], IMAGES[0, ..., 0], np.kron(IMAGES[1], np.ones((9, 9, 1), np.uint8))):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format, **options)
        files.append(file.getvalue())
    return files


@register("PNG", ".png", open=_open_image, memory=PIXEL_MEMORY)
def _png() -> list[bytes]:
    from PIL import Image

    wide, clear, few = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.fromarray(IMAGES[0, ..., 0].astype(np.uint16) * 200).save(wide, "PNG")
    Image.fromarray(np.dstack([IMAGES[0], IMAGES[0, ..., 0]])).save(clear, "PNG")
    Image.fromarray(IMAGES[0]).quantize(4).save(few, "PNG", transparency=0)
    return [*_images("PNG"), wide.getvalue(), clear.getvalue(), few.getvalue()]


@register("JPEG", ".jpg", open=_open_image, memory=PIXEL_MEMORY)
def _jpeg() -> list[bytes]:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    return [*_images("JPEG", exif=exif), *_images("JPEG", progressive=True)]


@register("WebP", ".webp", open=_open_image, memory=PIXEL_MEMORY)
def _webp() -> list[bytes]:
    return [*_images("WEBP"), *_images("WEBP", lossless=True)]


@register("BMP", ".bmp", open=_open_image, memory=PIXEL_MEMORY)
def _bmp() -> list[bytes]:
    return _images("BMP")


@register("zip of images", ".zip", open=_open_source, memory=PIXEL_MEMORY)
def _zip() -> list[bytes]:
    files = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for i, content in enumerate([_images("PNG")[0], _images("BMP")[0]] * 5):
                archive.writestr(zipfile.ZipInfo(f"set/{'ab'[i % 2]}/{i}.{['png', 'bmp'][i % 2]}"), content)
        files.append(file.getvalue())
    return files


# --- formats with checksums of their own: mutated below them ------------------------------------------------


def _edit_members(path: Path, rng: np.random.Generator) -> None:
    """A zip archive with right checksums over mutated members, or with other names."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = _any([*members], rng)
    members[name] = mutate([*members.values()], rng) if rng.random() < 0.3 else mutate([members[name]], rng)
    if rng.random() < 0.15:
        members[_any(["../x.npy", "/etc/x", "x" * 300, "set/a/../../y.png", "labels.npy", ""], rng)] = b"x"
    if rng.random() < 0.15:
        del members[_any([*members], rng)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name or "nameless"), content)


def _edit_png(path: Path, rng: np.random.Generator) -> None:
    """Chunks with right checksums over mutated contents, reordered, repeated, left out."""
    content, chunks, place = path.read_bytes(), [], 8
    while place < len(content):
        size = struct.unpack(">I", content[place : place + 4])[0]
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += size + 12
    for _ in range(int(rng.integers(1, 3))):
        i, choice = int(rng.integers(len(chunks))), rng.random()
        if choice < 0.1:
            chunks.append(chunks.pop(i))
        elif choice < 0.2:
            chunks.insert(i, chunks[i])
        elif choice < 0.3 and len(chunks) > 1:
            del chunks[i]
        elif choice < 0.5 and chunks[i][0] == b"IDAT":
            with contextlib.suppress(zlib.error):
                chunks[i] = (b"IDAT", zlib.compress(mutate([zlib.decompress(chunks[i][1])], rng)))
        else:
            chunks[i] = (chunks[i][0], mutate([chunks[i][1] or b"\0"], rng))
    parts = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    path.write_bytes(content[:8] + b"".join(parts))


def _edit_gzip(path: Path, rng: np.random.Generator) -> None:
    """A gzipped file with a right checksum over mutated contents."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    path.write_bytes(gzip.compress(mutate([content], rng), mtime=0))


KINDS["npz, repacked"] = Kind("npz, repacked", ".npz", _npz, _open_source, _edit_members)
KINDS["zip of images, repacked"] = Kind(
    "zip of images, repacked", ".zip", _zip, _open_source, _edit_members, PIXEL_MEMORY
)
KINDS["PNG, repacked"] = Kind("PNG, repacked", ".png", _png, _open_image, _edit_png, PIXEL_MEMORY)
KINDS["idx, repacked"] = Kind("idx, repacked", "-idx.gz", _idx, _open_idx, _edit_gzip)
KINDS["CIFAR, archive, repacked"] = Kind(
    "CIFAR, archive, repacked", ".tar.gz", _cifar_archive, _open_archive, _edit_gzip
)


# --- weights files of Keras ---------------------------------------------------------------------------------


def _open_weights(path: Path) -> None:
    import keras_files

    from tlcli.store.keras_weights import open_weights

    with open_weights(path) as file:
        found = file.read(keras_files.PLACES, "the network")
    assert {key: array.shape for key, array in found.items()} == {
        key: array.shape for key, array in keras_files.arrays().items()
    }


def _legacy_weights() -> list[bytes]:
    import keras_files

    layers = keras_files.as_legacy(keras_files.arrays())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.h5")
        lists = (keras_files.fixed, keras_files.variable)
        return [keras_files.legacy(path, layers, "/", listed).read_bytes() for listed in lists]


def _keras_3_weights() -> list[bytes]:
    import keras_files

    with tempfile.TemporaryDirectory() as folder:
        return [keras_files.keras_3(Path(folder, "x.h5"), keras_files.arrays()).read_bytes()]


for _name, _make in (("legacy weights", _legacy_weights), ("Keras 3 weights", _keras_3_weights)):
    KINDS[_name] = Kind(_name, ".h5", _make, _open_weights)
    KINDS[f"{_name}, edited"] = Kind(f"{_name}, edited", ".h5", _make, _open_weights, _edit_hdf5)


# --- running cases ------------------------------------------------------------------------------------------


class Cases:
    """The cases of one kind, in a folder."""

    def __init__(self, kind: Kind, seed: int, folder: Path) -> None:
        self.kind, self.seed, self.folder = kind, seed, folder
        self.files = kind.make()
        self.path = folder / f"case{kind.suffix}"
        self.good: set[str] = set()
        for content in self.files:
            self.path.write_bytes(content)
            found = kind.open(self.path)
            if found:
                self.good.add(found)

    def run(self, number: int) -> str:
        """`read`, `refused`, or what is wrong."""
        from tlcli.data.decoding import UnreadableError
        from tlcli.errors import TlcliError

        rng = np.random.default_rng([self.seed, list(KINDS).index(self.kind.name), number])
        if self.kind.edits is not None:
            self.path.write_bytes(self.files[rng.integers(len(self.files))])
            self.kind.edits(self.path, rng)
        else:
            self.path.write_bytes(mutate(self.files, rng))
        forget_peak()
        before = memory("VmRSS")
        try:
            found = self.kind.open(self.path)
            outcome = "read" if found is None or found in self.good else "WRONG: another content was read"
        except (TlcliError, UnreadableError) as error:
            outcome = (
                "refused" if is_plain(str(error)) else f"WRONG: a message of another form: {error!r:.300}"
            )
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            outcome = (
                f"WRONG: {type(error).__name__}: {error!s:.150} ({Path(last.filename).name}:{last.lineno})"
            )
        grown = memory("VmHWM") - before
        if grown > self.kind.memory:
            outcome = f"WRONG: {grown >> 20} MiB of memory"
        return outcome


def is_plain(message: str) -> bool:
    """One or two lines of some length."""
    return 0 < len(message) < 1200 and message.count("\n") <= 1


def memory(what: str) -> int:
    """Bytes that this process has (VmRSS) or has had at most (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) << 10
    raise LookupError(what)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def work(kind: str, seed: int, first: int, last: int, folder: str) -> None:
    """A worker: cases one after the other, each told before and after."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["TLCLI_CACHE_DIR"] = folder
    cases = Cases(KINDS[kind], seed, Path(folder))
    room = memory("VmSize") + 4 * PIXEL_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    for number in range(first, last):
        print(json.dumps([number]), flush=True)
        print(json.dumps([number, cases.run(number)]), flush=True)


def run_kind(kind: str, seed: int, first: int, count: int, folder: Path) -> dict[int, str]:
    """All cases of a kind, in as many workers as it takes."""
    outcomes: dict[int, str] = {}
    while first + len(outcomes) < first + count:
        number = first + len(outcomes)
        outcomes.update(_run_worker(kind, seed, number, first + count, folder))
    return outcomes


def _run_worker(kind: str, seed: int, first: int, last: int, folder: Path) -> dict[int, str]:
    """Until the worker ends, whichever way. Outcomes come for all numbers from `first` on, without a gap."""
    command = [sys.executable, __file__, "--worker", kind, str(seed), str(first), str(last), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        outcomes: dict[int, str] = {}
        running, why = None, ""
        pending = b""
        while True:
            ready = select.select([process.stdout], [], [], 60 if running is None else TIME_LIMIT)[0]
            if not ready:
                process.kill()
                why = f"WRONG: no end after {TIME_LIMIT:.0f} s"
                break
            block = os.read(process.stdout.fileno(), 65536)
            if not block:
                break
            *lines, pending = (pending + block).split(b"\n")
            for line in lines:
                number, *outcome = json.loads(line)
                running = None if outcome else number
                if outcome:
                    outcomes[number] = outcome[0]
        code = process.wait()
        if running is not None:
            outcomes[running] = why or f"WRONG: the interpreter ended with {code}"
        elif code or not outcomes:
            said = process.stderr.read().decode() if process.stderr else ""
            raise RuntimeError(f"the worker for {kind} failed: {said}")
        return outcomes


def main() -> int:
    """Print the outcomes per kind as JSON; the exit code is 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=12_000, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    kinds, started = options.kind or list(KINDS), time.monotonic()
    figures: dict[str, Any] = {}
    wrong = 0
    for place, kind in enumerate(kinds):
        count = options.cases // len(kinds) + (place < options.cases % len(kinds))
        with tempfile.TemporaryDirectory(prefix="tlcli-fuzz-") as folder:
            outcomes = run_kind(kind, options.seed, options.first, count, Path(folder)) if count else {}
        tally = collections.Counter(o if not o.startswith("WRONG") else "wrong" for o in outcomes.values())
        figures[kind] = dict(tally)
        for number, outcome in outcomes.items():
            if outcome.startswith("WRONG"):
                wrong += 1
                print(f"{kind}, case {number}: {outcome}", file=sys.stderr, flush=True)
    total = sum(sum(tally.values()) for tally in figures.values())
    figures = {"cases": total, "wrong": wrong, "seconds": round(time.monotonic() - started), "kinds": figures}
    print(json.dumps(figures, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
        sys.exit(0)
    sys.exit(main())
