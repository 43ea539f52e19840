"""Generated studies, shared by the tests."""

from __future__ import annotations

import pytest
from studies import make_layer_study, make_size_study


@pytest.fixture(scope="session")
def size_study() -> list:
    return make_size_study()


@pytest.fixture(scope="session")
def layer_study() -> list:
    return make_layer_study()
