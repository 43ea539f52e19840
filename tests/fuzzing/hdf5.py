"""tlcli's own files: bytes, edits through h5py, and wrong values under right digests."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.kinds import KINDS, Kind, Make, mutate, one_of
from fuzzing.sources import two_classes


def _records() -> dict[str, Any]:
    from small_records import MAKERS

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


def edit_hdf5(path: Path, rng: np.random.Generator) -> None:
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
        lambda: np.int64(rng.integers(-(2**62), 2**62)),
        lambda: rng.choice([np.nan, np.inf, 0.5]),
        lambda: "text of variable length",
        lambda: np.bytes_(rng.bytes(int(rng.integers(1, 200)))),
        lambda: np.bytes_(b"../../etc/passwd"),
        lambda: np.bytes_(b"<script>alert(1)</script>"),
        lambda: np.bytes_(b'{"a": [1, {"b": 1e999}]}'),
        lambda: np.bytes_(b"[" * 5000),
        lambda: True,
        lambda: rng.integers(0, 9, shape),
        lambda: rng.random(shape),
        lambda: rng.random(shape).astype("f2"),
        lambda: np.zeros(shape, [("a", "<i8"), ("b", "S3")]),
        lambda: h5py.Empty("f8"),
        lambda: np.zeros(shape, ">i4"),
        lambda: np.array(["a", "bc"], "S2"),
        lambda: np.zeros(shape, "V5"),
        lambda: np.full(shape, 2**63, np.uint64),
        lambda: file.ref,
        lambda: np.zeros(shape, complex),
    ][rng.integers(20)]()


def _set_attribute(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    target = file[one_of(paths, rng)]
    names = [*target.attrs, "extra", "format", "position", "../x", "<b>", "\x1b[2J", "n" * 700]
    target.attrs[names[rng.integers(len(names))]] = _value(rng, file)


def _delete_attribute(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    target = file[one_of(paths, rng)]
    names = list(target.attrs)
    del target.attrs[names[rng.integers(len(names))]]


def _replace_dataset(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    name = one_of(paths[1:], rng)
    del file[name]
    file[name] = _value(rng, file)


def _odd_dataset(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    """Shapes, chunks and filters that do not fit what is stored."""
    import h5py

    name = one_of(paths[1:], rng)
    del file[name]
    shape = tuple(int(2 ** rng.uniform(0, 40 / (i + 1))) for i in range(int(rng.integers(1, 5))))
    chunks = tuple(int(min(n, 2 ** rng.uniform(0, 8))) for n in shape) if rng.random() < 0.7 else None
    packed = rng.choice([None, "gzip", "lzf", "szip"]) if chunks else None
    dtype = str(rng.choice(["u1", "i8", "f4", "f8", "S5"]))
    more = {"maxshape": (None, *shape[1:]), "fletcher32": bool(rng.random() < 0.3)} if chunks else {}
    stored = file.create_dataset(name, shape, dtype, chunks=chunks, compression=packed, **more)
    if chunks and rng.random() < 0.7 and isinstance(stored, h5py.Dataset):
        stored.id.write_direct_chunk(
            (0,) * len(shape), rng.bytes(int(2 ** rng.uniform(0, 12))), filter_mask=int(rng.integers(0, 4))
        )


def _change_values(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    stored = file[one_of(paths, rng)]
    values = np.asarray(stored[()])
    flat = values.reshape(-1)
    flat[rng.integers(len(flat))] = np.frombuffer(rng.bytes(values.dtype.itemsize), values.dtype)[0]
    stored[...] = values


def _link(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    import h5py

    name, other = one_of(paths[1:], rng), one_of(paths, rng)
    kept = file[other]
    if rng.random() < 0.5:
        del file[name]
    else:
        name += "2"
    file[name] = [kept, h5py.SoftLink(other), h5py.ExternalLink("secret.h5", "/x")][rng.integers(3)]


def _elsewhere(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    """External storage, or a virtual dataset."""
    import h5py

    name = one_of(paths[1:], rng)
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    if rng.random() < 0.5:
        file.create_dataset(name, shape, dtype, external=[("secret.h5", 0, 10**6)])
    else:
        plan = h5py.VirtualLayout(shape, dtype)
        plan[...] = h5py.VirtualSource("secret.h5", "x", shape)
        file.create_virtual_dataset(name, plan)


def _move(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    file.move(
        one_of(paths[1:], rng), str(rng.choice(["moved", "train/x", "a/b/c/d", one_of(paths, rng) + "/y"]))
    )


def _delete(file: Any, paths: list[str], rng: np.random.Generator) -> None:
    del file[one_of(paths[1:], rng)]


HDF5_EDITS = [
    _set_attribute,
    _set_attribute,
    _set_attribute,
    _delete_attribute,
    _replace_dataset,
    _odd_dataset,
    _change_values,
    _link,
    _elsewhere,
    _move,
    _delete,
]


def _forge_hdf5(path: Path, rng: np.random.Generator) -> None:
    """Wrong values under right digests, as somebody would write them who has read the documentation."""
    from unittest import mock

    from tlcli import store
    from tlcli.errors import TlcliError
    from tlcli.store import digest, formats, layout, schema_parts

    def change(tree: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            _change_tree(tree, rng)
        tree.set("", "provenance_sha256", digest.provenance_digest(tree))

    record = store.read_any(path)
    rules = mock.patch.object(layout.checks.Rules, "array", return_value=schema_parts.COMMON_ARRAYS[0])
    try:
        with mock.patch.object(formats, "check_tree", change), rules:
            store.write(path, record, force=True, command="tlcli made it")
    except (TlcliError, ValueError, TypeError, KeyError, UnicodeError, AttributeError):
        return  # not even HDF5 would have it


TEXTS = [
    "",
    "x",
    "../x",
    "<script>",
    "\x1b[2J",
    "é" * 300,
    "none",
    "nan",
    "{}",
    "[]",
    "[1]",
    "a|b|c",
    '{"a": 1}',
    "[6, 5, 2]",
    '{"epochs": "x"}',
    '{"copy": []}',
    "null",
]


def _change_tree(tree: Any, rng: np.random.Generator) -> None:
    """One change to the arrays or the attributes of a tree."""
    if rng.random() < 0.5:
        group = one_of([*tree.attributes], rng)
        name = one_of([*tree.attributes[group]], rng)
        old = tree.attributes[group][name]
        if rng.random() < 0.1:
            del tree.attributes[group][name]
        elif isinstance(old, str) and old[:1] in "{[" and rng.random() < 0.7:
            tree.attributes[group][name] = json.dumps(_changed_json(json.loads(old), rng))
        elif isinstance(old, str):
            tree.attributes[group][name] = one_of(TEXTS, rng)
        else:
            tree.attributes[group][name] = int(rng.choice([-1, 0, 1, 2**31, 2**62, -(2**63)]))
        return
    path = one_of([*tree.datasets], rng)
    data = tree.datasets[path]
    choice = rng.random()
    if isinstance(data, str):
        tree.datasets[path] = json.dumps(_changed_json(json.loads(data), rng))
    elif isinstance(data, list):
        tree.datasets[path] = [one_of(TEXTS, rng) if rng.random() < 0.5 else text for text in data]
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
        key = one_of([*value], rng)
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
        split(source, two_classes(source), size=8)
    else:
        _compose(record)


def _compose(record: Any) -> None:
    """The report, but for the drawing."""
    from tlcli.report.report import compose
    from tlcli.report.study.gather import gather

    compose(gather([record]))


def _add_hdf5_kinds() -> None:
    for name in ("dataset", "checkpoint", "embeddings", "results"):
        make, old = _maker(name, old=False), _maker(name, old=True)
        KINDS[name] = Kind(name, ".h5", make, _open_hdf5)
        KINDS[f"{name}, without checksums"] = Kind(f"{name}, without checksums", ".h5", old, _open_hdf5)
        KINDS[f"{name}, edited"] = Kind(f"{name}, edited", ".h5", make, _open_hdf5, edit_hdf5)
        KINDS[f"{name}, forged"] = Kind(f"{name}, forged", ".h5", make, _open_forged, _forge_hdf5)

    def both() -> list[bytes]:
        return [_written(record, old=old) for record in _records().values() for old in (False, True)]

    KINDS["through a pipe"] = Kind("through a pipe", ".h5", both, _open_pipe)


def _maker(name: str, *, old: bool) -> Make:
    return lambda: [_written(_records()[name], old=old)]


_add_hdf5_kinds()
