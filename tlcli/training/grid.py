"""The grid: datasets x arms x runs, in one process, each finished run kept."""

from __future__ import annotations

import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tlcli import store
from tlcli.errors import Interrupted, TlcliError, UsageError
from tlcli.models import network as net
from tlcli.models.heads import ALL_LAYERS, HEAD_DROPOUT, HEAD_UNITS, with_head
from tlcli.store.records import Checkpoint, Dataset, Provenance, Record, Results, Run, Target
from tlcli.training.arm_trainer import ArmTrainer, Outcome
from tlcli.training.arms import Arm, parse_arms
from tlcli.training.cells import Board, Cell, network_key
from tlcli.training.compatible import check_grid, target_name
from tlcli.training.computing import compare_recipes, describe_computing
from tlcli.training.embedding import rebuild
from tlcli.training.engines import workplace, workplaces
from tlcli.training.features import FeatureStore
from tlcli.training.finished import FinishedRuns, safe_name
from tlcli.training.forgetting import SourceAccuracy, SourceTask
from tlcli.training.loop import score
from tlcli.training.moving_statistics import describe_lag_of_arms
from tlcli.training.needs import describe_memory
from tlcli.training.order import require_seeds
from tlcli.training.parallel import TRACING, Workers
from tlcli.training.precision import resolve_precision
from tlcli.training.recipe import Recipe
from tlcli.training.run_record import describe_run
from tlcli.training.selection import split_held_out
from tlcli.training.watch import MeasuredCallback, ProgressCallback, StopCallback, Watch, rows


def transfer(
    base: Checkpoint,
    datasets: Sequence[Dataset],
    methods: Sequence[str],
    *,
    copy: str | None = None,
    freeze: str | None = None,
    recipe: Recipe | None = None,
    runs: int = 1,
    seed: int = 0,
    bn_statistics: str = "frozen",
    head_units: str | None = None,
    head_dropout: float | None = None,
    all_layers: bool = False,
    source: Dataset | None = None,
    refit_source: bool = False,
    record_seconds: bool = False,
    state_dir: Path | None = None,
    resume: bool = False,
    save_dir: Path | None = None,
    replace: bool = False,
    at_once: int = 1,
    progress: ProgressCallback | None = None,
    stop: StopCallback | None = None,
    measured: MeasuredCallback | None = None,
    note: Callable[[str], None] | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> Results:
    """Train every arm on every dataset, several times.

    Args:
        base: The network to transfer from.
        datasets: The targets; images of the base's size.
        methods: Specifications such as `scratch`, `freeze:copy=2` (see `arms.parse_arms`).
        copy: Layers to copy, for specifications without `copy=`.
        freeze: Layers to freeze, for specifications without `freeze=`.
        recipe: The recipe; by default Adam for ten epochs.
        runs: Repetitions; run r has the seed `seed + r`, the same in every arm, so that runs pair.
        seed: The seed of the first run.
        bn_statistics: Batch norm in frozen layers: use the base's stored mean and variance (`frozen`) or
            those of each batch (`moving`, as `requires_grad=False` leaves it in PyTorch).
        head_units: Hidden layers of the new head, `512` or `512,256`, for arms that do not set them; the head
            then takes the flattened activations of the base's last layer with spatial extent.
        head_dropout: Dropout on the inputs of each layer of such a head.
        all_layers: Let the new head read the outputs of all layers, for arms that do not set it.
        source: The source task: every run then also measures what it forgot, and replay draws from it.
        refit_source: Measure that with a head fitted anew to the source's training images, too (see
            `forgetting.SourceTask`).
        record_seconds: Keep the seconds of each run (see `Run.seconds`); two equal calls then differ in them.
        state_dir: A folder for finished runs until all are done.
        resume: Take finished runs from `state_dir`.
        save_dir: A folder to keep each run's network in, as a checkpoint.
        replace: Replace networks that are there already, instead of refusing.
        at_once: The number of runs to train at the same time, each in its own thread, on a CPU whose cores
            the backend does not share (`tlcli transfer --threads` sets this).
        progress: Takes a `Progress`.
        stop: Takes nothing, after each chunk of steps; true stops.
        measured: Takes a run's key and each row of its history (a `RunLogs`, say), in the thread that trains
            the run; first the rows of the runs from `state_dir`.
        note: Takes a sentence on the memory that tuning needs, if that is 1 GiB or more.
        warn: Takes a sentence on trainings too short for the moving statistics of batch normalization.

    Raises:
        Interrupted: `stop` was true; finished runs are in `state_dir`.
        UsageError, TlcliError: Arms or images do not fit the base.
    """
    recipe = resolve_precision(recipe or Recipe(epochs=10))
    if bn_statistics not in ("frozen", "moving"):
        raise UsageError(f"`bn_statistics`: received {bn_statistics!r}, expected frozen or moving.")
    require_seeds(seed, runs)
    if refit_source and source is None:
        raise UsageError("`refit_source` fits a head to the source task; name its data set with `source`.")
    whole = rebuild(base)  # raises at once if something does not fit

    def groups(**head: Any) -> list[tuple[str, ...]]:
        built = net.build(base.architecture, base.input_shape, 2, with_head(base.options, head))
        return built.groups

    own = groups()
    head = {HEAD_UNITS: head_units, HEAD_DROPOUT: head_dropout, ALL_LAYERS: int(all_layers) or None}
    arms = parse_arms(
        methods,
        own,
        copy=copy,
        freeze=freeze,
        hidden=lambda: groups(**{HEAD_UNITS: "1"}),
        head={key: value for key, value in head.items() if value is not None},
    )
    check_grid(base, datasets, arms, recipe, source, len(own) - 1, bn_statistics)
    needed = describe_memory(whole.model, len(own) - 1, datasets, arms, recipe)
    if needed and note:
        note(needed)
    if lag := describe_lag_of_arms(whole.model, own, [len(d.train) for d in datasets], arms, recipe):
        warn(lag)
    grid = _Grid(
        base,
        datasets,
        arms,
        recipe,
        runs,
        seed,
        bn_statistics,
        source,
        refit_source,
        record_seconds,
        state_dir,
        save_dir,
    )
    if resume:
        grid.take_finished()
    grid.prepare_folder(replace, resume)
    for key, run in grid.kept.items():
        watch = Watch(measured=None if measured is None else partial(measured, key), size=run.size)
        for row in rows(run.history):
            watch.measure(row)
    return grid.run(progress, stop, at_once, measured)


class _Grid:
    def __init__(
        self,
        base: Checkpoint,
        datasets: Sequence[Dataset],
        arms: Sequence[Arm],
        recipe: Recipe,
        runs: int,
        seed: int,
        bn_statistics: str,
        source_data: Dataset | None,
        refit_source: bool,
        record_seconds: bool,
        state_dir: Path | None,
        save_dir: Path | None,
    ) -> None:
        self.base, self.recipe, self.seed, self.source_data = base, recipe, seed, source_data
        self.refit_source, self.source_task = refit_source, None
        if source_data is not None:
            self.source_task = SourceTask(
                source_data, base, refit=refit_source, precision=recipe.precision, seed=seed
            )
        self.bn_statistics, self.save_dir, self._replace = bn_statistics, save_dir, False
        self.record_seconds = record_seconds
        self.datasets = list(datasets)
        self.cells = [Cell(d, arm, run) for d in datasets for arm in arms for run in range(runs)]
        self.finished = FinishedRuns(state_dir, [cell.key for cell in self.cells], self._parents())
        self.kept: dict[str, Run] = {}
        self.trainers: dict[Any, ArmTrainer] = {}
        self.features = [FeatureStore(recipe.mirrored) for _ in range(workplaces())]

    def run(
        self,
        progress: ProgressCallback | None,
        stop: StopCallback | None,
        at_once: int,
        measured: MeasuredCallback | None = None,
    ) -> Results:
        todo = [cell for cell in self.cells if cell.key not in self.kept]
        todo.sort(key=lambda cell: -len(cell.dataset.train))  # the last to end is then a short one
        before = len(self.cells) - len(todo)
        board = Board(todo, self.recipe)
        asked = stop or (lambda: False)

        def work(worker: int, cell: Cell) -> Run:
            tell = None if measured is None else partial(measured, cell.key)
            watch = Watch(
                board.reporter(cell),
                lambda: workers.cancelled or asked(),
                measured=tell,
                size=len(cell.dataset.train),
            )
            if watch.should_stop():
                raise Interrupted("Stopped between two runs.")
            with workplace(worker):
                return self._train(worker, cell, watch)

        def keep(cell: Cell, run: Run) -> None:
            self.kept[cell.key] = run
            self.finished.keep(self._results([run]))

        if self.source_task is not None:
            _ = self.source_task.before  # computed before threads share it
        workers = Workers(
            todo,
            work,
            at_once=at_once,
            kind=lambda cell: network_key(cell.arm, cell.dataset.classes),
            place=lambda cell: id(cell.dataset),
        )
        try:
            workers.run(keep, lambda: board.show(progress))
        except Interrupted:
            raise Interrupted(f"Stopped after {len(self.kept) - before} of {len(todo)} runs.") from None
        return self._results([self.kept[cell.key] for cell in self.cells])

    def _train(self, worker: int, cell: Cell, watch: Watch) -> Run:
        seed, begun = self.seed + cell.run, time.monotonic()
        arm, selected = cell.arm, dict[str, Any]()
        if cell.arm.choices:
            arm, selected = self._select(worker, cell, seed, watch)
        trainer, outcome = self._fit(worker, arm, cell.dataset, seed, watch)
        run = dataclasses.replace(self._run(cell, arm, trainer, seed, outcome), **selected)
        if self.record_seconds:
            run.seconds = round(time.monotonic() - begun, 3)
        if self.save_dir:
            self._save(cell, arm, trainer, run)
        return run

    def _fit(
        self, worker: int, arm: Arm, dataset: Dataset, seed: int, watch: Watch, keep: Sequence[Dataset] = ()
    ) -> tuple[ArmTrainer, Outcome]:
        """Train an arm; the features of `keep` stay for the next runs."""
        features = self.features[worker % len(self.features)]
        trainer = self._trainer(worker, arm, dataset.classes)
        features.keep_for(worker, [dataset, *keep, self.source_data], trainer.cut_layers)
        return trainer, trainer.run(arm, dataset, seed, watch, features, self.source_data)

    def _select(self, worker: int, cell: Cell, seed: int, watch: Watch) -> tuple[Arm, dict[str, Any]]:
        """The best candidate on held-out training images (accuracy, then loss), and the fields of the run
        that name it and give the measures of each."""
        folds, what = split_held_out(cell.dataset, seed)
        total = len(folds) * len(cell.arm.choices)
        tried: dict[str, dict[str, float]] = {}
        for arm in cell.arm.choices:
            scored = []
            for fold in folds:
                quiet = Watch(stop=watch.stop)
                _, outcome = self._fit(worker, arm, fold, seed, quiet, keep=[cell.dataset, *folds])
                scored.append(score(outcome.logits, fold.test.labels))
                watch.report(0, total, f"{arm.label} on {what}")
            loss, accuracy = np.mean(scored, axis=0).tolist()
            tried[arm.label] = {"accuracy": accuracy, "loss": loss}
        self.features[worker % len(self.features)].forget(folds)
        scores = {label: (found["accuracy"], -found["loss"]) for label, found in tried.items()}
        best = max(cell.arm.choices, key=lambda arm: scores[arm.label])
        return best, {"selected": best.label, "selected_on": what, "candidates": tried}

    def _trainer(self, worker: int, arm: Arm, classes: int) -> ArmTrainer:
        """The worker's compiled network; all arms and datasets of one shape share it."""
        key = (worker, network_key(arm, classes))
        if key not in self.trainers:
            with TRACING:
                self.trainers[key] = ArmTrainer(
                    self.base,
                    classes,
                    arm,
                    self.recipe,
                    images=max(sum(map(len, d.parts.values())) for d in self.datasets),
                    moving_statistics=self.bn_statistics == "moving",
                    source_head=self.source_data is not None,
                )
        return self.trainers[key]

    def _run(self, cell: Cell, arm: Arm, trainer: ArmTrainer, seed: int, outcome: Outcome) -> Run:
        before = after = SourceAccuracy()
        if self.source_task is not None:
            before, after = self.source_task.before, trainer.measure_source(self.source_task)
        batch_size = min(self.recipe.batch_size, len(cell.dataset.train))
        return describe_run(self.base, cell, arm, trainer, outcome, before, after, seed, batch_size)

    @property
    def _shared_values(self) -> dict[str, Any]:
        """The values that all runs share, for the provenance."""
        refitted = {"refit_source": True} if self.refit_source else {}
        return {**self.recipe.as_json(), "bn_statistics": self.bn_statistics, **refitted}

    @property
    def _provenance(self) -> Provenance:
        return Provenance(computed_by=describe_computing(self.recipe.precision))

    def _save(self, cell: Cell, arm: Arm, trainer: ArmTrainer, run: Run) -> None:
        record = Checkpoint(
            architecture=self.base.architecture,
            options=trainer.network.options,
            input_shape=self.base.input_shape,
            class_names=cell.dataset.class_names,
            class_original=cell.dataset.class_original,
            mean=self.base.mean,
            std=self.base.std,
            weights=trainer.weights(),
            recipe={**self._shared_values, "method": arm.label},
            seed=run.seed,
            samples_seen=int(run.history["samples_seen"][-1]),
            history=run.history,
            test_predictions=run.predictions,
            channel_order=self.base.channel_order,
            source=cell.dataset.source,
            notes=cell.dataset.notes,
            train_source_index=cell.dataset.train.source_index,
            plugin=self.base.plugin,
            plugin_sha256=self.base.plugin_sha256,
            provenance=self._provenance,
        )
        store.write(self._network_path(cell), record, parents=[self.base, cell.dataset], force=self._replace)

    def prepare_folder(self, replace: bool, resume: bool) -> None:
        """Make the folder for the networks, before the training; on a resume, this grid's may be there."""
        if self.save_dir is None:
            return
        store.make_folder(self.save_dir)
        self._replace = replace or resume
        for cell in self.cells:
            path = self._network_path(cell)
            if os.path.lexists(path) and not replace and not (resume and self._is_own(path, cell)):
                raise TlcliError(f"{path} exists already; give `force` to replace it, or another `save`.")
            store.check_output(path, force=True)

    def _network_path(self, cell: Cell) -> Path:
        assert self.save_dir is not None
        return self.save_dir / f"{safe_name(cell.key)}.h5"

    def _results(self, runs: list[Run]) -> Results:
        used = {run.dataset for run in runs}
        targets = {
            target_name(d): Target(
                name=target_name(d),
                content_sha256=d.provenance.content_sha256,
                train_size=len(d.train),
                class_names=d.class_names,
                test_labels=d.test.labels,
                test_source_index=d.test.source_index,
                source=d.source,
                notes=" ".join(d.notes),
            )
            for d in self.datasets
            if target_name(d) in used
        }
        how = {**self._shared_values, "seed": self.seed}
        return Results(runs, targets, how, provenance=self._provenance)

    def _parents(self) -> list[Record]:
        return [self.base, *self.datasets, *([self.source_data] if self.source_data is not None else [])]

    def take_finished(self) -> None:
        """Take the finished runs of an interrupted grid; with `save_dir`, those whose network is there."""
        there = [c.key for c in self.cells if not self.save_dir or self._is_own(self._network_path(c), c)]
        self.kept = self.finished.load(there, self._results([]))

    def _is_own(self, path: Path, cell: Cell) -> bool:
        """Whether the network at a path is that of this run: of its inputs, recipe and seed."""
        if not path.exists():
            return False
        saved = store.read(path, Checkpoint)
        parents = {parent.content_sha256 for parent in saved.provenance.parents}
        inputs = {record.provenance.content_sha256 for record in (self.base, cell.dataset)}
        recipe = {name: value for name, value in saved.recipe.items() if name != "method"}
        same = parents == inputs and not compare_recipes(recipe, self._shared_values)
        return same and saved.seed == self.seed + cell.run
