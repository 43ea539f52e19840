"""Hostile sources: no other file is read, no code runs, and declared sizes take no memory.

Pickles, archives and headers of .npz are in test_published.py and test_arrays.py, .mat in test_mat.py,
HDF5 in tests/store.
"""

from __future__ import annotations

import copy
import io
import pickle
import resource
import shutil
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from fuzzing.measuring import in_child, opened
from PIL import Image
from sixteen_bits import png_of_16_bits

from tlcli.data import decoding, image_room, load_source, matlab, split, tables, unpickle
from tlcli.data.decoding import UnreadableError, decode_one
from tlcli.data.image_room import count_scans
from tlcli.data.safe_npz import read_npz
from tlcli.errors import TlcliError
from tlcli.store import budget
from tlcli.store.budget import Budget

SECRET = np.full((20, 6, 6), 77, np.uint8)
LABELS = np.arange(20) % 2


def memory() -> int:
    """The most KiB that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_mat_5_that_declares_terabytes(tmp_path):
    """A hand-made matrix of double precision with false dimensions."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    for sides in ((10**5, 10**5, 100), (2**31 - 1, 2**31 - 1, 3), (20, -6, 6)):
        matrix = (
            element(6, struct.pack("<II", 6, 0))
            + element(5, struct.pack("<3i", *sides))
            + element(1, b"images")
            + element(9, bytes(80))
        )
        labels = (
            element(6, struct.pack("<II", 6, 0))
            + element(5, struct.pack("<2i", 1, 20))
            + element(1, b"labels")
            + element(9, bytes(160))
        )
        head = (matlab.HEADER_V5 + b", made by hand").ljust(124) + b"\x00\x01IM"
        (tmp_path / "x.mat").write_bytes(head + element(14, matrix) + element(14, labels))
        before = memory()
        with pytest.raises(TlcliError, match=r"x\.mat"):
            load_source(str(tmp_path / "x.mat"))
        assert memory() - before < 50_000


def external_link(file: h5py.File) -> None:
    file["images"] = h5py.ExternalLink("secret.h5", "/images")


def soft_link(file: h5py.File) -> None:
    file["inside"] = SECRET.reshape(20, 36).T
    file["images"] = h5py.SoftLink("/inside")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("images", shape=(6, 6, 20), dtype=np.uint8, external=[("secret.h5", 0, 720)])


def virtual_dataset(file: h5py.File) -> None:
    plan = h5py.VirtualLayout((20, 6, 6), np.uint8)
    plan[:] = h5py.VirtualSource("secret.h5", "images", (20, 6, 6))
    file.create_virtual_dataset("images", plan)


def terabytes(file: h5py.File) -> None:
    file.create_dataset("images", (10**6, 10**4, 20), np.uint8, chunks=(100, 100, 20))


def variable_length(file: h5py.File) -> None:
    file.create_dataset("images", (6, 6, 20), h5py.vlen_dtype(np.uint8))


@pytest.mark.parametrize(
    "attack", [external_link, soft_link, external_storage, virtual_dataset, terabytes, variable_length]
)
def test_mat_73_passes_the_gate(tmp_path, monkeypatch, attack: Callable[[h5py.File], None]):
    monkeypatch.chdir(tmp_path)
    with h5py.File("secret.h5", "w") as file:
        file["images"] = SECRET
    with h5py.File("x.mat", "w", userblock_size=512) as file:
        attack(file)
        file["labels"] = LABELS.astype(float)[:, None]
    with open("x.mat", "r+b") as raw:
        raw.write(matlab.HEADER_V73.ljust(124) + b"\x00\x02IM")
    before = memory()
    with pytest.raises(TlcliError, match="expected x_train"):  # what is refused is as if it were not there
        load_source("x.mat")
    assert memory() - before < 50_000


def bomb(path: Path, side: int = 60_000) -> None:
    """A small image whose header says that it is a huge one."""
    Image.fromarray(SECRET[0]).resize((64, 64)).save(path, lossless=True)
    content = bytearray(path.read_bytes())
    if path.suffix == ".bmp":
        content[18:26] = struct.pack("<ii", side, side)
    elif path.suffix == ".jpg":
        frame = content.index(b"\xff\xc0")
        content[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    else:  # WebP: the size stands in 14 bits each, behind the signature of VP8L; 16383 is the most
        start = content.index(b"VP8L") + 9
        bits = struct.unpack("<I", content[start : start + 4])[0] >> 28 << 28 | 16382 << 14 | 16382
        content[start : start + 4] = struct.pack("<I", bits)
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".bmp", ".jpg", ".webp"])
def test_images_that_declare_too_many_pixels(tmp_path, suffix):
    bomb(tmp_path / f"x{suffix}")
    before = memory()
    with pytest.raises(UnreadableError):
        decode_one(tmp_path / f"x{suffix}")
    assert memory() - before < 50_000


FORGED = "!\ntlcli: everything is fine"


def is_one_short_line(text: str) -> bool:
    return len(text.splitlines()) == 1 and r"!\ntlcli: everything" in text and len(text) < 2000


def test_names_of_arrays_forge_no_message(tmp_path):
    names = [FORGED, *(f"{i}{'long' * 5000}" for i in range(20))]
    np.savez(tmp_path / "x.npz", **dict.fromkeys(names, LABELS))
    with pytest.raises(TlcliError, match="expected x_train") as npz:
        load_source(str(tmp_path / "x.npz"))
    with pytest.raises(TlcliError, match="has no array 'x_train'") as published:
        read_npz(tmp_path / "x.npz", ["x_train"])
    for refused in (npz, published):
        assert is_one_short_line(str(refused.value))


@pytest.mark.parametrize("zipped", [False, True])
def test_names_of_images_forge_no_message(tmp_path, zipped):
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(SECRET[i]).save(tmp_path / "pictures" / name / f"{i}.png")
    (tmp_path / "pictures" / "a" / f"{FORGED}.png").write_bytes(b"")
    (tmp_path / "pictures" / "a" / f"y.{FORGED}").write_bytes(b"")
    path = shutil.make_archive(str(tmp_path / "x"), "zip", tmp_path / "pictures") if zipped else "pictures"
    source = load_source(str(tmp_path / path), test="every-fifth")
    split(source, [0, 1])
    forged = [warning for warning in source.warnings if "fine" in warning]
    assert len(forged) == 2
    assert all(is_one_short_line(warning) for warning in forged)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


@pytest.mark.parametrize(("method", "words"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")])
@pytest.mark.parametrize("suffix", [".npz", ".zip"])
def test_members_that_are_packed_without_bound(tmp_path, suffix, method, words):
    """A few kilobytes of bzip2 unpack to gigabytes, all of them for the first byte that is read."""
    with zipfile.ZipFile(tmp_path / f"x{suffix}", "w", method) as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", npy(SECRET if name == "images" else LABELS))
    with pytest.raises(
        TlcliError, match=f"packed with {words}; expected members that are stored or deflated"
    ):
        load_source(str(tmp_path / f"x{suffix}"))


def test_members_that_overlap(tmp_path):
    """The same bytes under many names, each of which would be unpacked."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", np.random.default_rng(0).bytes(10_000))
        archive.filelist *= 20
        for number, member in enumerate(archive.filelist):
            archive.filelist[number] = member = copy.copy(member)
            member.filename = f"a/{number}.png"
    with pytest.raises(TlcliError, match="has members that overlap"):
        load_source(str(tmp_path / "x.zip"))


@pytest.mark.parametrize("packed", [False, True])
def test_one_budget_for_all_arrays(tmp_path, monkeypatch, packed):
    """Each array fits, and both together do not: MATLAB 5 and 7.3, and .npz."""
    arrays = {"x_train": SECRET, "y_train": LABELS, "x_test": SECRET, "y_test": LABELS}
    (np.savez_compressed if packed else np.savez)(tmp_path / "x.npz", **arrays)
    scipy.io.savemat(tmp_path / "5.mat", arrays, do_compression=packed)
    with h5py.File(tmp_path / "7.mat", "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array.T, compression="gzip" if packed else None)
    with open(tmp_path / "7.mat", "r+b") as raw:
        raw.write(matlab.HEADER_V73.ljust(124) + b"\x00\x02IM")
    for name in ("x.npz", "5.mat", "7.mat"):
        monkeypatch.setenv("TLCLI_MAX_BYTES", "1000000")
        load_source(str(tmp_path / name))
        monkeypatch.setenv("TLCLI_MAX_BYTES", "9000")
        with pytest.raises(TlcliError, match="9,000 bytes that TLCLI_MAX_BYTES"):
            load_source(str(tmp_path / name))


def test_texts_that_a_pickle_refers_to_again(tmp_path):
    """Each `_codecs.encode` of one long text made another copy."""
    text = "é" * 50_000
    stored = struct.pack("<I", 100_000) + text.encode()
    content = b"\x80\x04](c_codecs\nencode\nq\x000X" + stored + b"q\x010"
    content += b"h\x00h\x01\x85R" * 10_000 + b"e."
    before = memory()
    made = unpickle.load(io.BytesIO(content), Budget("x", len(content)))
    assert len(made) == 10_000
    assert made[0] == text.encode("latin1")
    assert memory() - before < 50_000


def test_a_pickle_of_more_steps_than_it_may_take(monkeypatch):
    monkeypatch.setattr(budget, "FLOOR", 1_000_000)
    monkeypatch.setattr(budget, "RATIO", 1)
    for content in (b"\x80\x02](" + b"}" * 20_000 + b"e.", pickle.dumps(list(range(20_000)), 4)):
        with pytest.raises(TlcliError, match="the objects that it makes would take more"):
            unpickle.load(io.BytesIO(content), Budget("x", len(content)))


def test_threads_share_the_room_to_decode_in(tmp_path, monkeypatch):
    """Threads wait for each other: two large images at once would exceed the promised memory."""
    at_once, most = 0, 0

    def counted(image: Any, *more: Any) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1
        return plain(image, *more)

    plain = decoding._grey_or_colour
    monkeypatch.setattr(decoding, "_grey_or_colour", counted)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(SECRET[i]).resize((60, 60)).save(tmp_path / name / f"{i}.png")
    for room, expected in ((150_000, 2), (100_000, 1)):
        most = 0
        monkeypatch.setattr(budget, "ROOM", room)
        split(load_source(str(tmp_path), image_size=8), [0, 1])
        assert most == expected
    monkeypatch.setattr(budget, "ROOM", 50_000)
    with pytest.raises(TlcliError, match="None of the 10 images"):
        load_source(str(tmp_path))


@pytest.mark.timeout(30)
def test_threads_that_look_for_white_wait_for_nobody(tmp_path, monkeypatch):
    """Each image takes most of the room, and the first to be met needs the range of all of them."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            deep = np.full((60, 60), 100 * i, np.uint16)
            Image.fromarray(deep).save(tmp_path / name / f"{i}.png")
    monkeypatch.setattr(budget, "ROOM", 80_000)
    monkeypatch.setattr(decoding, "_THREADS", 8)
    cut = split(load_source(str(tmp_path), test="every-fifth"), [0, 1])
    assert cut.train.images[5][0, 0, 0] == round(600 * 255 / 1023)


def test_decoded_images_are_counted_while_they_are_there(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.fromarray(SECRET[i]).save(tmp_path / name / f"{i}.png")
    monkeypatch.setenv("TLCLI_MAX_BYTES", "3000")
    images = load_source(str(tmp_path)).train.images
    for _ in range(5):  # each time 864 bytes, that are released
        assert len(images[:8]) == 8
    kept = [images.readable(np.arange(8)) for _ in range(3)]
    with pytest.raises(TlcliError, match=r"images .* 3,000 bytes"):
        images.readable(np.arange(8))
    del kept
    images.readable(np.arange(8))


def test_scans_of_a_jpeg_are_counted(tmp_path):
    for options, expected in (
        ({}, 1),
        ({"progressive": True}, 10),
        ({"progressive": True, "exif": b"\xff\xda"}, 10),
    ):
        Image.fromarray(np.dstack([SECRET[0]] * 3)).save(tmp_path / "x.jpg", **options)
        assert count_scans((tmp_path / "x.jpg").read_bytes()) == expected


def in_mode(mode: str, path: Path, side: int = 2000) -> None:
    if mode == "I;16":
        Image.fromarray(np.full((side, side), 40_000, np.uint16)).save(path, "PNG")
    elif mode in ("RGB;16", "RGBA;16"):
        path.write_bytes(png_of_16_bits(np.full((side, side, 3 + (mode == "RGBA;16")), 40_000, np.uint16)))
    elif mode == "P, transparent":
        Image.new("RGB", (side, side)).quantize(2).save(path, "PNG", transparency=0)
    elif mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGBA", (side, side)).save(path, "PNG", exif=exif)
    else:
        Image.new(mode, (side, side)).save(path, "TIFF" if mode == "CMYK" else "PNG")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "P, transparent", "RGB", "RGBA", "I;16", "RGB;16", "RGBA;16", "CMYK", "turned"],
)
def test_no_pixel_takes_more_memory_than_is_promised(tmp_path, mode):
    """No conversion of an image exceeds `image_room.PIXEL_MEMORY`, on which all limits rest."""
    in_mode(mode, tmp_path / "x.png")
    decode_one(tmp_path / "x.png")
    found = in_child(lambda: opened(decode_one, tmp_path / "x.png"))
    assert found["outcome"] == "read"
    assert found["memory"] <= image_room.PIXEL_MEMORY * 2000 * 2000 + (8 << 20)


def test_rows_of_a_table_are_counted(tmp_path, monkeypatch):
    """Every two bytes make a row, and a long path is not compared step by step."""
    (tmp_path / "x.csv").write_text("file,label\n" + "x,\n" * 3000)
    monkeypatch.setattr(budget, "FLOOR", 100_000)
    monkeypatch.setattr(budget, "RATIO", 1)
    with pytest.raises(TlcliError, match=r"the rows of the table x\.csv would take more"):
        tables.read_table(tmp_path / "x.csv", "x.csv", Budget("x"))
    began = time.process_time()
    assert tables._find("a/" * 60_000 + "x.png", {"x.png": 3}) == 3
    assert time.process_time() - began < 2
