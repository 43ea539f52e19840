"""The format of MNIST and its kin: four idx files, gzipped or not, or one `.npz`.

An idx file is a big-endian header (two zero bytes, the type code 8 for unsigned bytes, the number of dimensions,
one 32-bit size per dimension) and the bytes in row-major order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tlcli.data.source import Source, SourceInfo, class_part
from tlcli.errors import TlcliError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

_LARGEST = 1 << 32
"""Bytes that one idx file may unpack to."""


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array of an idx file, gzipped or not. Raises TlcliError for anything else."""
    try:
        with open(path, "rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if gzipped:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    return _read(unpacked, path, dimensions)  # type: ignore[arg-type]
            return _read(raw, path, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise TlcliError(f"cannot read {path.name}: {error}") from None


def _read(file: BinaryIO, path: Path, dimensions: int) -> np.ndarray:
    expected_magic = bytes([0, 0, 8, dimensions])
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions or header[:4] != expected_magic:
        raise TlcliError(f"{path.name} is no idx file of unsigned bytes in {dimensions} dimensions: it begins with "
                         f"{header[:4].hex() or 'nothing'}, expected {expected_magic.hex()}")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    size = math.prod(shape)
    if size > _LARGEST:
        raise TlcliError(f"{path.name} declares {'x'.join(map(str, shape))} bytes, more than {_LARGEST}")
    content = file.read(size + 1)
    if len(content) != size:
        problem = "more" if len(content) > size else f"only {len(content)}"
        raise TlcliError(f"{path.name} declares {size} bytes of data and holds {problem}: "
                         "it is damaged or was not downloaded in full")
    return np.frombuffer(content, np.uint8).reshape(shape)


def find_files(folder: Path) -> list[Path]:
    """Those of the four files that the folder holds, in the order of `FILES`, unpacked ones first."""
    found = []
    for name in FILES:
        dotted = name.replace("-idx", ".idx")
        names = (name, name + ".gz", dotted, dotted + ".gz")
        found += [folder / n for n in names if (folder / n).is_file()][:1]
    return found


def source_from_files(info: SourceInfo, files: list[Path], class_names: list[str]) -> Source:
    """The source in the four files, in the order of `FILES`."""
    images, labels, test_images, test_labels = (
        read_idx(path, 3 if i % 2 == 0 else 1) for i, path in enumerate(files))
    return checked_source(info, class_names, (images, labels), (test_images, test_labels))


def checked_source(info: SourceInfo, class_names: list[str], *parts: tuple[np.ndarray, np.ndarray]) -> Source:
    """A source of the train and test images (N x H x W, uint8) and labels, once they are what `info` says."""
    made = []
    for (images, labels), which in zip(parts, ("train", "test"), strict=True):
        height, width, _ = info.image_shape
        if images.ndim != 3 or images.shape[1:] != (height, width) or images.dtype != np.uint8:
            raise TlcliError(f"the {which} images of {info.name} are {images.dtype} {images.shape}: "
                             f"expected uint8 N x {height} x {width}")
        if labels.shape != (len(images),) or not len(labels):
            raise TlcliError(f"{info.name} has {len(images)} {which} images and {labels.size} labels: "
                             "expected one label per image")
        if labels.dtype.kind not in "ui" or labels.min() < 0 or labels.max() >= len(class_names):
            raise TlcliError(f"the {which} labels of {info.name} reach from {labels.min()} to {labels.max()}: "
                             f"expected whole numbers from 0 to {len(class_names) - 1}")
        made.append(class_part(images[..., None], labels))
    return Source(info.name, made[0], made[1], class_names)
