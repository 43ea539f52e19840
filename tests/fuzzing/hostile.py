"""Files that ask for the most memory or time for their size: each generator takes a size and aims at one
reader.

A line of `HOSTILE` covers a reader. `tests/test_proportion.py` measures it at two sizes, and the fuzz harness
mutates its files as a separate kind.
"""

from __future__ import annotations

import gzip
import io
import itertools
import pickle
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import hdf5, sources, weights  # noqa: F401  they register the openers
from fuzzing.hostile_hdf5 import (
    branches_of_a_tree,
    class_named_twice,
    empty_names,
    many_attributes,
    many_groups,
    objects_in_json,
    small_chunks,
    texts_in_one_place,
    zeros_in_chunks,
)
from fuzzing.kinds import KINDS, MEMORY_LIMIT, PIXEL_MEMORY, Kind


@dataclass(frozen=True)
class Hostile:
    """A kind of hostile file.

    Its memory may be `memory` bytes and `per_byte` for each byte of it; its processor time `seconds` and
    `per_megabyte` for each of its megabytes.
    """

    name: str
    suffix: str
    make: Callable[[int], bytes]
    sizes: tuple[int, int]
    """The second is four times the first."""
    reader: str
    """The kind whose reader opens it."""
    memory: int = MEMORY_LIMIT
    per_byte: float = 100
    per_megabyte: float = 10
    seconds: float = 2


# arrays


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def zeros_in_npz(n: int, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """So many MiB of images."""
    images = np.zeros((n, 1024, 1024), np.uint8)
    return _zip({"images.npy": _npy(images), "labels.npy": _npy(np.arange(n) % 2)}, method)


def zeros_by_bzip2(n: int) -> bytes:
    return zeros_in_npz(n, zipfile.ZIP_BZIP2)


def labels_in_npz(n: int) -> bytes:
    """So many thousand images of one pixel."""
    many = n * 1000
    labels = np.zeros(many, np.uint8)
    labels[::2] = 1
    return _zip({"images.npy": _npy(np.zeros((many, 1, 1), np.uint8)), "labels.npy": _npy(labels)})


def names_in_npz(n: int) -> bytes:
    """So many thousand labels that are texts."""
    many = n * 1000
    labels = np.full(many, "a")
    labels[::2] = "b"
    return _zip({"images.npy": _npy(np.zeros((many, 1, 1), np.uint8)), "labels.npy": _npy(labels)})


def many_members(n: int) -> bytes:
    return _zip({f"a/{i}.png": b"" for i in range(n)})


def deep_members(n: int) -> bytes:
    return _zip({"/".join([f"{i}", *"abcdefghijkl" * 4]): b"" for i in range(n)})


def zeros_in_mat(n: int) -> bytes:
    import scipy.io

    file = io.BytesIO()
    held = {"images": np.zeros((n, 1024, 1024), np.uint8), "labels": np.arange(n) % 2}
    scipy.io.savemat(file, held, do_compression=True)
    return file.getvalue()


def _idx_gz(shape: tuple[int, ...]) -> bytes:
    head = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    return gzip.compress(head + bytes(int(np.prod(shape))), mtime=0)


def zeros_in_idx(n: int) -> bytes:
    return _idx_gz((n, 1024, 1024))


def labels_in_idx(n: int) -> bytes:
    return _idx_gz((n << 20,))


# archives and pickles


def _header(kind: bytes, size: int, name: str = "x") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def digits_in_headers(n: int) -> bytes:
    """Extended headers of digits alone (CVE-2024-6232)."""
    header = _header(tarfile.XHDTYPE, 60_000) + b"1" * 60_000 + bytes(416)
    return gzip.compress((header + _header(tarfile.REGTYPE, 0)) * n + bytes(1024), mtime=0)


def longer_headers(n: int) -> bytes:
    header = _header(tarfile.XHDTYPE, n << 20) + b"1" * (n << 20)
    return gzip.compress(header + _header(tarfile.REGTYPE, 0) + bytes(1024), mtime=0)


def many_tar_members(n: int) -> bytes:
    return gzip.compress(_header(tarfile.REGTYPE, 0) * (n * 1000) + bytes(1024), mtime=0)


def zeros_in_tar(n: int) -> bytes:
    return gzip.compress(_header(tarfile.REGTYPE, n << 20) + bytes(n << 20) + bytes(1024), mtime=0)


def text_encoded_again(n: int) -> bytes:
    text = "é" * 50_000
    stored = struct.pack("<I", len(text.encode())) + text.encode()
    start = b"\x80\x02}X\x04\x00\x00\x00data](c_codecs\nencode\nq\x000X" + stored + b"q\x010"
    return start + b"h\x00h\x01\x85R" * (n * 100) + b"es."


def steps_of_a_pickle(n: int) -> bytes:
    return b"\x80\x02](" + b"}" * (n * 1000) + b"e."


def framed_steps(n: int) -> bytes:
    return pickle.dumps([{} for _ in range(n * 1000)], 4)


# images


def _image(format: str, mode: str, side: int, **options: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, format, **options)
    return file.getvalue()


def blank_png(n: int) -> bytes:
    """So many times 256 x 256 pixels, in colour and with transparency."""
    return _image("PNG", "RGBA", 256 * round(n**0.5))


def jpeg_of_scans(n: int) -> bytes:
    """A progressive JPEG of 16 million pixels that has its shortest scan so many times more."""
    content = _image("JPEG", "L", 4096, progressive=True)
    starts = [found.start() for found in re.finditer(rb"\xff[\xda\xc4\xd9]", content)]
    scans = [(b - a, a, b) for a, b in itertools.pairwise(starts) if content[a + 1] == 0xDA]
    _, start, stop = min(scans)
    return content[:start] + content[start:stop] * (n + 1) + content[stop:]


def blank_webp_in_zip(n: int) -> bytes:
    """So many images of 2,000 x 2,000 pixels in some bytes each."""
    content = _image("WEBP", "RGB", 2000, lossless=True)
    return _zip({f"{'ab'[i % 2]}/{i}.webp": content for i in range(n)}, zipfile.ZIP_STORED)


def tags_in_png(n: int) -> bytes:
    """EXIF with so many tags that all refer to the same values."""
    count, values = n, n * 50
    entries = b"".join(
        struct.pack("<HHII", tag, 1, values, 8 + 2 + 12 * count + 4) for tag in range(1, count + 1)
    )
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4 + values)
    return _image("PNG", "L", 16, exif=exif)


def blank_tiff(n: int) -> bytes:
    return _image("TIFF", "RGB", 256 * round(n**0.5), compression="tiff_adobe_deflate")


def blank_gif(n: int) -> bytes:
    return _image("GIF", "P", 256 * round(n**0.5))


def blank_png_in_tar(n: int) -> bytes:
    """So many images of 1,000 x 1,000 pixels, the archive packed once more."""
    content, file = _image("PNG", "RGB", 1000), io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for i in range(n):
            member = tarfile.TarInfo(f"{'ab'[i % 2]}/{i}.png")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def structures_in_mat(n: int) -> bytes:
    import scipy.io

    file = io.BytesIO()
    part = {"images": np.zeros((n, 1024, 1024), np.uint8), "labels": np.arange(n) % 2}
    scipy.io.savemat(file, {"dataset": {"train": part}}, do_compression=True)
    return file.getvalue()


def one_storage_for_tensors(n: int) -> bytes:
    """So many tensors of PyTorch that are the same MiB, which is read for each."""
    numbers = struct.pack("<I", 1 << 18)
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpuJ" + numbers + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0(J" + numbers + b"t(K\1t\x89}tR"
    names = [b"%06d.weight" % i for i in range(n)]
    items = b"".join(b"X" + struct.pack("<I", len(name)) + name + tensor + b"s" for name in names)
    return _zip({"x/data.pkl": b"\x80\2}" + items + b".", "x/data/0": bytes(1 << 20)})


def _open_tensors(path: Path) -> None:
    from tlcli.store.weights import open_weights

    with open_weights(path) as file:
        for name in file.shapes():  # type: ignore[union-attr]
            file.array(name)  # type: ignore[union-attr]


def _tensors() -> list[bytes]:
    folder = Path(__file__).parents[1] / "store" / "fixtures" / "pytorch"
    return [path.read_bytes() for path in sorted(folder.glob("*.p*")) if path.name != "model.pth"]


def empty_tensors(n: int) -> bytes:
    """So many thousand tensors of safetensors without numbers."""
    listed = ",".join(f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(n * 1000))
    header = f"{{{listed}}}".encode()
    return struct.pack("<Q", len(header)) + header


def _safetensors() -> list[bytes]:
    from safetensors.numpy import save

    rng = np.random.default_rng(0)
    return [
        save({"a.weight": rng.random((4, 3, 3, 3), np.float32), "a.bias": np.zeros(4, np.float16)}),
        save({f"{i}.weight": np.ones((i, 2)) for i in range(6)}),
    ]


KINDS["safetensors"] = Kind("safetensors", ".safetensors", _safetensors, _open_tensors)
KINDS["PyTorch weights"] = Kind("PyTorch weights", ".pth", _tensors, _open_tensors)


HOSTILE = [
    Hostile("hostile: blank TIFF", ".tif", blank_tiff, (16, 64), "PNG", PIXEL_MEMORY, 6000),
    Hostile("hostile: blank GIF", ".gif", blank_gif, (16, 64), "PNG", PIXEL_MEMORY, 6000),
    Hostile("hostile: PNG in a tar", ".tar.gz", blank_png_in_tar, (25, 100), "npz", PIXEL_MEMORY, seconds=5),
    Hostile("hostile: structures", ".mat", structures_in_mat, (10, 40), "npz", per_byte=4000),
    Hostile("hostile: one storage", ".pth", one_storage_for_tensors, (100, 400), "PyTorch weights"),
    Hostile("hostile: empty tensors", ".safetensors", empty_tensors, (5, 20), "safetensors"),
    Hostile("hostile: blank PNG", ".png", blank_png, (16, 64), "PNG", PIXEL_MEMORY, 6000),
    Hostile(
        "hostile: scans of a JPEG", ".jpg", jpeg_of_scans, (100, 400), "JPEG", PIXEL_MEMORY, per_megabyte=40
    ),
    Hostile(
        "hostile: blank WebP in .zip", ".zip", blank_webp_in_zip, (25, 100), "zip of images", PIXEL_MEMORY
    ),
    Hostile("hostile: tags of a PNG", ".png", tags_in_png, (500, 2000), "PNG", PIXEL_MEMORY),
    Hostile("hostile: small chunks", ".h5", small_chunks, (2000, 8000), "dataset", per_megabyte=20),
    Hostile("hostile: a class named twice", ".h5", class_named_twice, (5000, 20000), "dataset"),
    Hostile("hostile: branches of a tree", ".h5", branches_of_a_tree, (500, 2000), "dataset"),
    Hostile("hostile: many groups", ".h5", many_groups, (500, 2000), "dataset"),
    Hostile("hostile: many attributes", ".h5", many_attributes, (50, 200), "dataset"),
    Hostile("hostile: zeros in chunks", ".h5", zeros_in_chunks, (20, 80), "dataset", per_byte=4000),
    Hostile("hostile: names of a byte", ".h5", empty_names, (200, 800), "dataset", per_byte=4000),
    Hostile("hostile: objects in JSON", ".h5", objects_in_json, (20, 80), "dataset", per_byte=100),
    Hostile("hostile: one text for all layers", ".h5", texts_in_one_place, (1000, 4000), "legacy weights"),
    Hostile("hostile: zeros in .npz", ".npz", zeros_in_npz, (10, 40), "npz", per_byte=4000),
    Hostile("hostile: zeros by bzip2", ".npz", zeros_by_bzip2, (50, 200), "npz"),
    Hostile("hostile: labels in .npz", ".npz", labels_in_npz, (100, 400), "npz", per_byte=4000),
    Hostile("hostile: names in .npz", ".npz", names_in_npz, (50, 200), "npz", per_byte=4000),
    Hostile("hostile: many members", ".zip", many_members, (2000, 8000), "npz"),
    Hostile("hostile: deep members", ".zip", deep_members, (250, 1000), "npz"),
    Hostile("hostile: zeros in .mat", ".mat", zeros_in_mat, (10, 40), "npz", per_byte=4000),
    Hostile("hostile: zeros in idx", "-images-idx3-ubyte.gz", zeros_in_idx, (20, 80), "idx", per_byte=4000),
    Hostile("hostile: labels in idx", "-labels-idx1-ubyte.gz", labels_in_idx, (1, 4), "idx", per_byte=4000),
    Hostile("hostile: digits in headers", ".tar.gz", digits_in_headers, (20, 80), "CIFAR, archive"),
    Hostile("hostile: longer headers", ".tar.gz", longer_headers, (1, 4), "CIFAR, archive"),
    Hostile(
        "hostile: members of a tar", ".tar.gz", many_tar_members, (10, 40), "CIFAR, archive", per_megabyte=40
    ),
    Hostile("hostile: zeros in a tar", ".tar.gz", zeros_in_tar, (20, 80), "CIFAR, archive", per_byte=4000),
    Hostile("hostile: a text encoded again", "", text_encoded_again, (20, 80), "CIFAR, python"),
    Hostile("hostile: steps of a pickle", "", steps_of_a_pickle, (100, 400), "CIFAR, python"),
    Hostile("hostile: framed steps", "", framed_steps, (50, 200), "CIFAR, python"),
]


def _good(hostile: Hostile) -> Callable[[], list[bytes]]:
    """Small ones, to be mutated."""
    return lambda: [hostile.make(max(1, size // 10)) for size in hostile.sizes]


for _one in HOSTILE:
    KINDS[_one.name] = Kind(
        _one.name, _one.suffix, _good(_one), KINDS[_one.reader].open, memory=_one.memory, hostile=True
    )
