"""Generated studies with features of real ones: different accuracies, and images hard for every method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.report.document import Document, Section, Table, Text
from tlcli.report.report import kinds
from tlcli.report.study import Study
from tlcli.report.study.gather import gather
from tlcli.report.study.study import Options
from tlcli.store.records import (
    Ancestor,
    Checkpoint,
    Neighbours,
    Parent,
    Provenance,
    Record,
    Results,
    Run,
    Target,
)


def digest(*words: object) -> str:
    import hashlib

    return hashlib.sha256(repr(words).encode()).hexdigest()


def provenance(
    name: str, command: str, parents: tuple[Provenance, ...] = (), formats: tuple[str, ...] = ()
) -> Provenance:
    above: dict[str, Ancestor] = {}
    for p, f in zip(parents, formats, strict=True):
        above[p.content_sha256] = Ancestor(
            p.name, f, p.content_sha256, p.command, p.generated_by, tuple(q.content_sha256 for q in p.parents)
        )
        above |= {a.content_sha256: a for a in p.ancestry}
    return Provenance(
        command=command,
        parents=tuple(Parent(p.name, f, p.content_sha256) for p, f in zip(parents, formats, strict=True)),
        ancestry=tuple(above.values()),
        generated_by="tlcli 0.1.0",
        content_sha256=digest(name, command),
        name=name,
    )


def make_target(name: str, size: int, images: int, class_names: list[str], seed: int = 0) -> Target:
    rng = np.random.default_rng([seed, 7])
    labels = rng.integers(0, len(class_names), images)
    return Target(
        name,
        digest(name, size),
        size,
        class_names,
        labels,
        np.sort(rng.permutation(images * 2)[:images]),
        "mnist",
    )


def predictions_with(
    rng: np.random.Generator, target: Target, accuracy: float, hardness: np.ndarray
) -> np.ndarray:
    """Predictions of about this accuracy; images of high hardness are wrong first."""
    score = hardness + rng.normal(0, 0.6, hardness.size)
    right = score <= np.quantile(score, accuracy)
    shift = rng.integers(1, len(target.class_names), hardness.size)
    return np.where(right, target.test_labels, (target.test_labels + shift) % len(target.class_names)).astype(
        np.int64
    )


def make_run(
    target: Target,
    method: str,
    arm: str,
    run: int,
    accuracy: float,
    *,
    attributes: dict | None = None,
    samples: int = 24000,
    every: int = 1000,
    parameters: int = 591_000,
    trainable: int | None = None,
    start: float = 0.3,
    hardness: np.ndarray | None = None,
    train: float | None = None,
) -> Run:
    rng = np.random.default_rng([int(digest(target.name, arm, run, attributes)[:8], 16)])
    if hardness is None:
        hardness = np.random.default_rng(5).normal(size=len(target.test_labels))
    predictions = predictions_with(rng, target, accuracy, hardness)
    final = float((predictions == target.test_labels).mean())
    seen = np.arange(every, samples + 1, every, dtype=np.int64)
    rise = 1 - np.exp(-seen / (samples / 6))
    curve = np.clip(start + (final - start) * rise / rise[-1] + rng.normal(0, 0.004, seen.size), 0, 1)
    curve[-1] = final
    trained = np.clip(start + ((train or min(1.0, final + 0.02)) - start) * rise / rise[-1], 0, 1)
    history = {
        "samples_seen": seen,
        "train_loss": 2 * (1 - trained) + 0.02,
        "train_accuracy": trained,
        "test_loss": 2 * (1 - curve) + 0.05,
        "test_accuracy": curve,
    }
    return Run(
        method,
        arm,
        target.name,
        target.train_size,
        run,
        100 + run,
        parameters,
        trainable or parameters,
        **(attributes or {}),
        history=history,
        predictions=predictions,
    )


def make_neighbours(target: Target, metric: str, k: int, test: Sequence[float]) -> Neighbours:
    """Neighbours whose arm is `knn:metric=...`; by cross-validation k = 2 is best."""
    hardness = np.random.default_rng(5).normal(size=len(target.test_labels))
    return Neighbours(
        target.name,
        target.train_size,
        k,
        layer="dense",
        metric=metric,
        ks=np.arange(1, len(test) + 1),
        cv_accuracies=np.array([0.7, 0.81, 0.8, 0.7, 0.6])[: len(test)],
        test_accuracies=np.array(test),
        predictions=predictions_with(np.random.default_rng(k), target, 0.7, hardness),
    )


BASE_ACCURACY = {
    "scratch": (0.9, 0.93, 0.978, 0.9935),
    "freeze:copy=2": (0.955, 0.968, 0.986, 0.9938),
    "finetune": (0.962, 0.973, 0.988, 0.9944),
}


def make_size_study(
    sizes: tuple[int, ...] = (100, 200, 2300, 23900),
    runs: int = 3,
    images: int = 3969,
    dropouts: tuple[float, ...] = (0.0, 0.5),
    arms: tuple[str, ...] = tuple(BASE_ACCURACY),
) -> list:
    """The MNIST course sheet: sizes x arms x runs, without and with dropout; and the two bases."""
    records: list = []
    for dropout in dropouts:
        split = provenance("mnist-0-5.h5", "tlcli split --dataset mnist --classes 0-5")
        suffix = "-dropout" if dropout else ""
        command = f"tlcli train-base mnist-0-5.h5 --arch mnist-cnn --arch-option dropout={dropout}"
        base = provenance(f"base05{suffix}.h5", command, (split,), ("tlcli-dataset",))
        made, targets, parents = [], {}, [base]
        for k, size in enumerate(sizes):
            t = make_target(f"mnist-6-9-{size}", size, images, ["6", "7", "8", "9"])
            targets[t.name] = t
            command = f"tlcli split --dataset mnist --classes 6-9 --size {size}"
            parents.append(provenance(f"mnist-6-9-{size}.h5", command))
            made += [make_size_run(t, k, arm, r, dropout, base) for arm in arms for r in range(runs)]
        files = " ".join(t + ".h5" for t in targets)
        grid = provenance(
            f"grid{suffix}.h5",
            f"tlcli transfer {base.name} {files} --runs 3 --samples 24000",
            tuple(parents),
            ("tlcli-checkpoint",) + ("tlcli-dataset",) * len(sizes),
        )
        recipe = {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 100}
        records.append(Results(made, targets, recipe, grid))
        classes = [str(i) for i in range(6)]
        records.append(make_checkpoint(base.name, classes, 0.994, base, {"dropout": dropout}))
    return records


def make_size_run(target: Target, k: int, arm: str, run: int, dropout: float, base: Provenance) -> Run:
    """A run of the MNIST course sheet on the target of the k-th size."""
    accuracy = BASE_ACCURACY[arm][min(k, 3)] + dropout * 0.004
    accuracy += np.random.default_rng([k, run, len(arm)]).normal(0, 0.01 / (k + 1))
    return make_run(
        target,
        arm.split(":")[0],
        arm,
        run,
        min(accuracy, 0.999),
        hardness=np.random.default_rng(5).normal(size=len(target.test_labels)),
        trainable=581_000 if arm.startswith("freeze") else None,
        start=0.35 if arm == "scratch" else 0.6,
        train=1.0 if not dropout else 0.995,
        attributes={
            "architecture": "mnist-cnn",
            "architecture_options": {"dropout": dropout},
            "base": base.name,
            "base_sha256": base.content_sha256,
            "relation": "other",
            "batch_size": 100,
            "samples": 24000,
        },
    )


def make_checkpoint(
    name: str,
    classes: list[str],
    accuracy: float,
    p: Provenance,
    options: dict | None = None,
    architecture: str = "mnist-cnn",
) -> Checkpoint:
    seen = np.arange(1, 21, dtype=np.int64) * 5000
    rise = 1 - np.exp(-np.arange(1, 21) / 5)
    test = 0.5 + (accuracy - 0.5) * rise / rise[-1]
    history = {
        "samples_seen": seen,
        "train_loss": 1.5 * (1 - test) + 0.01,
        "train_accuracy": np.minimum(test + 0.01, 1),
        "test_loss": 1.7 * (1 - test) + 0.03,
        "test_accuracy": test,
    }
    return Checkpoint(
        architecture,
        options or {},
        (28, 28, 1),
        classes,
        np.arange(len(classes)),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
        {"dense/kernel": np.zeros((4, 4), np.float32)},
        {"optimizer": "adam", "epochs": 20},
        0,
        int(seen[-1]),
        True,
        history,
        provenance=p,
    )


def make_layer_study(splits: int = 5, layers: int = 6, images: int = 1000, *, recorded: bool = True) -> list:
    """The layer study: random halves, a base on each, the first n layers copied from either base."""
    rng = np.random.default_rng(3)
    records: list = []
    for split in range(splits):
        halves = [
            make_half(rng, split, side, half, images) for side, half in zip("ab", cut(rng), strict=True)
        ]
        for own, (_, base, _) in enumerate(halves):
            runs = []
            for side, (target, _, goal) in enumerate(halves):
                relation = "own" if own == side else "other"
                runs += make_layer_runs(rng, target, base, relation, goal, layers, halves[own][2] * recorded)
            name, target_names = base.provenance.name, [target.name for target, _, _ in halves]
            command = f"tlcli transfer {name} {'.h5 '.join(target_names)}.h5 --method freeze:copy=1-{layers}"
            file = f"layers{split}{'ab'[own]}.h5"
            made = provenance(file, command, (base.provenance,), ("tlcli-checkpoint",))
            records.append(
                Results(runs, {target.name: target for target, _, _ in halves}, {"epochs": 3}, made)
            )
        records += [base for _, base, _ in halves]
    return records


def cut(rng: np.random.Generator) -> list[list[int]]:
    """Ten classes in two random halves."""
    chosen = sorted(rng.permutation(10)[:5].tolist())
    return [chosen, sorted(set(range(10)) - set(chosen))]


LAYER_OPTIONS = {"filters": "8-16-32"}


def make_half(
    rng: np.random.Generator, split: int, side: str, half: list[int], images: int
) -> tuple[Target, Checkpoint, float]:
    """A half of the classes as a target, and the base on it with its accuracy."""
    name, names = f"split{split}{side}", [f"class {i}" for i in half]
    target = make_target(name, 25000, images, names, seed=10 * split + ord(side))
    accuracy = 0.78 + rng.normal(0, 0.02)
    above = provenance(f"{name}.h5", f"tlcli split --dataset cifar10 --classes random:5 --seed {split}")
    command = f"tlcli train-base {name}.h5 --arch yosinski-final"
    made = provenance(f"base{split}{side}.h5", command, (above,), ("tlcli-dataset",))
    base = make_checkpoint(made.name, names, accuracy, made, LAYER_OPTIONS, "yosinski-final")
    return target, base, accuracy


def make_layer_runs(
    rng: np.random.Generator,
    target: Target,
    base: Checkpoint,
    relation: str,
    goal: float,
    layers: int,
    base_accuracy: float,
) -> list[Run]:
    """A run from scratch, and with each number of layers copied a frozen and a tuned one."""
    network = {"architecture": "yosinski-final", "architecture_options": LAYER_OPTIONS}
    known = {
        "base": base.provenance.name,
        "relation": relation,
        "base_sha256": base.provenance.content_sha256,
    }
    trained = {"samples": 75000, "every": 25000, "start": 0.5}
    accuracy = goal + rng.normal(0, 0.004)
    runs = [make_run(target, "scratch", "scratch", 0, accuracy, attributes=network | known, **trained)]
    for method in ("freeze", "finetune"):
        for n in range(1, layers + 1):
            frozen = method == "freeze"
            of_own = -0.012 * (3 - abs(n - 3.5)) * frozen
            effect = of_own if relation == "own" else (-0.022 * n if frozen else 0.012)
            attributes = {**network, "copy": n, "freeze": n * frozen, **known}
            if base_accuracy:
                attributes["base_accuracy"] = base_accuracy
            arm = method if n == layers else f"{method}:copy={n}"
            accuracy = goal + effect + rng.normal(0, 0.008)
            runs.append(make_run(target, method, arm, 0, accuracy, attributes=attributes, **trained))
    return runs


def make_strategies(runs: int = 1) -> list:
    """The CIFAR-10 course sheet: a base, and three strategies on two classes, 20 epochs."""
    target = make_target("cifar10-4-9", 10000, 2000, ["deer", "truck"])
    p = provenance("base.h5", "tlcli train-base cifar10-rest.h5 --arch cnn4 --epochs 20")
    base = make_checkpoint("base.h5", [f"c{i}" for i in range(8)], 0.76, p, {"dropout": 0.25}, "cnn4")
    made = []
    for method, arm, accuracy in (
        ("scratch", "scratch", 0.968),
        ("freeze", "freeze", 0.971),
        ("freeze", "freeze:copy=4", 0.978),
    ):
        for r in range(runs):
            made.append(
                make_run(
                    target,
                    method,
                    arm,
                    r,
                    accuracy - 0.002 * r,
                    samples=200_000,
                    every=10_000,
                    start=0.8,
                    attributes={
                        "architecture": "cnn4",
                        "architecture_options": {"dropout": 0.25},
                        "base": "base.h5",
                        "base_sha256": p.content_sha256,
                        "relation": "other",
                    },
                )
            )
    q = provenance(
        "strategies.h5",
        "tlcli transfer base.h5 cifar10-4-9.h5 --method scratch --epochs 20",
        (p,),
        ("tlcli-checkpoint",),
    )
    return [Results(made, {target.name: target}, {"epochs": 20}, q), base]


def study_of(records: Sequence[Record], **options: Any) -> Study:
    return gather(records, Options(**options))


def part_of(study: Study, name: str) -> Section:
    """The section of that name, or of the first task, as it is before the page is put together."""
    kind = next(k for k in kinds() if k.name == name)
    return Section(name, kind.title, list(kind.make(study, study.tasks[0] if kind.per_task else None)))


def table_of(part: Section | Document, id: str) -> Table:
    blocks = part.tables() if isinstance(part, Document) else part.blocks
    return next(b for b in blocks if isinstance(b, Table) and b.id == id)


def told_in(part: Section) -> str:
    """All that a section says in sentences, with plain spaces."""
    return " ".join(b.text for b in part.blocks if isinstance(b, Text)).replace("\u00a0", " ")
