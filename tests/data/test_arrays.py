"""Arrays out of .npz and .mat files."""

from __future__ import annotations

import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from tlcli.data import load_source
from tlcli.data.arrays import as_images, as_labels
from tlcli.data.scale import Range, find_white, find_whites
from tlcli.errors import TlcliError


def smooth(n, side, seed=0):
    """Colour images whose neighbouring pixels are alike, as those of photographs are."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(0, 120, (n, 2, 3)).astype(float) for _ in range(2))
    steps = np.linspace(0, 1, side)[:, None]
    down, across = (a[:, :1] + (a[:, 1:] - a[:, :1]) * steps for a in (rows, columns))
    return (down[:, :, None] + across[:, None] + rng.integers(0, 12, (n, side, side, 3))).astype(np.uint8)


PIXELS = smooth(20, 6)
PIXELS[0, 0, 0] = 255
LABELS = np.arange(20) % 4


PLANES = PIXELS.transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("given", "channels"),
    [
        (PIXELS, 3),
        (PLANES, 3),
        (PLANES.reshape(20, -1), 3),
        (PIXELS.reshape(20, -1), 3),
        (np.moveaxis(PIXELS, 0, -1), 3),
        (PIXELS[..., :1], 1),
        (PIXELS[..., 0], 1),
        (PIXELS[..., 0].reshape(20, 36), 1),
        (PIXELS[..., 0].reshape(20, 36).T, 1),
        (PLANES[:, :1], 1),
    ],
)
def test_shapes_of_images(given, channels):
    """Rows of interleaved and of planar colour are told apart by the pixels."""
    assert np.array_equal(as_images(given, 20, 255, "X"), PIXELS[..., :channels])


@pytest.mark.parametrize(
    ("layout", "rows"),
    [
        ("hwc", PIXELS.reshape(20, -1)),
        ("chw", PLANES.reshape(20, -1)),
        ("whc", PIXELS.transpose(0, 2, 1, 3).reshape(20, -1)),
        ("cwh", PLANES.transpose(0, 1, 3, 2).reshape(20, -1)),
        ("chw", PLANES),
        ("whc", PIXELS.transpose(0, 2, 1, 3)),
    ],
)
def test_layouts_that_are_named(layout, rows):
    assert np.array_equal(as_images(rows, 20, 255, "X", layout), PIXELS)


def test_rows_whose_layout_is_open():
    """A layout and its transposed twin are as smooth as each other, and noise is in all."""
    for rows, words in ((PLANES.reshape(20, -1), "chw, cwh"), (PIXELS[..., 0].reshape(20, -1), "hwc, whc")):
        with pytest.raises(TlcliError, match=words):
            as_images(rows, 20, 255, "X", columns=True)
    with pytest.raises(TlcliError, match="`layout` which axis comes first: hwc or chw"):
        as_images(np.random.default_rng(0).integers(0, 256, (20, 108), dtype=np.uint8), 20, 255, "X")


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.float64),
        lambda x: x / 255,
        lambda x: (x / 255).astype(np.float32),
        lambda x: x.astype(np.int64),
        lambda x: x.astype(np.uint16),
        lambda x: x.astype(">f8"),
        lambda x: x.astype(np.uint16) * 257,
    ],
)
def test_types_of_pixels(convert):
    x = convert(PIXELS)
    white = find_whites({"X": x}, "set", None, [], [])["X"]
    assert np.array_equal(as_images(x, 20, white, "X"), PIXELS)


def test_booleans_become_black_and_white():
    x = PIXELS[..., 0] > 127
    for binary in (x, x.astype(np.uint8), x.astype(float)):
        white = find_whites({"X": binary}, "set", None, [], [])["X"]
        assert np.array_equal(as_images(binary, 20, white, "X")[..., 0], x * 255)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "1 pixels that are not numbers"),
        (np.inf, "not numbers"),
        (-0.5, "reach from -0.5"),
        (256.0, "to 256"),
        (2.8, "`white`"),
    ],
)
def test_pixels_out_of_range(value, words):
    x = PIXELS / 255
    x[3, 2, 1, 0] = value
    with pytest.raises(TlcliError, match=words):
        find_whites({"X": x}, "set", None, [], [])


@pytest.mark.parametrize(
    ("high", "whole", "white", "doubtful"),
    [
        *((1, True, 1, False), (15, True, 15, False), (16, True, 16, False), (17, True, 255, True)),
        *((127, True, 255, True), (128, True, 255, False), (255, True, 255, False), (300, True, None, False)),
        *((4000, True, 4095, False), (1500, True, 4095, True), (65535, True, 65535, False)),
        *((70_000, True, None, False), (9, True, None, False), (0, True, 255, False)),
        *((0.7, False, 1, False), (1.0004, False, 1, False), (200.5, False, 255, False)),
        *((0.003, False, None, False), (60.5, False, None, False)),
    ],
)
def test_white_is_found_from_the_range(high, whole, white, doubtful):
    if white is None:
        with pytest.raises(TlcliError, match="`white`"):
            find_white(Range(0, high, whole), "The pixels")
    else:
        found, doubt = find_white(Range(0, high, whole), "The pixels")
        assert (found, bool(doubt)) == (white, doubtful)


def test_one_scale_for_all_parts(tmp_path):
    """scikit-learn's digits of 0 to 16, and a set with one part divided by 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    path = npz(tmp_path / "digits.npz", data=digits.data, images=digits.images, target=digits.target)
    source = load_source(path, test="every-fifth")
    expected = np.rint(digits.images[source.test.source_index] * 255 / 16)
    assert np.array_equal(source.test.images[..., 0], expected)
    assert "reach to 16: white is 16" in " ".join(source.notes)
    assert np.array_equal(
        load_source(path, white=32, test="every-fifth").test.images[..., 0],
        np.rint(digits.images[source.test.source_index] * 255 / 32),
    )
    parts = {"y_train": LABELS, "y_test": LABELS}
    path = npz(tmp_path / "a.npz", x_train=PIXELS.astype(float), x_test=PIXELS > 128, **parts)
    with pytest.raises(TlcliError, match="have different scales"):
        load_source(path)
    with pytest.raises(TlcliError, match="beyond white"):
        load_source(path, white=4)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        LABELS[:, None],
        LABELS[None],
        LABELS.astype(np.float32),
        np.eye(4)[LABELS],
        np.eye(4)[LABELS].T,
        np.eye(4, dtype=bool)[LABELS],
        LABELS.astype(np.uint8),
    ],
)
def test_forms_of_labels(labels):
    assert as_labels(labels, "t").tolist() == LABELS.tolist()
    assert as_labels(labels, "t").dtype == np.int64


@pytest.mark.parametrize(
    "labels",
    [
        LABELS - 1,
        LABELS + 0.5,
        np.full(20, np.nan),
        np.ones((20, 4)),
        np.zeros((20, 4)),
        LABELS.astype("U1"),
        np.zeros((2, 3, 4)),
        np.zeros(0),
        np.full(20, 2.0**60),
    ],
)
def test_labels_that_are_none(labels):
    with pytest.raises(TlcliError):
        as_labels(labels, "t")


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_npz_with_train_and_test(tmp_path):
    path = npz(
        tmp_path / "set.npz",
        x_train=PIXELS,
        y_train=LABELS[:, None],
        x_test=PIXELS[:8] / 255,
        y_test=LABELS[:8],
    )
    source = load_source(path)
    assert (source.name, source.class_names, len(source.test)) == ("set", ["0", "1", "2", "3"], 8)
    assert np.array_equal(source.train.images, PIXELS)
    assert np.array_equal(source.test.images, PIXELS[:8])


def test_npz_without_a_split_and_with_names(tmp_path):
    path = npz(
        tmp_path / "set.npz", images=PIXELS, labels=LABELS, class_names=np.array(["a", "b", "c", "d/'e"])
    )
    source = load_source(path)
    assert source.class_names == ["a", "b", "c", "d/'e"]
    assert (len(source.train), len(source.test)) == (16, 4)
    source = load_source(npz(tmp_path / "set.npz", images=PIXELS, labels=np.array(["x", "y"])[LABELS % 2]))
    assert source.class_names == ["x", "y"]
    for names in (np.array([b"x", "ž".encode()]), np.array(["x", "ž"], ">U1")):
        source = load_source(npz(tmp_path / "set.npz", images=PIXELS, labels=LABELS % 2, class_names=names))
        assert source.class_names == ["x", "ž"]
    source = load_source(npz(tmp_path / "set.npz", images=PIXELS, labels=np.array([b"x", b"y"])[LABELS % 2]))
    assert (source.class_names, source.train.labels.max()) == (["x", "y"], 1)
    source = load_source(npz(tmp_path / "set.npz", X=PIXELS, y=LABELS + 6))
    assert source.class_numbers == [6, 7, 8, 9]


class Evil:
    """Whoever loads its pickle makes a file in the current folder."""

    def __reduce__(self):
        return open, ("was-here", "w")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            {"images": PIXELS, "labels": np.array([Evil()] * 20, object)},
            "Python objects, which could run code",
        ),
        ({"images": np.array([Evil()], object), "labels": LABELS}, "Python objects"),
        ({"images": PIXELS, "labels": LABELS[:9]}, "for 9 labels"),
        ({"images": PIXELS, "labels": LABELS, "class_names": np.array(["a", "b"])}, "label 3 out of range"),
        (
            {"images": PIXELS, "labels": LABELS, "class_names": np.array(["a", "b", "a", "c"])},
            "two classes named 'a'",
        ),
        (
            {"images": PIXELS, "labels": LABELS, "class_names": np.array(["a", "b", "", "c"])},
            "without a name",
        ),
        (
            {"images": PIXELS, "labels": LABELS, "class_names": np.array(["a", "b", "\x1b[2J", "c"])},
            "control",
        ),
        *(
            ({"images": PIXELS, "labels": names[LABELS], "class_names": names}, "cannot be read")
            for names in (np.full(4, 0x110000, "u4").view("U1"), np.full(4, b"\xff"))
        ),
        ({"images": PIXELS, "labels": np.zeros((0, 3))}, r"have shape \(0, 3\)"),
        ({"images": PIXELS * np.float32(np.nan), "labels": LABELS}, "not numbers"),
        ({"images": PIXELS[..., :2], "labels": LABELS}, "1 or 3 channels"),
        ({"pictures": PIXELS}, "holds pictures: expected x_train"),
        (
            {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:, :5], "y_test": LABELS},
            "differ in shape",
        ),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, monkeypatch, arrays, words):
    monkeypatch.chdir(tmp_path)
    path = npz(tmp_path / "bad.npz", **arrays)
    with pytest.raises(TlcliError, match=words):
        load_source(path)
    assert [found.name for found in tmp_path.iterdir()] == ["bad.npz"]


def npz_with_header(path, header, content=b"12"):
    """An array whose header was written by hand."""
    size = len(header).to_bytes(2, "little")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + size + header + content)
        archive.writestr("labels.npy", b"")
    return str(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000), }", "bytes: more than"),
        (b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }", "expected sizes from 0"),
        *(
            (f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode(), "cannot be read")
            for kind, shape in (("|u1", (10**30, 0)), ("|u1", (1,) * 70), ("<U0", (2,)), ("|S0", (2,)))
        ),
        (b"{'descr': '|u1', 'fortran_order': False, 'shape': (", "its header is damaged"),
        (b"{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n(", "its header is damaged"),
        (b"(" * 9000, "its header is damaged"),
        (b"__import__('os').system('touch was-here')", "its header is damaged"),
    ],
)
def test_npz_with_a_header_that_lies(tmp_path, monkeypatch, header, words):
    """The header takes no memory for what it declares, although megabytes would unpack behind it."""
    monkeypatch.chdir(tmp_path)
    path = npz_with_header(tmp_path / "bomb.npz", header, bytes(10**7))
    tracemalloc.start()
    with pytest.raises(TlcliError, match=words):
        load_source(path)
    assert tracemalloc.get_traced_memory()[1] < 3e6
    tracemalloc.stop()
    assert os.listdir(tmp_path) == ["bomb.npz"]


def test_npz_that_is_none(tmp_path):
    (tmp_path / "bomb.npz").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(TlcliError, match="cannot be read as"):
        load_source(str(tmp_path / "bomb.npz"))
