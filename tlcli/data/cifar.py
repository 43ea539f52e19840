"""The format of CIFAR-10 and CIFAR-100: the binary and the python version, in a folder or a .tar.gz.

Binary: records of one or two label bytes, then 1024 red, 1024 green and 1024 blue bytes, row by row.
Python: pickled dicts of the same bytes (N x 3072) and lists of labels.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data import unpickle
from tlcli.data.archives import read_files
from tlcli.data.locate import Download, fetch_all, local_folders
from tlcli.data.source import Request, Source, SourceInfo, class_part
from tlcli.errors import TlcliError
from tlcli.store.budget import LABEL, Budget

PIXELS = 32 * 32 * 3
_PICKLE_OVERHEAD = 8 << 20
"""Bytes beside the pixels that a pickled batch may have: labels and file names."""


@dataclass(frozen=True)
class Layout:
    """The layout of one of the two sets. Files are given as name and number of images."""

    info: SourceInfo
    train: tuple[tuple[str, int], ...]
    test: tuple[str, int]
    """Names of the python version; the binary version adds `.bin`."""
    label_column: int
    label_columns: int
    label_key: str
    """In the python version."""
    class_names: tuple[str, ...]
    binary_folder: str
    python_folder: str
    binary_archive: str
    python_archive: str
    download: Download

    @property
    def files(self) -> tuple[tuple[str, int], ...]:
        return (*self.train, self.test)


def load(layout: Layout, request: Request) -> Source:
    """Load the set from the user's folder, Keras's cache or a download, in this order."""
    for container in _containers(layout, request):
        source = _read(layout, container, _is_binary(layout, container))
        if source:
            return source
    folder = fetch_all(layout.info.name, [layout.download], request)
    source = _read(layout, folder / layout.download.name, True)
    if source is None:
        raise TlcliError(f"{layout.download.name} does not hold the files of {layout.info.name}.")
    return source


def _containers(layout: Layout, request: Request) -> Iterator[Path]:
    """Folders and archives to look in, in order."""
    python, name = layout.python_folder, layout.info.name
    inside = ("", name, name.replace("cifar", "cifar-"))
    keras = ("", f"{python}-target", f"{python}-target_extracted")
    for folder in local_folders(request, inside, keras):
        for sub in (layout.binary_folder, python, ""):
            if (folder / sub).is_dir():
                yield folder / sub
        archives = (
            layout.binary_archive,
            layout.python_archive,
            f"{python}.tar.gz",
            f"{python}-target_archive",
        )
        yield from (folder / archive for archive in archives if (folder / archive).is_file())


def _is_binary(layout: Layout, container: Path) -> bool:
    if container.is_dir():
        return any((container / f"{name}.bin").is_file() for name, _ in layout.files)
    return container.name == layout.binary_archive


def _read(layout: Layout, container: Path, binary: bool) -> Source | None:
    """The source in a folder or archive; None if it holds none of the files."""
    suffix, overhead = (".bin", layout.label_columns * 50_000) if binary else ("", _PICKLE_OVERHEAD)
    sizes = {name + suffix: n * PIXELS + overhead for name, n in layout.files}
    budget = Budget(container.name)
    contents = read_files(container, sizes, budget)
    missing = [name for name in sizes if name not in contents]
    if len(missing) == len(sizes):
        return None
    if missing:
        raise TlcliError(
            f"{container.name} has {len(contents)} of the {len(sizes)} files of "
            f"{layout.info.name}: {missing[0]} is missing."
        )
    decode = _from_binary if binary else partial(_from_python, budget)
    total = sum(n for _, n in layout.train)
    budget.take((total + layout.test[1]) * (PIXELS + LABEL), "its images")
    train, labels = np.empty((total, 32, 32, 3), np.uint8), np.empty(total, np.int64)
    start = 0
    for name, n in layout.train:
        here = slice(start, start + n)
        train[here], labels[here] = decode(layout, name + suffix, contents.pop(name + suffix), n)
        start += n
    name, n = layout.test
    test, test_labels = decode(layout, name + suffix, contents.pop(name + suffix), n)
    return Source(
        layout.info.name,
        class_part(train, labels),
        class_part(np.ascontiguousarray(test), test_labels),
        list(layout.class_names),
    )


def _from_binary(layout: Layout, name: str, content: bytes, n: int) -> tuple[np.ndarray, np.ndarray]:
    width = layout.label_columns + PIXELS
    if len(content) != n * width:
        raise TlcliError(
            f"{name} has {len(content)} bytes: expected {n * width}, {n} records of {width}; "
            "it is damaged or was not downloaded in full."
        )
    records = np.frombuffer(content, np.uint8).reshape(n, width)
    return _images(records[:, layout.label_columns :]), _labels(layout, name, records[:, layout.label_column])


def _from_python(
    budget: Budget, layout: Layout, name: str, content: bytes, n: int
) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = {_key(k): v for k, v in unpickle.load(io.BytesIO(content), budget).items()}
        data, labels = unpickle.array(batch["data"]), batch[layout.label_key]
    except unpickle.UnsafePickleError as error:
        raise TlcliError(f"{name} is a pickle that is refused: {error}.") from None
    except TlcliError:
        raise
    except Exception as error:  # the unpickler raises many kinds of errors on a damaged file
        why = str(error) or type(error).__name__
        raise TlcliError(f"{name} is not a batch of CIFAR's python version: {why}.") from None
    if type(labels) is not list or any(type(label) is not int for label in labels):
        raise TlcliError(f"{name} has labels that are not a list of whole numbers.")
    if data.shape != (n, PIXELS) or len(labels) != n:
        raise TlcliError(
            f"{name} has data of shape {data.shape} and {len(labels)} labels: expected {(n, PIXELS)} and {n}."
        )
    return _images(data), _labels(layout, name, np.array(labels))


def _images(planes: np.ndarray) -> np.ndarray:
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _labels(layout: Layout, name: str, labels: np.ndarray) -> np.ndarray:
    last = len(layout.class_names) - 1
    if labels.dtype.kind not in "ui" or labels.min() < 0 or labels.max() > last:
        raise TlcliError(f"{name} has labels outside 0 to {last}, such as {labels.max()}.")
    return labels.astype(np.int64)


def _key(key: Any) -> str:
    return key.decode("ascii", "replace") if isinstance(key, bytes) else str(key)
