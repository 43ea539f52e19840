"""The logs for other tools have the values of the files, for every course of a training."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from tlcli.errors import Interrupted, TlcliError
from tlcli.training import Recipe, RunLogs, train_base, transfer
from tlcli.training.watch import Watch

COLUMNS = {
    "samples_seen": "samples_seen",
    "loss": "train_loss",
    "accuracy": "train_accuracy",
    "test_loss": "test_loss",
    "test_accuracy": "test_accuracy",
}


def _read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def _agree(path, history, columns=COLUMNS):
    logged = _read(path)
    assert set(logged) == {"epoch", *columns}
    images = history["samples_seen"][-1] / logged["epoch"][-1]
    np.testing.assert_allclose(logged["epoch"], np.asarray(history["samples_seen"]) / images)
    for name, quantity in columns.items():
        np.testing.assert_array_equal(logged[name], history[quantity])


def test_every_run_of_a_grid_has_its_csv_file_also_when_resumed(base, target_set, tmp_path):
    """With a validation part `val_` is of that part, and the test part has its own columns."""
    finished = []

    def grid(logs, **options):
        return transfer(
            base,
            [target_set],
            ["scratch", "freeze"],
            runs=2,
            recipe=Recipe(samples=200, eval_every=50),
            state_dir=tmp_path / "state",
            measured=logs,
            **options,
        )

    def count(key, row):
        finished.append(key)

    with pytest.raises(Interrupted):
        grid(count, stop=lambda: len(set(finished)) > 2)
    with RunLogs("grid", csv=tmp_path, replace=True) as logs:
        results = grid(logs, resume=True, at_once=2)
    assert len(list((tmp_path / "grid").iterdir())) == len(results.runs) == 4
    columns = {
        **COLUMNS,
        "val_loss": "validation_loss",
        "val_accuracy": "validation_accuracy",
    }
    for run in results.runs:
        _agree(tmp_path / "grid" / f"{run.key.replace('|', '--')}.csv", run.history, columns)


def test_a_resumed_training_has_its_whole_log(source_set, tmp_path):
    recipe = Recipe(samples=1000, eval_every=200, batch_size=50)
    state, rows = tmp_path / "state", []
    with pytest.raises(Interrupted):
        train_base(
            source_set,
            "cnn2",
            recipe=recipe,
            state_dir=state,
            stop=lambda: len(rows) > 1,
            measured=lambda run, row: rows.append(row),
        )
    with RunLogs("base", csv=tmp_path) as logs:
        made = train_base(source_set, "cnn2", recipe=recipe, state_dir=state, resume=True, measured=logs)
    assert len(made.history["samples_seen"]) == 5
    assert _read(tmp_path / "base" / "base.csv")["epoch"][-1] == 1000 / len(source_set.train)
    _agree(tmp_path / "base" / "base.csv", made.history)


def test_tensorboard_reads_what_was_measured(source_set, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorflow.compat.v1.train import summary_iterator
    from tensorflow.python.framework.tensor_util import MakeNdarray

    recipe = Recipe(samples=400, eval_every=200)
    for _ in range(2):  # the second replaces the first
        with RunLogs("b", tensorboard=tmp_path, replace=True) as logs:
            made = train_base(source_set, "cnn2", recipe=recipe, measured=logs)
    for tag, quantity in (("epoch_loss", "train_loss"), ("epoch_test_loss", "test_loss")):
        (events,) = (tmp_path / "b" / "base" / "train").iterdir()
        found = {
            event.step: float(MakeNdarray(value.tensor))
            for event in summary_iterator(str(events))
            for value in event.summary.value
            if value.tag == tag
        }
        assert found == pytest.approx(
            dict(zip(made.history["samples_seen"], made.history[quantity], strict=True)), rel=1e-6
        )


def test_logs_are_not_overwritten_unasked(tmp_path):
    (tmp_path / "base").mkdir()
    RunLogs("base", csv=tmp_path)
    (tmp_path / "base" / "base.csv").touch()
    with pytest.raises(TlcliError, match="`force`"):
        RunLogs("base", csv=tmp_path)


def test_what_is_reported_says_what_was_measured_last():
    said = []
    watch = Watch(said.append, size=100)
    watch.report(0, 1000, "cnn2")
    row = {
        "samples_seen": 250,
        "train_loss": 0.5,
        "train_accuracy": 0.8,
        "test_loss": 1.0,
        "test_accuracy": 0.7,
    }
    watch.measure(row)
    watch.report(300, 1000, "cnn2")
    assert [p.measured for p in said] == [
        "",
        "epoch 2.5, loss 0.500, accuracy 80.0 % (training), 70.0 % (test)",
    ]
