"""Files of MATLAB: the halves of the course, both versions, and damaged ones."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlcli.data import load_source, matlab, split, write_mat
from tlcli.errors import TlcliError


@pytest.fixture
def halves(tiny, tmp_path):
    """A file in the layout of halves: classes 0 to 1, and 2 to 4 at two proportions."""
    source = tiny([20, 20, 20, 20, 20], tests=3)
    cuts = [
        split(source, [0, 1]),
        split(source, [2, 3, 4], proportion=0.1),
        split(source, [2, 3, 4], proportion=0.5),
    ]
    write_mat(cuts, tmp_path / "halves.mat")
    return tmp_path / "halves.mat", cuts


def test_the_layout_of_halves_there_and_back(halves, tmp_path):
    path, cuts = halves
    assert {"X_trn01", "t_trn01", "X_tst01", "t_tst01", "X_trn24_0_1", "t_trn24_0_5", "X_tst24"} <= set(
        matlab.shapes(path)
    )
    assert matlab.shapes(path)["t_trn24_0_5"] == (30, 3)
    source = load_source(str(path))
    assert (source.name, source.class_numbers) == ("tiny", [0, 1, 2, 3, 4])
    assert "X_trn24_0_5 with 30 images" in source.warnings[0]
    again = split(source, [2, 3, 4])
    for name, part in cuts[2].parts.items():
        assert np.array_equal(again.parts[name].images, part.images)
        assert np.array_equal(again.parts[name].labels, part.labels)
    assert np.array_equal(again.train.source_index, cuts[2].train.source_index)
    write_mat(cuts, tmp_path / "again.mat")
    assert (tmp_path / "again.mat").read_bytes() == path.read_bytes()
    with pytest.raises(TlcliError, match="exists already"):
        write_mat(cuts, path)


def test_other_classes_than_a_range_of_digits(tiny, tmp_path):
    cut = split(tiny([5] * 14, names=[f"č {i}" for i in range(14)]), [0, 5, 12])
    write_mat(cut, tmp_path / "x.mat")
    source = load_source(str(tmp_path / "x.mat"))
    assert (source.class_numbers, source.class_names) == ([0, 5, 12], ["č 0", "č 5", "č 12"])


def test_a_lab_file_without_a_name_and_with_classes_out_of_order(tiny, tmp_path):
    import scipy.io

    write_mat(split(tiny([5] * 6), [3, 5]), tmp_path / "x.mat")
    held = matlab.read(tmp_path / "x.mat", list(matlab.shapes(tmp_path / "x.mat")))
    key = next(name for name in held if name.startswith("classes")).removeprefix("classes")
    held |= {f"classes{key}": np.array([5, 3]), f"t_tst{key}": np.array([3, 3, 5, 5]), "source": ""}
    scipy.io.savemat(tmp_path / "y.mat", held)
    source = load_source(str(tmp_path / "y.mat"))
    assert (source.name, source.class_numbers, source.class_names) == ("y", [3, 5], ["5", "3"])
    assert source.test.labels.tolist() == [0, 0, 1, 1]


def as_v73(path, variables):
    """Write a file of MATLAB's -v7.3: HDF5 after 512 bytes, axes reversed."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in variables.items():
            packed = {"chunks": True, "compression": "gzip"} if array.size > 1 else {}
            stored = file.create_dataset(name, data=array.T, **packed)
            stored.attrs["MATLAB_class"] = np.bytes_(b"double")
        file["link"] = h5py.ExternalLink("/etc/hostname", "/")
    with open(path, "r+b") as file:
        file.write(matlab.HEADER_V73.ljust(124) + b"\x00\x02IM")


def test_version_73_and_the_variables_as_the_course_gives_them(halves, tmp_path):
    path, cuts = halves
    held = matlab.read(path, [name for name in matlab.shapes(path) if name[:2] in ("X_", "t_")])
    renamed = {name.replace("24_0_", "24_0."): array for name, array in held.items()}
    renamed["t_tst24"] = renamed["t_tst24"].argmax(1) + 2.0  # the published numbers themselves
    renamed["X_trn01"] = renamed["X_trn01"].reshape(len(renamed["X_trn01"]), -1)
    renamed["source"] = np.zeros((0, 0))
    as_v73(tmp_path / "new.mat", renamed)
    assert load_source(str(tmp_path / "new.mat")).name == "new"
    again = split(load_source(str(tmp_path / "new.mat")), [2, 3, 4])
    assert np.array_equal(again.train.images, cuts[2].train.images)
    assert again.test.labels.tolist() == cuts[2].test.labels.tolist()


def test_mat_that_cannot_be_used(halves, tmp_path):
    import scipy.io

    held = matlab.read(halves[0], list(matlab.shapes(halves[0])))
    bad = tmp_path / "bad.mat"
    for change, words in (
        ({"t_tst24": None}, "no variable t_tst24"),
        ({"t_trn01": np.full(40, 7)}, "has a label 7"),
        ({"X_trn01": held["X_trn01"] * np.nan}, "not numbers"),
        ({"X_tst01": held["X_tst01"][:2]}, "for 6 labels"),
        ({"t_trn01": np.zeros((40, 2))}, "not one-hot"),
        ({"classes24": np.array([0, 1, 2])}, "a class in two of its sets"),
        ({"classes24": np.zeros((0, 0))}, "classes24 of bad.mat have shape"),
        ({"i_trn01": np.full(40, np.nan)}, "i_trn01 of bad.mat hold values that are not numbers"),
        ({"i_trn01": np.array(["x"] * 40)}, "i_trn01 of bad.mat are of type"),
        ({"i_trn01": np.arange(39)}, "i_trn01 of bad.mat has 39 values: expected 40"),
        ({"X_trn01": held["X_trn01"][:, :1], "X_tst01": held["X_tst01"][:, :1]}, "in shape: 1 x 2 x 1,"),
    ):
        scipy.io.savemat(bad, {k: v for k, v in {**held, **change}.items() if v is not None})
        with pytest.raises(TlcliError, match=words):
            load_source(str(bad))
    as_v73(bad, {"X_trn12": np.zeros((1, 2, 2)), "t_trn12": np.array(1.0)})
    with pytest.raises(TlcliError, match="no variable X_tst12"):
        load_source(str(bad))
    scipy.io.savemat(bad, {"something": np.zeros(3), "cell": np.array([1, "x"], object)})
    with pytest.raises(TlcliError, match="holds something: expected x_train"):
        load_source(str(bad))
    bad.write_bytes(b"")
    with pytest.raises(TlcliError, match="expected a MATLAB file"):
        load_source(str(bad))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_damaged_mat_files_end_in_an_error_or_in_data(tmp_path_factory, seed, flips):
    folder = tmp_path_factory.getbasetemp()
    rng = np.random.default_rng(seed)
    whole = folder / "whole.mat"
    if not whole.exists():
        pixels = np.arange(720, dtype=np.uint16).reshape(20, 6, 6, 1) % 256
        matlab.write(whole, {"images": pixels.astype(np.uint8), "labels": np.arange(20) % 4})
    content = bytearray(whole.read_bytes())
    for position in rng.integers(124, len(content), flips):
        content[position] ^= 1 << int(rng.integers(8))
    damaged = folder / "damaged.mat"
    damaged.write_bytes(bytes(content[: int(rng.integers(1, len(content) + 1))]))
    with contextlib.suppress(TlcliError):
        load_source(str(damaged))
