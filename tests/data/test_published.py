"""The publishers' formats, and the places to search for them, on small stand-ins without network."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from stand_ins import (
    COARSE,
    COLOUR,
    DIGITS,
    FINE,
    GREY,
    SMALL10,
    SMALL100,
    check_cifar,
    check_grey,
    cifar_files,
    damage,
    idx_bytes,
    idx_files,
    packed,
    planes,
)

from tlcli.data import cifar, idx, load_source, unpickle
from tlcli.data.readers import cifar100, fashion_mnist, mnist
from tlcli.data.source import Request
from tlcli.errors import TlcliError
from tlcli.store import budget

pytestmark = pytest.mark.usefixtures("no_caches")


@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_in_a_folder(tmp_path, below, zipped):
    idx_files(tmp_path / "data" / below, zipped=zipped)
    check_grey(mnist.load(Request(tmp_path / "data")))


def test_mnist_under_the_names_with_dots(tmp_path):
    idx_files(tmp_path / "data", zipped=False, names=[n.replace("-idx", ".idx") for n in idx.FILES])
    check_grey(mnist.load(Request(tmp_path / "data")))


def test_mnist_in_keras_cache_and_as_npz(tmp_path):
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    np.savez(
        folder / "mnist.npz", x_train=GREY[:20], y_train=DIGITS[:20], x_test=GREY[20:], y_test=DIGITS[20:]
    )
    check_grey(mnist.load(Request(download=False)))


def test_fashion_is_never_taken_for_mnist(tmp_path):
    idx_files(tmp_path / "keras" / "datasets" / "fashion-mnist")
    idx_files(tmp_path / "data" / "fashion-mnist")
    check_grey(fashion_mnist.load(Request(tmp_path / "data")))
    check_grey(fashion_mnist.load(Request()))
    with pytest.raises(TlcliError, match="neither in the data folder"):
        mnist.load(Request(tmp_path / "data", download=False))
    for name in ("fashion-mnist", "FashionMNIST/raw", "KMNIST/raw"):
        idx_files(tmp_path / "data" / name)
        with pytest.raises(TlcliError, match=r"holds the files of (fashion|kmnist)"):
            mnist.load(Request(tmp_path / "data" / name))
    for folder in ("FashionMNIST/raw", "my-files"):
        idx_files(tmp_path / "data" / folder)
        source = fashion_mnist.load(Request(tmp_path / "data" / folder))
        check_grey(source)
        assert "checksums are unknown" in source.warnings[0]


def test_fashion_itself_is_known(tmp_path, published):
    """Fashion-MNIST is found where the error says to put it, repacked or not, and refused as MNIST."""
    source = published("fashion-mnist")
    assert source.warnings == []
    parts = [source.train, source.test]
    for pack in (lambda content: gzip.compress(content, 1), bytes):
        folder = tmp_path / str(pack is bytes) / "mnist"
        folder.mkdir(parents=True)
        for name, part in zip(idx.FILES, (parts[0], parts[0], parts[1], parts[1]), strict=True):
            array = part.labels.astype(np.uint8) if "labels" in name else part.images[..., 0]
            (folder / (name if pack is bytes else name + ".gz")).write_bytes(pack(idx_bytes(array)))
        found = fashion_mnist.load(Request(folder, download=False))
        assert found.warnings == []
        assert np.array_equal(found.train.images, source.train.images)
        for data in (folder, folder.parent):
            with pytest.raises(TlcliError, match=r"'mnist' holds the files of fashion-mnist"):
                mnist.load(Request(data))


def test_published_files_are_known_whatever_they_are_called(tmp_path, published):
    """MNIST is read from a folder with another set's name, repacked, unpacked, or as Keras's archive."""
    source = published("mnist")
    assert source.warnings == []
    arrays = [
        a for part in source.parts.values() for a in (part.images[..., 0], part.labels.astype(np.uint8))
    ]
    for folder, pack in (("fashion", gzip.compress), ("my-files", bytes)):
        (tmp_path / folder).mkdir()
        for name, array in zip(idx.FILES, arrays, strict=True):
            path = tmp_path / folder / (name + (".gz" if pack is gzip.compress else ""))
            path.write_bytes(pack(idx_bytes(array), 1) if pack is gzip.compress else idx_bytes(array))
        assert mnist.load(Request(tmp_path / folder)).warnings == []
        with pytest.raises(TlcliError, match=r"holds the files of mnist.*name the data set mnist"):
            fashion_mnist.load(Request(tmp_path / folder))
    keys = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "mnist.npz", **dict(zip(keys, arrays, strict=True)))
    assert mnist.load(Request(tmp_path)).warnings == []
    arrays[0] = arrays[0].copy()
    arrays[0][0, 0, 0] = 1
    np.savez(tmp_path / "mnist.npz", **dict(zip(keys, arrays, strict=True)))
    assert "train-images-idx3-ubyte in" in mnist.load(Request(tmp_path)).warnings[0]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (idx.FILES[0], lambda b: b[:-1], "holds only"),
        (idx.FILES[0], lambda b: b + b"x", "holds more"),
        (idx.FILES[0], lambda b: b"", "begins with nothing"),
        (idx.FILES[0], lambda b: b[:4] + b"\xff" * 12 + b[16:], "more than it can hold"),
        (idx.FILES[0], lambda b: gzip.compress(b)[:-20], "cannot be read"),
        (idx.FILES[1], lambda b: b[:8] + b"\x0b" + b[9:], "0 to 9"),
        (idx.FILES[1], lambda b: idx_bytes(DIGITS[:19]), "20 train images and 19 labels"),
        (idx.FILES[2], lambda b: idx_bytes(GREY[20:, :20]), "expected uint8 N x 28 x 28"),
    ],
)
def test_damaged_idx_files(tmp_path, name, change, words):
    idx_files(tmp_path, zipped=False)
    damage(tmp_path, name, change)
    with pytest.raises(TlcliError, match=words):
        mnist.load(Request(tmp_path))


def test_a_file_of_the_four_is_missing(tmp_path):
    idx_files(tmp_path)
    (tmp_path / f"{idx.FILES[3]}.gz").unlink()
    with pytest.raises(TlcliError, match="has only train-images"):
        mnist.load(Request(tmp_path))


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_cifar_in_a_folder_or_archive(tmp_path, binary, archived):
    for layout, labels in ((SMALL10, DIGITS[np.arange(60) % 10]), (SMALL100, FINE)):
        folder = cifar_files(
            layout, tmp_path / (layout.binary_folder if binary else layout.python_folder), binary=binary
        )
        if archived:
            packed(folder, tmp_path / (layout.binary_archive if binary else layout.python_archive))
        check_cifar(cifar.load(layout, Request(tmp_path)), labels)


@pytest.mark.parametrize("protocol", range(5))
def test_pickles_of_every_protocol(tmp_path, protocol):
    cifar_files(SMALL10, tmp_path, binary=False, protocol=protocol)
    check_cifar(cifar.load(SMALL10, Request(tmp_path)), DIGITS[np.arange(60) % 10])


@pytest.mark.parametrize(
    "below",
    [
        "cifar-10-batches-py-target/cifar-10-batches-py",
        "cifar-10-batches-py",
        "cifar-10-batches-py-target_extracted/cifar-10-batches-py",
    ],
)
def test_cifar_in_keras_cache(tmp_path, below):
    cifar_files(SMALL10, tmp_path / "keras" / "datasets" / below, binary=False)
    check_cifar(cifar.load(SMALL10, Request(download=False)), DIGITS[np.arange(60) % 10])


def test_the_coarse_labels_of_cifar100_are_a_set_of_their_own(tmp_path, monkeypatch):
    """Their numbers mean other classes than those of the fine labels."""
    cifar_files(SMALL100, tmp_path, binary=True)
    monkeypatch.setattr(cifar100, "LAYOUT", SMALL100)
    source = load_source("cifar100", labels="coarse", data_dir=tmp_path, download=False)
    assert (source.name, source.class_names) == ("cifar100-coarse", list(cifar100.COARSE))
    check_cifar(source, COARSE)


class Evil:
    """A pickle that would run a command."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def _doubled(depth):
    """A list of 2 to the depth numbers, in a few bytes."""
    value = [1]
    for _ in range(depth):
        value = [value, value]
    return value


def evil_pickles(mark):
    yield "mkdir", pickle.dumps({"data": Evil(mark), "labels": []}, 2)
    yield "labels", pickle.dumps({"data": planes(COLOUR[:10]), "labels": [Evil(mark)]}, 4)
    yield "numpy function", b"cnumpy\nload\n(S'" + str(mark).encode() + b"'\ntR."
    yield "builtins", b"c__builtin__\neval\n(S'1'\ntR."
    yield "extension", b"\x80\x02\x82\x01."
    yield "persistent", b"P1\n."
    yield "instance", b"(i__builtin__\neval\n."
    yield "new object", b"\x80\x02cnumpy\nndarray\n)\x81}b."
    yield "state of a function", b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00xK\x01sb."
    yield "huge memo", b"\x80\x02]r\xff\xff\xff\x7f."
    yield "tuple keys", b"\x80\x02)" + b"2\x86" * 100 + b"}0."
    yield "nested keys", b"\x80\x02}" + b"K\x01" + b"2\x86" * 100 + b"K\x01s."
    yield "objects in an array", pickle.dumps({"data": np.array([Evil(mark)], object), "labels": []}, 2)
    yield "huge string", b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7fxx."
    yield "lists in lists", pickle.dumps({"data": planes(COLOUR[:10]), "labels": _doubled(60)}, 2)
    yield "cut short", pickle.dumps({"data": planes(COLOUR[:10]), "labels": [1] * 10}, 2)[:-9]
    yield "no dict", pickle.dumps([1, 2, 3])
    yield "empty", b""
    yield (
        "shape",
        pickle.dumps({"data": planes(COLOUR[:10]), "labels": [1] * 10}, 2).replace(
            b"M\x00\x0c", b"M\x01\x0c"
        ),
    )


def test_pickles_run_nothing(tmp_path):
    mark, before = tmp_path / "was-here", {**vars(unpickle)}
    for what, content in evil_pickles(mark):
        cifar_files(SMALL10, tmp_path, binary=False)
        (tmp_path / "data_batch_2").write_bytes(content)
        with pytest.raises(TlcliError, match="data_batch_2"):
            cifar.load(SMALL10, Request(tmp_path))
        assert not mark.exists(), what
    assert {**vars(unpickle)} == before


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("test_batch.bin", lambda b: b[:-1], "30729 bytes: expected 30730"),
        ("data_batch_3.bin", lambda b: b"\x0a" + b[1:], "labels outside 0 to 9"),
        ("data_batch_3.bin", lambda b: b * 3000, "expected"),
    ],
)
def test_damaged_cifar_files(tmp_path, name, change, words):
    cifar_files(SMALL10, tmp_path, binary=True)
    damage(tmp_path, name, change)
    with pytest.raises(TlcliError, match=words):
        cifar.load(SMALL10, Request(tmp_path))
    (tmp_path / name).unlink()
    with pytest.raises(TlcliError, match="5 of the 6 files"):
        cifar.load(SMALL10, Request(tmp_path))


def tar_member(name, content=b"x", kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(content), kind, link
    return member, io.BytesIO(content)


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (tar_member("../data_batch_1.bin"), "points outside"),
        (tar_member("/etc/data_batch_1.bin"), "points outside"),
        (tar_member("a/../../b"), "points outside"),
        (tar_member("data_batch_1.bin", b"", tarfile.SYMTYPE, "/etc/hostname"), "link or device"),
        (tar_member("data_batch_1.bin", b"", tarfile.LNKTYPE, "/etc/hostname"), "link or device"),
        (tar_member("data_batch_1.bin", b"", tarfile.FIFOTYPE), "link or device"),
        (tar_member("data_batch_1.bin", bytes(200_000)), "expected"),
    ],
)
def test_archives_that_leave_their_folder(tmp_path, member, words):
    with tarfile.open(tmp_path / SMALL10.binary_archive, "w:gz") as tar:
        tar.addfile(*member)
    with pytest.raises(TlcliError, match=words):
        cifar.load(replace(SMALL10, label_columns=1), Request(tmp_path))


def tar_header(size, kind=tarfile.REGTYPE, pax=None):
    member = tarfile.TarInfo("readme")
    member.size, member.type, member.pax_headers = size, kind, pax or {}
    return member.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)


def sparse_header(size):
    """A sparse file, whose header declares no content."""
    block = bytearray(tar_header(size, tarfile.GNUTYPE_SPARSE))
    block[483:495] = b"0" * 12
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


LONG_NAME = tar_header(2, tarfile.GNUTYPE_LONGNAME) + b"a".ljust(512, b"\0")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("pack", [gzip.compress, bytes])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tar_header(1 << 40), r"declares 1,099,511,627,776 bytes, would take more than"),
        (tar_header(1 << 80), "a member of the size '1208925819614629174706176'"),
        (tar_header(0, pax={"size": "9" * 20}), r"declares 99,999,999,999,999,999,999 bytes"),
        (tar_header(1 << 20), "unexpected end of data"),
        (sparse_header(1 << 80), "cannot be read as a tar archive"),
        (
            tar_header(1 << 80, tarfile.GNUTYPE_LONGNAME),
            "has a header of 1,208,925,819,614,629,174,706,176 bytes",
        ),
        (LONG_NAME * 3000, "it ends with a header"),
        (tar_header(0, tarfile.XHDTYPE) * 3000, "it ends with a header"),
        (tar_header(1 << 17, tarfile.XHDTYPE) + b"1" * (1 << 17), "has a header of 131,072 bytes"),
        (tar_header(1 << 16, tarfile.XHDTYPE) + b"1" * (1 << 16), "with a damaged record"),
        (b"", "ends before its first member"),
    ],
    ids=[
        *("2^40", "2^80", "pax", "cut short", "sparse", "long name", "long names", "pax headers"),
        *("long header", "header of digits", "empty"),
    ],
)
def test_archives_whose_headers_lie(tmp_path, pack, content, words):
    """Headers with false positions and endless nesting, which tarfile follows."""
    (tmp_path / SMALL10.binary_archive).write_bytes(pack(content))
    with pytest.raises(TlcliError, match=words):
        cifar.load(SMALL10, Request(tmp_path))


def test_an_archive_that_expands_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "FLOOR", 1 << 20)
    monkeypatch.setattr(budget, "RATIO", 1)
    with tarfile.open(tmp_path / SMALL10.binary_archive, "w:gz") as tar:
        for name in ("readme", "readme too"):
            tar.addfile(*tar_member(name, bytes(700_000)))
    with pytest.raises(
        TlcliError, match=r"would take more than the 1,05[0-9],[0-9]{3} bytes that may be made"
    ):
        cifar.load(SMALL10, Request(tmp_path))
    (tmp_path / SMALL10.binary_archive).write_bytes(b"\x1f\x8b no tar")
    with pytest.raises(TlcliError, match="cannot be read as a tar archive"):
        cifar.load(SMALL10, Request(tmp_path))
