"""The format of MNIST and its kin: four idx files, gzipped or not, or one `.npz`.

An idx file is a big-endian header (two zero bytes, the type code 8 for unsigned bytes, the number of
dimensions, one 32-bit size per dimension) and the bytes in row-major order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlcli.data import array_files
from tlcli.data.checksums import check_set, refuse_other
from tlcli.data.locate import Download, fetch_all, local_folders
from tlcli.data.safe_npz import read_npz
from tlcli.data.source import Request, Source, SourceInfo, class_part, published_classes
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class IdxSet:
    """A set in this format and the places of its files."""

    info: SourceInfo
    class_names: tuple[str, ...]
    folders: tuple[str, ...]
    """Inside the user's data folder."""
    keras: tuple[str, ...]
    """Inside Keras's cache."""
    archive: str
    """The `.npz` with all four arrays, under Keras's names."""
    mirrors: tuple[str, ...]
    checksums: tuple[str, ...]
    """SHA-256 of the gzipped files, in the order of `FILES`."""

    @property
    def downloads(self) -> list[Download]:
        """The four gzipped files."""
        return [
            Download(f"{name}.gz", digest, 1 << 26, tuple(f"{m}{name}.gz" for m in self.mirrors))
            for name, digest in zip(FILES, self.checksums, strict=True)
        ]


def load(idx_set: IdxSet, request: Request) -> Source:
    """Load the set from the user's folder, Keras's cache or a download, in this order.

    Folders with the files of another set, which have the same names, are skipped. Raises TlcliError if there
    is nothing else.
    """
    others = []
    for folder in local_folders(request, idx_set.folders, idx_set.keras):
        arrays, files = _read_folder(idx_set, folder)
        if not arrays:
            continue
        other, warning = check_set(idx_set.info.name, folder, arrays, files)
        if not other:
            return _make_source(idx_set, list(arrays.values()), [warning] if warning else [])
        others.append((folder, other))
    for folder, other in others:
        raise refuse_other(idx_set.info.name, folder, other, published_classes(other) is not None)
    return _from_files(idx_set, find_files(fetch_all(idx_set.info.name, idx_set.downloads, request)))


def _read_folder(idx_set: IdxSet, folder: Path) -> tuple[Mapping[str, np.ndarray], Mapping[str, Path]]:
    """The four arrays by the names of their idx files, and those files; nothing if they are missing."""
    found = find_files(folder)
    if len(found) == len(FILES):
        files = dict(zip(FILES, found, strict=True))
        return dict(zip(FILES, _read_all(idx_set, found), strict=True)), files
    if found:
        raise TlcliError(
            f"The folder {folder.resolve().name!r} has only {', '.join(f.name for f in found)} of "
            f"{idx_set.info.name}: expected {', '.join(FILES)}, gzipped or not."
        )
    if (folder / idx_set.archive).is_file():
        arrays = read_npz(folder / idx_set.archive, ("x_train", "y_train", "x_test", "y_test"))
        return dict(zip(FILES, arrays.values(), strict=True)), {}
    return {}, {}


def find_files(folder: Path) -> list[Path]:
    """The files of the four that the folder holds, in the order of `FILES`, unpacked ones first."""
    found = []
    for name in FILES:
        dotted = name.replace("-idx", ".idx")
        names = (name, dotted, f"{name}.gz", f"{dotted}.gz")
        found += [folder / n for n in names if (folder / n).is_file()][:1]
    return found


def read_idx(path: Path, dimensions: int, budget: Budget | None = None) -> np.ndarray:
    """The uint8 array of an idx file, gzipped or not. Raises TlcliError for anything else."""
    array = array_files.read_idx(path, budget)
    if array.dtype != np.uint8 or array.ndim != dimensions:
        raise TlcliError(
            f"{path.name} holds {array.dtype} in {array.ndim} dimensions: expected an idx file of unsigned "
            "bytes in "
            f"{dimensions}."
        )
    return array


def _read_all(idx_set: IdxSet, files: Sequence[Path]) -> list[np.ndarray]:
    budget = Budget(idx_set.info.name)
    return [read_idx(path, 1 if "labels" in path.name else 3, budget) for path in files]


def _from_files(idx_set: IdxSet, files: Sequence[Path]) -> Source:
    return _make_source(idx_set, _read_all(idx_set, files), [])


def _make_source(idx_set: IdxSet, arrays: Sequence[np.ndarray], warnings: list[str]) -> Source:
    """A source of the four arrays, after a check of their types and shapes."""
    info, last = idx_set.info, len(idx_set.class_names) - 1
    parts = []
    for which, images, labels in (("train", arrays[0], arrays[1]), ("test", arrays[2], arrays[3])):
        if images.ndim != 3 or images.shape[1:] != info.image_shape[:2] or images.dtype != np.uint8:
            raise TlcliError(
                f"The {which} images of {info.name} are {images.dtype} {images.shape}: "
                f"expected uint8 N x {info.image_shape[0]} x {info.image_shape[1]}."
            )
        if labels.shape != (len(images),) or not len(labels):
            raise TlcliError(
                f"{info.name} has {len(images)} {which} images and {labels.size} labels: "
                "expected one label per image."
            )
        if labels.dtype.kind not in "ui" or labels.min() < 0 or labels.max() > last:
            raise TlcliError(
                f"The {which} labels of {info.name} are {labels.dtype}, {labels.min()} to "
                f"{labels.max()}: expected whole numbers from 0 to {last}."
            )
        parts.append(class_part(images[..., None], labels))
    return Source(info.name, parts[0], parts[1], list(idx_set.class_names), warnings)
