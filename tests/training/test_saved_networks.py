"""`save_dir`: networks of runs, replaced on request and on a resume of the same study alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.store.records import Checkpoint
from tlcli.training import Recipe, transfer

SHORT = Recipe(samples=300, eval_every=100, batch_size=50)


def test_finished_runs_without_a_network_are_trained_again_to_save_it(base, target_set, tmp_path):
    how = {"recipe": SHORT, "state_dir": tmp_path / "state"}
    first = transfer(base, [target_set], ["freeze"], **how)
    again = transfer(base, [target_set], ["freeze"], resume=True, save_dir=tmp_path / "saved", **how)
    assert np.array_equal(first.runs[0].predictions, again.runs[0].predictions)
    (network,) = (tmp_path / "saved").iterdir()
    assert np.array_equal(store.read(network, Checkpoint).test_predictions, first.runs[0].predictions)


def test_a_resume_replaces_no_network_of_another_study(base, target_set, tmp_path):
    """A network that the same study saved just before it was killed is replaced."""
    how = {"save_dir": tmp_path / "saved", "resume": True}
    transfer(base, [target_set], ["ridge"], recipe=SHORT, state_dir=tmp_path / "state", **how)
    (network,) = (tmp_path / "saved").iterdir()
    before = network.read_bytes()
    longer = dataclasses.replace(SHORT, samples=SHORT.samples + 50)
    for other in ({"recipe": longer}, {"recipe": SHORT, "seed": 5}):
        with pytest.raises(TlcliError, match="`force`"):
            transfer(base, [target_set], ["ridge"], state_dir=tmp_path / "other", **other, **how)
    assert network.read_bytes() == before
    transfer(base, [target_set], ["ridge"], recipe=SHORT, state_dir=tmp_path / "new", **how)
    assert store.read(network, Checkpoint).recipe["samples"] == SHORT.samples


def test_what_would_fail_when_it_is_kept_is_refused_before(base, target_set, tmp_path):
    transfer(base, [target_set], ["ridge"], recipe=SHORT, save_dir=tmp_path / "saved")
    (network,) = (tmp_path / "saved").iterdir()
    before = network.read_bytes()
    with pytest.raises(TlcliError, match="`force`"):
        transfer(base, [target_set], ["freeze", "ridge"], recipe=SHORT, save_dir=tmp_path / "saved")
    assert network.read_bytes() == before
    assert list((tmp_path / "saved").iterdir()) == [network]
    transfer(base, [target_set], ["ridge"], recipe=SHORT, save_dir=tmp_path / "saved", replace=True)
    with pytest.raises(TlcliError, match="cannot be made a folder"):
        transfer(base, [target_set], ["ridge"], recipe=SHORT, save_dir=network)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / network.name).symlink_to("../nowhere.h5")
    with pytest.raises(TlcliError, match="exists already; give `force`"):
        transfer(base, [target_set], ["ridge"], recipe=SHORT, save_dir=tmp_path / "linked")
    odd = dataclasses.replace(
        target_set, provenance=dataclasses.replace(target_set.provenance, name="x<1>.h5")
    )
    results = transfer(base, [odd], ["ridge"], recipe=SHORT, save_dir=tmp_path / "others")
    assert store.write(tmp_path / "odd.h5", results).runs[0].dataset == "x<1>"
    assert [path.name[:7] for path in (tmp_path / "others").iterdir()] == ["x_1_--r"]
