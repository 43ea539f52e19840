"""Files of every version of the formats, and of every spelling, are read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_records import assert_same

from tlcli import store
from tlcli.errors import TlcliError
from tlcli.store import opening, reading, version_1

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.h5")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_version_stays_readable(path: Path, tmp_path: Path) -> None:
    """What was written once can be read, described, verified and written anew; without the NaN that a history
    of version 1 may hold."""
    record = store.read_any(path)
    assert store.verify(path).ok
    description = store.describe(path)
    assert not description.problems
    assert description.provenance == record.provenance
    if path.match("v1/checkpoint.h5"):
        with pytest.raises(TlcliError, match="history/train_loss holds NaN"):
            store.write(tmp_path / "x.h5", record)
        record.history = {name: np.nan_to_num(values) for name, values in record.history.items()}
    store.write(tmp_path / "x.h5", record)
    assert_same(store.read_any(tmp_path / "x.h5"), record)
    assert store.describe(tmp_path / "x.h5").sentence == description.sentence


def test_what_version_1_holds() -> None:
    """As the code of version 1 itself read these files."""
    checkpoint = store.read(FIXTURES / "v1/checkpoint.h5", store.Checkpoint)
    assert list(checkpoint.weights) == ["conv_2/kernel", "conv_1/bias", "a/kernel"]
    assert checkpoint.provenance.parents[0].name == "dataset.h5"
    assert checkpoint.channel_order == "rgb"
    network = store.read(FIXTURES / "v1/network.h5", store.Checkpoint)
    assert (network.recipe["method"], network.recipe["precision"]) == ("finetune:rate=2", "float32")
    assert network.provenance.computed_by == {"backend": "tensorflow", "precision": "float32"}
    embedded = store.read(FIXTURES / "v1/embedded.h5", store.Embeddings)
    assert (embedded.layer, embedded.mirrored) == ("all", True)

    old = store.read(FIXTURES / "v1/results.h5", store.Results)
    assert [run.arm for run in old.runs] == ["freeze:copy=2"] * 3
    assert [run.run for run in old.runs] == [2, 1, 0]
    assert (len(old.neighbours), old.neighbours[0].test_accuracy) == (1, None)

    grid = store.read(FIXTURES / "v1/grid.h5", store.Results)
    arms = ["scratch", "freeze:copy=2", "finetune:rate=0.5|2", "logistic", "replay"]
    assert [run.arm for run in grid.runs] == [arm for arm in arms for _ in range(2)]
    tuned = grid.runs[4]
    assert (tuned.copy, tuned.freeze, tuned.relation, tuned.batch_size, tuned.samples) == (
        8,
        0,
        "other",
        20,
        120,
    )
    assert (tuned.selected, tuned.selected_on) == ("finetune:rate=2", "5 folds of the training part")
    assert list(tuned.candidates) == ["finetune:rate=0.5", "finetune:rate=2"]
    assert tuned.source_accuracy_before == tuned.base_accuracy == 100 / 106
    assert grid.runs[6].chosen["logistic"]["C"] == 1
    target = grid.targets["target"]
    for run in grid.runs:
        assert run.test_accuracy == (run.predictions == target.test_labels).mean()

    (found,) = store.read(FIXTURES / "v1/neighbours.h5", store.Results).neighbours
    assert found.arm == "knn:metric=cosine,power=0.5,layer=all,mirrored=1"
    assert (found.k, found.left_out, found.selected_on) == (3, 30, "cross-validation")
    assert found.test_accuracy == (found.predictions == target.test_labels).mean()


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"base_accuracy": "high"}, "'base_accuracy' of runs/.* is 'high'; expected a number from 0 to 1"),
        ({"copy": [1]}, "expected a count"),
        ({"base_sha256": {}}, "expected a text"),
        ({"selection": "best"}, "expected an object"),
    ],
)
def test_version_1_with_wrong_values(attributes: dict[str, Any], words: str) -> None:
    with opening.open_hdf5(FIXTURES / "v1/results.h5") as file:
        tree = reading.load_tree(file, version_1.FORMATS["tlcli-results"])
    run = next(path for path in tree.attributes if path.endswith("|0"))
    tree.set_json(run, "attributes", attributes)
    with pytest.raises(TlcliError, match=words):
        version_1.translate(tree)


def test_an_option_that_was_renamed_keeps_its_meaning(results: store.Results, tmp_path: Path) -> None:
    names = {
        "anchored:probe=0": "anchored:solved=0",
        "anchored:copy=2,probe=0|1": "anchored:copy=2,solved=0|1",
        "lp-ft:probe=0": "lp-ft:probe=0",
        "anchored": "anchored",
    }
    run = results.runs[0]
    for old, present in names.items():
        written = dataclasses.replace(
            results, runs=[dataclasses.replace(run, arm=old, selected=old, candidates={old: [0.5, 1.0]})]
        )
        store.write(tmp_path / "r.h5", written, force=True)
        read = store.read(tmp_path / "r.h5", store.Results).runs[0]
        assert (read.arm, read.selected, list(read.candidates)) == (present,) * 2 + ([present],)
