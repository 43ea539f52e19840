"""Sizes and channels for every source, against Pillow."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image, ImageOps

from tlcli import store
from tlcli.data import join, load_source, split
from tlcli.errors import UsageError

RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (12, 10, 16, 3), dtype=np.uint8)
LABELS = np.arange(12) % 2
BILINEAR = Image.Resampling.BILINEAR


def fitted(pixels, size, how, channels):
    """An image fitted by Pillow."""
    image = Image.fromarray(pixels.squeeze())
    image = image.convert("L") if channels == 1 else image
    width_height = size[::-1]
    image = {
        "stretch": lambda: image.resize(width_height, BILINEAR),
        "crop": lambda: ImageOps.fit(image, width_height, BILINEAR),
        "pad": lambda: ImageOps.pad(image, width_height, BILINEAR),
    }[how]()
    pixels = np.asarray(image.convert("RGB") if channels == 3 else image)
    return pixels.reshape(*size, -1)


@pytest.fixture
def sources(tmp_path):
    np.savez(tmp_path / "set.npz", images=COLOUR, labels=LABELS)
    for i, pixels in enumerate(COLOUR):
        (tmp_path / "set" / str(LABELS[i])).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "set" / str(LABELS[i]) / f"{i:02d}.png")
    return tmp_path / "set.npz", tmp_path / "set"


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("size", [(8, 8), (20, 6)])
def test_files_and_folders_are_fitted_as_pillow_does(sources, how, channels, size):
    for path in sources:
        source = load_source(str(path), image_size=size, fit=how, channels=channels, test="every-fifth")
        cut = split(source, [0, 1])
        order = np.argsort(LABELS, kind="stable") if path.is_dir() else np.arange(12)
        for i, x in zip(cut.train.source_index, cut.train.images[:], strict=True):
            assert np.array_equal(x, fitted(COLOUR[order[i]], size, how, channels))


def test_every_kind_of_source_is_fitted(sources, tmp_path):
    """Archives, arrays in files of every kind, a dataset file, and several sets together."""
    _, folder = sources
    content = {"X": COLOUR, "y": LABELS}
    scipy.io.savemat(tmp_path / "set.mat", content)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"], file["labels"] = COLOUR, LABELS
    np.save(tmp_path / "x.npy", COLOUR)
    np.save(tmp_path / "y.npy", LABELS)
    for letter, array in (("images", COLOUR[..., 0]), ("labels", LABELS.astype(np.uint8))):
        head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (tmp_path / f"{letter}.idx").write_bytes(head + array.tobytes())
    store.write(
        tmp_path / "set.h5", split(load_source(str(tmp_path / "set.mat"), test="every-fifth"), [0, 1])
    )
    paths = [tmp_path / name for name in ("set.mat", "other.h5", "x.npy", "images.idx", "set.h5")]
    paths += [Path(shutil.make_archive(str(tmp_path / "packed"), kind, folder)) for kind in ("zip", "tar")]
    for path in paths:
        test = None if path.name == "set.h5" else "every-fifth"
        source = load_source(str(path), image_size=(6, 9), fit="crop", channels=1, test=test)
        cut = split(source, [0, 1])
        archive = path.suffix in (".zip", ".tar")
        order = np.argsort(LABELS, kind="stable") if archive else np.arange(12)
        given = COLOUR[..., :1] if path.suffix == ".idx" else COLOUR
        for i, x in zip(cut.train.source_index, cut.train.images[:], strict=True):
            assert np.array_equal(x, fitted(given[order[i]], (6, 9), "crop", 1)), path
    digits = load_source("digits", image_size=(6, 9), fit="crop", channels=1)
    both = split(
        join([load_source(str(folder), image_size=(6, 9), fit="crop", channels=1), digits], digits.fit),
        [0, 1],
    )
    assert both.image_shape == (6, 9, 1)


def test_digits_as_small_photographs():
    source = load_source("digits", image_size="32x24", fit="pad", channels=3)
    cut = split(source, [1, 7], size=6)
    plain = load_source("digits")
    position = {index: i for i, index in enumerate(plain.train.source_index.tolist())}
    for i, x in zip(cut.train.source_index.tolist(), cut.train.images[:], strict=True):
        assert np.array_equal(x, fitted(plain.train.images[position[i]], (32, 24), "pad", 3))
    assert cut.image_shape == (32, 24, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": "0"}, "`image_size` 0"),
        ({"image_size": "32x"}, "`image_size` 32x"),
        ({"image_size": "5000"}, "from 1 to 4096"),
        ({"fit": "squash"}, "`fit` squash"),
        ({"channels": 2}, "`channels` 2"),
    ],
)
def test_sizes_that_are_none(options, words):
    with pytest.raises(UsageError, match=words):
        load_source("digits", **options)
