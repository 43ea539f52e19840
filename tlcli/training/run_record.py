"""The record of a run: where it stands in the grid, what it copied, how it ended."""

from __future__ import annotations

import numpy as np

from tlcli.models.heads import ALL_LAYERS, HEAD_DROPOUT, HEAD_UNITS
from tlcli.store.records import Checkpoint, Run
from tlcli.training.arm_trainer import ArmTrainer, Outcome
from tlcli.training.arms import Arm
from tlcli.training.cells import Cell
from tlcli.training.compatible import relation
from tlcli.training.forgetting import SourceAccuracy
from tlcli.training.loop import as_history
from tlcli.training.methods import METHODS


def describe_run(
    base: Checkpoint,
    cell: Cell,
    arm: Arm,
    trainer: ArmTrainer,
    outcome: Outcome,
    before: SourceAccuracy,
    after: SourceAccuracy,
    seed: int,
    batch_size: int,
) -> Run:
    """The record of one run.

    Args:
        base: The base.
        cell: The run's place in the grid.
        arm: The arm that was trained: that of the cell, or the alternative that it chose.
        trainer: The trainer of the run.
        outcome: The measurements of the run.
        before: The source accuracies of the base.
        after: The source accuracies of the run.
        seed: The seed of the run.
        batch_size: Images per step.
    """
    head = dict(arm.head)
    measured = base.history.get("test_accuracy")
    plugin, plugin_sha256 = METHODS.plugin(arm.method)
    return Run(
        method=cell.arm.method,
        arm=cell.arm.label,
        dataset=cell.name,
        size=len(cell.dataset.train),
        run=cell.run,
        seed=seed,
        parameters=trainer.parameters,
        trainable_parameters=trainer.trainable_parameters,
        architecture=base.architecture,
        architecture_options=base.options,
        base=base.provenance.name,
        base_sha256=base.provenance.content_sha256,
        base_accuracy=None if measured is None else float(measured[-1]),
        relation=relation(base, cell.dataset),
        copy=cell.arm.copy,
        freeze=cell.arm.freeze,
        head_units=str(head.get(HEAD_UNITS, "")),
        head_dropout=None if HEAD_DROPOUT not in head else float(head[HEAD_DROPOUT]),
        all_layers=None if ALL_LAYERS not in head else int(head[ALL_LAYERS]),
        batch_size=batch_size,
        samples=int(outcome.history["samples_seen"][-1]),
        train_accuracy=outcome.train_accuracy,
        source_accuracy_before=before.accuracy,
        source_accuracy_after=after.accuracy,
        source_refitted_before=before.refitted,
        source_refitted_after=after.refitted,
        chosen=outcome.chosen,
        plugin=plugin,
        plugin_sha256=plugin_sha256,
        history=as_history(outcome.history),
        predictions=outcome.logits.argmax(axis=1).astype(np.int64),
        logits=outcome.logits,
    )
