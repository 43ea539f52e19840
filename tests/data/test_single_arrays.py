"""Files of one array (.npy) and of MATLAB that cannot be used are told, with what is wrong in them."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tlcli.data import matlab
from tlcli.data.safe_npz import read_npy
from tlcli.errors import TlcliError
from tlcli.store.budget import Budget


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def negative() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (-8,)})
    return file.getvalue() + bytes(64)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(np.array([{}])), "holds Python objects, which could run code"),
        (npy(np.array(["cat"])), "is of type <U3: expected numbers"),
        (npy(np.zeros(1000))[:200], r"declares \(1000,\) float64, 8000 bytes: more than the file holds"),
        (negative(), r"declares the shape \(-8,\): expected sizes from 0"),
        (npy(np.zeros(3), (3, 0)), r"cannot be read: unknown \.npy version \(3, 0\)"),
        (b"no array", "cannot be read"),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path, content, words):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(TlcliError, match=words):
        read_npy(tmp_path / "x.npy", Budget("x.npy", len(content)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_axes_is_kept(tmp_path, order):
    array = np.asarray(np.arange(24).reshape(2, 3, 4), order=order)
    np.save(tmp_path / "x.npy", array)
    found = read_npy(tmp_path / "x.npy", Budget("x.npy", 10_000))
    np.testing.assert_array_equal(found, array)


def test_a_mat_file_that_is_none(tmp_path, monkeypatch):
    (tmp_path / "x.mat").write_bytes(b"not a MATLAB file at all")
    assert matlab.is_mat(tmp_path / "x.mat")
    with pytest.raises(TlcliError, match="begins with b'not a MA': expected a MATLAB file of version 5 or"):
        matlab.read_structures(tmp_path / "x.mat", Budget("x.mat"))
    monkeypatch.setattr(matlab, "_LONGEST", 100)
    with pytest.raises(TlcliError, match=r"X .*800 bytes.* 100 "):
        matlab.write(tmp_path / "y.mat", {"X": np.zeros(100)})
    assert not (tmp_path / "y.mat").exists()
