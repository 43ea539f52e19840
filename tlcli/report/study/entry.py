"""One run in the terms of the report, and groups of runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from tlcli.report.words import LONGEST_NAME, clean
from tlcli.store.records import Neighbours, Run, Target

CONTROL = "scratch"
NEIGHBOURS = "knn"


@dataclass(frozen=True)
class Identity:
    """The network behind a run: the values that make it another variant of the study."""

    architecture: str = ""
    options: str = "{}"
    base: str = ""
    """The digest of the base, or its name where a file has no digest."""
    recipe: str = ""


@dataclass
class Entry:
    """One run, the target it was tested on, and the variant of the study it belongs to."""

    run: Run | Neighbours
    target: Target
    file: str
    recipe: dict[str, Any]
    identity: Identity
    variant: str = ""
    files: set[str] = field(default_factory=set)
    """Every results file that holds the run."""

    def __post_init__(self) -> None:
        self.files = self.files or {self.file}

    @cached_property
    def training(self) -> Run:
        """The training; for a search for neighbours, an empty one."""
        if isinstance(self.run, Run):
            return self.run
        return Run(NEIGHBOURS, self.run.arm, self.run.dataset, self.run.size, 0, 0, 0, 0)

    @cached_property
    def search(self) -> Neighbours:
        """The search for neighbours; for a training, an empty one."""
        run = self.run
        return run if isinstance(run, Neighbours) else Neighbours(run.dataset, run.size, 0)

    @cached_property
    def arm(self) -> str:
        return arm_name(self.run.arm)

    @property
    def method(self) -> str:
        return self.training.method

    @property
    def size(self) -> int:
        return int(self.run.size)

    @property
    def dataset(self) -> str:
        """The training set: its digest, or its name if there is none."""
        return self.target.content_sha256 or self.target.name

    @cached_property
    def task(self) -> str:
        """The key of the task, equal for runs with the same classes and the same test images."""
        h = hashlib.sha256(json.dumps(self.target.class_names).encode())
        for array in (self.target.test_labels, self.target.test_source_index):
            h.update(np.ascontiguousarray(array, "<i8").tobytes())
        return h.hexdigest()

    @property
    def key(self) -> str:
        """The name of the run in its file."""
        return clean(f"{self.run.dataset}|{self.run.arm}|{self.number}")

    @property
    def number(self) -> int:
        """0, 1, ...: the repetition."""
        return self.training.run

    @property
    def seed(self) -> int | None:
        """The seed; None for neighbours, which draw nothing."""
        return self.training.seed if self.run is self.training else None

    @property
    def parameters(self) -> int:
        """The parameters of the network, and of the source head if that is trained, too."""
        return max(self.training.parameters, self.training.trainable_parameters)

    @property
    def history(self) -> dict[str, np.ndarray]:
        """One array per quantity, of one length: `samples_seen`, `train_loss`, ..."""
        return self.training.history

    @property
    def predictions(self) -> np.ndarray:
        """int, N; empty if not kept."""
        return np.asarray(self.run.predictions)

    @property
    def repetition(self) -> tuple[int, int]:
        """The key that pairs a run with one of another arm: its number and its seed."""
        return self.number, self.seed or 0

    @cached_property
    def correct(self) -> np.ndarray | None:
        """bool, N: whether each test image is classified right; None without predictions."""
        predictions = self.predictions
        if predictions.shape != self.target.test_labels.shape or predictions.size == 0:
            return None
        return predictions == self.target.test_labels

    @cached_property
    def accuracy(self) -> float | None:
        """Test accuracy at the end, from the predictions or else as recorded; None without both."""
        if self.correct is not None:
            return float(self.correct.mean())
        return self.recorded

    @property
    def recorded(self) -> float | None:
        """The last recorded test accuracy."""
        found = self.search.test_accuracy
        return last(self.history, "test_accuracy") if found is None else found

    @property
    def measured(self) -> float:
        """The test accuracy of a run that has one."""
        assert self.accuracy is not None
        return self.accuracy

    @property
    def train_accuracy(self) -> float | None:
        """Accuracy on the training images after the last step; else the last average during training.

        None if the logits of the test part are averaged over an image and its mirror image, and those of the
        training part are not.
        """
        if self.mirrored:
            return None
        measured = self.training.train_accuracy
        return last(self.history, "train_accuracy") if measured is None else measured

    @property
    def mirrored(self) -> bool:
        """Whether logits are averaged over an image and its mirror image."""
        return bool(self.recipe.get("mirrored"))

    @property
    def precision(self) -> str:
        return str(self.recipe.get("precision") or "")

    @property
    def samples(self) -> int:
        """Training images seen, repeats counted; 0 if unknown."""
        seen = self.history.get("samples_seen", np.zeros(0))
        return int(seen[-1]) if len(seen) else self.training.samples or 0

    @property
    def before(self) -> float | None:
        """The base's accuracy on the source task."""
        return self.training.source_accuracy_before

    @property
    def after(self) -> float | None:
        """The accuracy on the source task after the transfer, with the base's head."""
        return self.training.source_accuracy_after

    @property
    def lost(self) -> float | None:
        """Source accuracy lost by the transfer; None from scratch, which has none to lose."""
        if self.before is None or self.after is None or self.method == CONTROL:
            return None
        return self.before - self.after

    @property
    def lost_features(self) -> float | None:
        """Source accuracy lost with a head fitted anew: what the features have lost; None if not measured."""
        before, after = self.training.source_refitted_before, self.training.source_refitted_after
        return None if before is None or after is None or self.lost is None else before - after

    @property
    def copied(self) -> int:
        """Layers copied."""
        return self.training.copy or 0

    @property
    def frozen(self) -> int:
        """Layers frozen."""
        return self.copied if self.training.freeze is None else self.training.freeze

    @property
    def head(self) -> str:
        """The kind of the new head, if it is not one dense layer on the last layer."""
        units, everything = self.training.head_units, self.training.all_layers
        parts = [f"head with {units} hidden units"] if units else []
        return ", ".join(parts + (["head on all layers"] if everything else []))

    @property
    def chosen_position(self) -> int:
        """The position of the chosen k on the curve: the recorded one, else the best cross-validated."""
        found = self.search
        if (found.ks == found.k).any():
            return int(np.flatnonzero(found.ks == found.k)[0])
        return int(np.argmax(found.cv_accuracies)) if len(found.cv_accuracies) else 0

    @property
    def chosen_on_test(self) -> bool:
        """Whether a choice was made on the test set."""
        return self.search.selected_on == "test"


def arm_name(arm: str) -> str:
    """An arm as the report names it: long ones are cut, and told apart by a digest of the whole name."""
    name = clean(arm)
    if len(name) < LONGEST_NAME:
        return name
    return f"{name[:50]}… {hashlib.sha256(arm.encode()).hexdigest()[:6]}"


def identity_of(run: Run | Neighbours) -> Identity:
    """The network behind a run, its options as canonical JSON."""
    base = run.base_sha256 or run.base
    if isinstance(run, Neighbours):
        return Identity(base=base)
    return Identity(run.architecture, json.dumps(run.architecture_options, sort_keys=True, default=str), base)


def last(history: dict[str, np.ndarray], name: str) -> float | None:
    """The last value of a quantity, None if not measured."""
    values = history.get(name)
    if values is None or len(values) == 0 or not np.isfinite(values[-1]):
        return None
    return float(values[-1])


T = TypeVar("T")


def components_of(items: Iterable[T], keys: Callable[[T], set[str]]) -> list[list[T]]:
    """Items grouped where they share a key, with each other or through others."""
    groups: list[tuple[set[str], list[T]]] = []
    for item in items:
        known, members = keys(item), [item]
        for group in [g for g in groups if g[0] & known]:
            groups.remove(group)
            known, members = group[0] | known, group[1] + members
        groups.append((known, members))
    return [members for _, members in groups]


def by(items: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    """Items grouped by a key, groups in the order of their first member."""
    groups: dict[Any, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
