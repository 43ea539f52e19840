"""The format of MNIST and its kin: four idx files, gzipped or not, or one `.npz`.

An idx file is a big-endian header (two zero bytes, the type code 8 for unsigned bytes, the number of
dimensions, one 32-bit size per dimension) and the bytes in row-major order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tlcli.data.locate import Download, fetch_all, local_folders
from tlcli.data.safe_npz import read_npz
from tlcli.data.source import Request, Source, SourceInfo, class_part
from tlcli.errors import TlcliError
from tlcli.store.budget import DEFLATE, Budget, array_cost

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class IdxSet:
    """A set in this format and where it is found."""

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
    """From the user's folder, Keras's cache or a download, whichever is found first."""
    for folder in local_folders(request, idx_set.folders, idx_set.keras):
        if "fashion" in folder.resolve().name.lower() and "fashion" not in idx_set.info.name:
            continue  # the files of the two sets carry the same names
        files = find_files(folder)
        if len(files) == len(FILES):
            return _from_files(idx_set, files)
        if files:
            raise TlcliError(
                f"the folder {folder.name!r} has only {', '.join(f.name for f in files)} of "
                f"{idx_set.info.name}: expected {', '.join(FILES)}, gzipped or not"
            )
        if (folder / idx_set.archive).is_file():
            arrays = read_npz(folder / idx_set.archive, ("x_train", "y_train", "x_test", "y_test"))
            return _checked(idx_set, list(arrays.values()))
    return _from_files(idx_set, find_files(fetch_all(idx_set.info.name, idx_set.downloads, request)))


def find_files(folder: Path) -> list[Path]:
    """Those of the four files that the folder holds, in the order of `FILES`, unpacked ones first."""
    found = []
    for name in FILES:
        dotted = name.replace("-idx", ".idx")
        names = (name, dotted, f"{name}.gz", f"{dotted}.gz")
        found += [folder / n for n in names if (folder / n).is_file()][:1]
    return found


def read_idx(path: Path, dimensions: int, budget: Budget | None = None) -> np.ndarray:
    """The uint8 array of an idx file, gzipped or not. Raises TlcliError for anything else.

    It takes from the budget of the set that the file belongs to, or from one of its own.
    """
    budget = budget or Budget(path.name)
    budget.grow(path.stat().st_size)
    try:
        with open(path, "rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if gzipped:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    return _read(unpacked, path, dimensions, budget)  # type: ignore[arg-type]
            return _read(raw, path, dimensions, budget)
    except (OSError, EOFError, zlib.error) as error:
        raise TlcliError(f"cannot read {path.name}: {error}") from None


def _read(file: BinaryIO, path: Path, dimensions: int, budget: Budget) -> np.ndarray:
    expected_magic = bytes([0, 0, 8, dimensions])
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions or header[:4] != expected_magic:
        raise TlcliError(
            f"{path.name} is no idx file of unsigned bytes in {dimensions} dimensions: "
            f"it begins with {header[:4].hex() or 'nothing'}, expected {expected_magic.hex()}"
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    size = math.prod(shape)
    if size > path.stat().st_size * DEFLATE:
        raise TlcliError(f"{path.name} declares {' x '.join(map(str, shape))} bytes, more than it can hold")
    budget.take(array_cost(shape, size), f"what its {' x '.join(map(str, shape))} bytes become")
    content = file.read(size + 1)
    if len(content) != size:
        held = "more" if len(content) > size else f"only {len(content)}"
        raise TlcliError(
            f"{path.name} declares {size} bytes of data and holds {held}: "
            "it is damaged or was not downloaded in full"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _from_files(idx_set: IdxSet, files: Sequence[Path]) -> Source:
    budget = Budget(idx_set.info.name)
    return _checked(idx_set, [read_idx(path, 1 if "labels" in path.name else 3, budget) for path in files])


def _checked(idx_set: IdxSet, arrays: Sequence[np.ndarray]) -> Source:
    """A source of the four arrays, once they are what the set is known to be."""
    info, last = idx_set.info, len(idx_set.class_names) - 1
    parts = []
    for which, images, labels in (("train", arrays[0], arrays[1]), ("test", arrays[2], arrays[3])):
        if images.ndim != 3 or images.shape[1:] != info.image_shape[:2] or images.dtype != np.uint8:
            raise TlcliError(
                f"the {which} images of {info.name} are {images.dtype} {images.shape}: "
                f"expected uint8 N x {info.image_shape[0]} x {info.image_shape[1]}"
            )
        if labels.shape != (len(images),) or not len(labels):
            raise TlcliError(
                f"{info.name} has {len(images)} {which} images and {labels.size} labels: "
                "expected one label per image"
            )
        if labels.dtype.kind not in "ui" or labels.min() < 0 or labels.max() > last:
            raise TlcliError(
                f"the {which} labels of {info.name} are {labels.dtype}, {labels.min()} to "
                f"{labels.max()}: expected whole numbers from 0 to {last}"
            )
        parts.append(class_part(images[..., None], labels))
    return Source(info.name, parts[0], parts[1], list(idx_set.class_names))
