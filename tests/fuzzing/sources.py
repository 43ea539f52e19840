"""Files that `split --dataset` reads; formats with checksums are mutated below these, too."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import pickle
import struct
import tempfile
import warnings
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.kinds import KINDS, PIXEL_MEMORY, Kind, Open, mutate, one_of, register
from tlcli.store.budget import Budget

IMAGES = np.random.default_rng(5).integers(0, 256, (24, 6, 6, 3), np.uint8)
LABELS = np.arange(24) % 3


def _open_source(path: Path) -> None:
    from tlcli.data import load_source, split

    source = load_source(str(path))
    split(source, two_classes(source))


def two_classes(source: Any) -> list[int]:
    """Numbers of two classes for `split`."""
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

    labels = path.read_bytes()[3:4] == b"\1" or "idx1" in path.name
    idx.read_idx(path, 1 if labels else 3)


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

        content = path.read_bytes()
        decoder = getattr(cifar, decode)
        if decode == "_from_python":
            decoder = partial(decoder, Budget(path.name, len(content)))
        decoder(_small_layout(), path.name, content, 5)

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

    archives.read_files(path, {"data_batch_1.bin": 20_000, "test_batch.bin": 20_000}, Budget(path.name))


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
    from tlcli.data.fitting import Fit

    for size in (None, (8, 8)):
        pixels = decoding.decode_one(path, Fit(size))
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


def edit_members(path: Path, rng: np.random.Generator) -> None:
    """A zip archive with right checksums over mutated members, or with other names."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = one_of([*members], rng)
    members[name] = mutate([*members.values()], rng) if rng.random() < 0.3 else mutate([members[name]], rng)
    if rng.random() < 0.15:
        members[one_of(["../x.npy", "/etc/x", "x" * 300, "set/a/../../y.png", "labels.npy", ""], rng)] = b"x"
    if rng.random() < 0.15:
        del members[one_of([*members], rng)]
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


KINDS["npz, repacked"] = Kind("npz, repacked", ".npz", _npz, _open_source, edit_members)
KINDS["zip of images, repacked"] = Kind(
    "zip of images, repacked", ".zip", _zip, _open_source, edit_members, PIXEL_MEMORY
)
KINDS["PNG, repacked"] = Kind("PNG, repacked", ".png", _png, _open_image, _edit_png, PIXEL_MEMORY)
KINDS["idx, repacked"] = Kind("idx, repacked", "-idx.gz", _idx, _open_idx, _edit_gzip)
KINDS["CIFAR, archive, repacked"] = Kind(
    "CIFAR, archive, repacked", ".tar.gz", _cifar_archive, _open_archive, _edit_gzip
)
