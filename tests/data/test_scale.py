"""Which numbers can be pixels; and the digits of scikit-learn, wherever they come from."""

from __future__ import annotations

import numpy as np
import pytest

from tlcli.data import scale
from tlcli.data.readers import digits
from tlcli.errors import TlcliError, UsageError


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.array(["a"]), "are of type <U1: expected numbers"),
        (np.zeros((0, 8, 8)), "are empty: expected at least one"),
        (np.array([1, np.nan, np.inf]), "hold 2 pixels that are not numbers"),
    ],
)
def test_what_cannot_be_pixels(pixels, words):
    with pytest.raises(TlcliError, match=words):
        scale.range_of(pixels, "The images")


@pytest.mark.parametrize("white", [0, -1, np.nan, 2.0**33])
def test_an_impossible_white(white):
    with pytest.raises(UsageError, match="expected a value above 0"):
        scale.check_white(white)


def test_pixels_become_bytes_on_their_scale():
    assert scale.to_bytes(np.array([[True, False]]), 1).tolist() == [[255, 0]]
    assert scale.to_bytes(np.array([[0, 8, 16, 20]]), 16).tolist() == [[0, 128, 255, 255]]
    assert scale.to_bytes(np.array([[0, 0.5, 1.0]]), 1).tolist() == [[0, 128, 255]]


def test_the_digits_are_the_same_without_their_file(monkeypatch):
    """Importing scikit-learn takes long, so that its file is read where it is found."""
    from_file = digits._table()
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    np.testing.assert_array_equal(digits._table(), from_file)
