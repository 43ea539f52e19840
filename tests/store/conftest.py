"""Small records of each kind."""

from __future__ import annotations

import pytest
from small_records import MAKERS, make_checkpoint, make_dataset, make_embeddings, make_results

from tlcli import store


@pytest.fixture(params=list(MAKERS))
def record(request: pytest.FixtureRequest) -> store.Record:
    """One record of each kind."""
    return MAKERS[request.param]()


@pytest.fixture
def dataset() -> store.Dataset:
    return make_dataset()


@pytest.fixture
def checkpoint() -> store.Checkpoint:
    return make_checkpoint()


@pytest.fixture
def embeddings() -> store.Embeddings:
    return make_embeddings()


@pytest.fixture
def results() -> store.Results:
    return make_results()
