"""The grid: datasets x arms x runs, in one process, each finished run kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli import store
from tlcli.errors import Interrupted, TlcliError, UsageError
from tlcli.models import network as net
from tlcli.store.records import Checkpoint, Dataset, Results, Run, Target
from tlcli.training.arm_trainer import ArmTrainer, FeatureStore, Outcome
from tlcli.training.arms import Arm, parse_arms
from tlcli.training.base import require_validation
from tlcli.training.embedding import rebuild, require_shape
from tlcli.training.loop import EVALUATION_BATCH, as_history
from tlcli.training.recipe import Recipe
from tlcli.training.watch import Progress, ProgressCallback, StopCallback, Watch


@dataclass
class _Cell:
    """One run to do: a place in the grid."""

    dataset: Dataset
    arm: Arm
    run: int

    @property
    def name(self) -> str:
        return target_name(self.dataset)

    @property
    def key(self) -> str:
        return f"{self.name}|{self.arm.label}|{self.run}"


def target_name(dataset: Dataset) -> str:
    """What results call a dataset: its file's name without `.h5`."""
    return dataset.provenance.name.removesuffix(".h5") or "dataset"


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
    source: Dataset | None = None,
    state_dir: Path | None = None,
    resume: bool = False,
    save_dir: Path | None = None,
    progress: ProgressCallback | None = None,
    stop: StopCallback | None = None,
) -> Results:
    """Train every arm on every dataset, several times.

    Args:
        base: The network to transfer from.
        datasets: The targets; images of the base's size.
        methods: Specifications such as `scratch`, `freeze:copy=2` (see `arms.parse_arms`).
        copy: Layers to copy where a specification does not say.
        freeze: Layers to freeze, likewise.
        recipe: How to train; by default Adam for ten epochs.
        runs: Repetitions; run r has the seed `seed + r`, the same in every arm, so that runs pair.
        seed: Of the first run.
        bn_statistics: `frozen`, or `moving`: frozen batch normalization goes on normalising by the batch
            and moving its statistics, as `requires_grad=False` leaves it in PyTorch.
        source: The source task: every run then also measures what it forgot, and replay draws from it.
        state_dir: Where finished runs are kept until all are done.
        resume: Take finished runs from `state_dir`.
        save_dir: Keep each run's network there as a checkpoint.
        progress: Called with a `Progress`.
        stop: Called after each chunk of steps; true stops.

    Raises:
        Interrupted: after `stop`; finished runs are in `state_dir`.
        UsageError, TlcliError: arms or images that do not fit the base.
    """
    recipe = recipe or Recipe(epochs=10)
    if bn_statistics not in ("frozen", "moving"):
        raise UsageError(f"--bn-statistics: received {bn_statistics!r}, expected frozen or moving.")
    groups = net.weighted_groups(rebuild(base).model)
    arms = parse_arms(methods, groups, copy=copy, freeze=freeze)
    _check(base, datasets, arms, recipe, source)
    grid = _Grid(base, datasets, arms, recipe, runs, seed, bn_statistics, source, state_dir, save_dir)
    grid.kept = grid.load() if resume else {}
    return grid.run(progress, stop)


def _check(
    base: Checkpoint, datasets: Sequence[Dataset], arms: Sequence[Arm], recipe: Recipe, source: Dataset | None
) -> None:
    for dataset in [*datasets, *([source] if source else [])]:
        require_shape(base, dataset)
    for dataset in datasets:
        require_validation(recipe, dataset)
    names = [target_name(d) for d in datasets]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"two datasets are called {sorted(twice)[0]!r}; give them different file names.")
    if source is not None and list(source.class_original) != list(base.class_original):
        raise TlcliError(
            "--source: its classes are not those that the base was trained on "
            f"(received {len(source.class_names)}, expected {len(base.class_names)}: "
            f"{', '.join(base.class_names[:5])}, ...)."
        )
    if source is None:
        for arm in arms:
            if any(term.source_share for phase in arm.phases for term in phase.terms):
                raise UsageError(f"{arm.method} mixes in images of the source task; name them with --source.")


class _Grid:
    def __init__(
        self, base: Checkpoint, datasets: Sequence[Dataset], arms: Sequence[Arm], recipe: Recipe, runs: int,
        seed: int, bn_statistics: str, source: Dataset | None, state_dir: Path | None, save_dir: Path | None,
    ) -> None:  # fmt: skip
        self.base, self.recipe, self.seed, self.source = base, recipe, seed, source
        self.bn_statistics, self.state_dir, self.save_dir = bn_statistics, state_dir, save_dir
        self.datasets = list(datasets)
        self.cells = [_Cell(d, arm, run) for d in datasets for arm in arms for run in range(runs)]
        self.kept: dict[str, Run] = {}
        self.trainers: dict[Any, ArmTrainer] = {}
        self.features = FeatureStore()

    def run(self, progress: ProgressCallback | None, stop: StopCallback | None) -> Results:
        sizes = {id(d): self.recipe.total_samples(len(d.train)) for d in self.datasets}
        todo = [cell for cell in self.cells if cell.key not in self.kept]
        total = sum(sizes[id(cell.dataset)] for cell in todo)
        done = 0
        for number, cell in enumerate(todo, start=1):
            doing = f"{cell.name} {cell.arm.label} run {cell.run + 1} ({number} of {len(todo)})"

            def report(p: Progress, before: int = done, doing: str = doing) -> None:
                if progress:
                    progress(Progress(before + p.done, total, doing))

            self.kept[cell.key] = self._train(cell, Watch(report, stop), doing)
            self._keep(cell)
            done += sizes[id(cell.dataset)]
            if stop and stop() and number < len(todo):
                raise Interrupted(f"stopped after {number} of {len(todo)} runs.")
        return self._results([self.kept[cell.key] for cell in self.cells])

    def _train(self, cell: _Cell, watch: Watch, doing: str) -> Run:
        trainer = self._trainer(cell)
        seed = self.seed + cell.run
        outcome = trainer.run(cell.arm, cell.dataset, seed, watch, doing, self.features, self.source)
        run = self._run(cell, trainer, seed, outcome)
        if self.save_dir:
            self._save(cell, trainer, run)
        return run

    def _trainer(self, cell: _Cell) -> ArmTrainer:
        """The compiled network; all arms and datasets of one shape share it."""
        arm = cell.arm
        has_terms = any(phase.terms for phase in arm.phases)
        key = (arm.phases, cell.dataset.classes, arm.copy if has_terms else None)
        if key not in self.trainers:
            self.trainers[key] = ArmTrainer(
                self.base, cell.dataset.classes, arm, self.recipe,
                images=max(sum(map(len, d.parts.values())) for d in self.datasets),
                moving_statistics=self.bn_statistics == "moving", source_head=self.source is not None,
            )  # fmt: skip
        trainer = self.trainers[key]
        self.features.keep_only([cell.dataset, self.source], trainer.cut_layers)
        return trainer

    def _run(self, cell: _Cell, trainer: ArmTrainer, seed: int, outcome: Outcome) -> Run:
        base = self.base
        own = cell.dataset.provenance.content_sha256
        attributes: dict[str, Any] = {
            "architecture": base.architecture,
            "architecture_options": base.options,
            "base": base.provenance.name,
            "base_sha256": base.provenance.content_sha256,
            "relation": "own" if own in {p.content_sha256 for p in base.provenance.parents} else "other",
            "copy": cell.arm.copy,
            "freeze": cell.arm.freeze,
            "batch_size": min(self.recipe.batch_size, len(cell.dataset.train)),
            "samples": int(outcome.history["samples_seen"][-1]),
            "train_accuracy": outcome.train_accuracy,
        }
        if "test_accuracy" in base.history:
            attributes["base_accuracy"] = float(base.history["test_accuracy"][-1])
        if self.source is not None:
            labels = self.source.test.labels
            answers = trainer.source_logits(self.source).argmax(axis=1)
            attributes["source_accuracy_before"] = self._source_before()
            attributes["source_accuracy_after"] = float((answers == labels).mean())
        return Run(
            key=cell.key, method=cell.arm.method, arm=cell.arm.label, dataset=cell.name,
            size=len(cell.dataset.train), run=cell.run, seed=seed, parameters=trainer.parameters,
            trainable_parameters=trainer.trainable_parameters, attributes=attributes,
            history=as_history(outcome.history), predictions=outcome.logits.argmax(axis=1).astype(np.int64),
        )  # fmt: skip

    def _source_before(self) -> float:
        """The base's accuracy on the source's test part."""
        if not hasattr(self, "_before"):
            from tlcli.training.step import Step, make_engine

            assert self.source is not None
            step = Step(rebuild(self.base).model, [], self.base.mean, self.base.std, Recipe(samples=1))
            engine = make_engine(step)
            logits = engine.outputs(engine.put(np.asarray(self.source.test.images[:])), EVALUATION_BATCH)[0]
            answers = np.asarray(logits).argmax(axis=1)
            self._before = float((answers == self.source.test.labels).mean())
        return self._before

    def _save(self, cell: _Cell, trainer: ArmTrainer, run: Run) -> None:
        assert self.save_dir is not None
        self.save_dir.mkdir(parents=True, exist_ok=True)
        record = Checkpoint(
            architecture=self.base.architecture, options=self.base.options, input_shape=self.base.input_shape,
            class_names=cell.dataset.class_names, class_original=cell.dataset.class_original,
            mean=self.base.mean, std=self.base.std, weights=trainer.weights(),
            recipe={**self.recipe.as_json(), "method": cell.arm.label}, seed=run.seed,
            samples_seen=int(run.history["samples_seen"][-1]), history=run.history,
            test_predictions=run.predictions,
        )  # fmt: skip
        path = self.save_dir / f"{safe_name(cell.key)}.h5"
        store.write(path, record, parents=[self.base, cell.dataset], force=True)

    def _results(self, runs: list[Run]) -> Results:
        used = {run.dataset for run in runs}
        targets = {
            target_name(d): Target(
                name=target_name(d), content_sha256=d.provenance.content_sha256, train_size=len(d.train),
                class_names=d.class_names, test_labels=d.test.labels,
                test_source_index=d.test.source_index, source=d.source,
            )
            for d in self.datasets
            if target_name(d) in used
        }  # fmt: skip
        recipe = {**self.recipe.as_json(), "bn_statistics": self.bn_statistics, "seed": self.seed}
        return Results(runs, targets, recipe)

    def _parents(self) -> list[Any]:
        return [self.base, *self.datasets, *([self.source] if self.source is not None else [])]

    def _path(self, key: str) -> Path:
        assert self.state_dir is not None
        return self.state_dir / f"{safe_name(key)}.h5"

    def _keep(self, cell: _Cell) -> None:
        if self.state_dir:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            record = self._results([self.kept[cell.key]])
            store.write(self._path(cell.key), record, parents=self._parents(), force=True)

    def load(self) -> dict[str, Run]:
        """The finished runs of an interrupted grid, those that belong to this very one."""
        found: dict[str, Run] = {}
        if not self.state_dir or not self.state_dir.is_dir():
            return found
        recipe = self._results([]).recipe
        parents = {r.provenance.content_sha256 for r in self._parents()}
        for cell in self.cells:
            path = self._path(cell.key)
            if not path.exists():
                continue
            kept = store.read(path, Results)
            if kept.recipe != recipe or {p.content_sha256 for p in kept.provenance.parents} != parents:
                raise TlcliError(
                    f"{os.path.basename(self.state_dir)} holds runs of another grid (other options or "
                    "inputs).\nGive the same options to resume, or remove that folder to start anew."
                )
            found[cell.key] = kept.runs[0]
        return found


def safe_name(key: str) -> str:
    """A key as a file name; one that had to be changed carries a digest, so that no two meet."""
    plain = key.replace("|", "--")
    safe = "".join(c if (c.isascii() and c.isalnum()) or c in "-_.=(),+" else "_" for c in plain)
    return safe if safe == plain else f"{safe[:100]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
