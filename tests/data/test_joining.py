"""Sources that are joined, or that give each other a test part, have images of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tlcli.data import load_source
from tlcli.errors import TlcliError


def test_a_test_part_of_another_size_is_refused_by_its_size(tmp_path: Path) -> None:
    images = np.full((20, 12, 12, 1), 200, np.uint8)
    np.savez(tmp_path / "test.npz", images=images, labels=np.arange(20) % 2)
    with pytest.raises(TlcliError, match=r"digits 8 x 8, .* 12 x 12; give `image_size`"):
        load_source("digits", test_dataset=tmp_path / "test.npz")
