"""One run in the terms of the report: only this module knows the fields of a results file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from tlcli.report.words import clean
from tlcli.store.records import Neighbours, Run, Target

CONTROL = "scratch"
NEIGHBOURS = "knn"


@dataclass(frozen=True)
class Identity:
    """The network behind a run: the values that make it another variant of the study."""

    architecture: str = ""
    options: str = "{}"
    base: str = ""
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

    @property
    def chosen_position(self) -> int:
        """The position of the chosen k on the curve: the recorded one, else the best cross-validated."""
        if (self.ks == self.k).any():
            return int(np.flatnonzero(self.ks == self.k)[0])
        return int(np.argmax(self.cv_curve)) if len(self.cv_curve) else 0

    @cached_property
    def arm(self) -> str:
        return clean(self.run.arm)

    @property
    def _trained(self) -> Run | None:
        """The run, unless it is a classification by neighbours."""
        return self.run if isinstance(self.run, Run) else None

    @property
    def _searched(self) -> Neighbours | None:
        return self.run if isinstance(self.run, Neighbours) else None

    @property
    def method(self) -> str:
        return NEIGHBOURS if isinstance(self.run, Neighbours) else self.run.method

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
        return self._trained.run if self._trained else 0

    @property
    def seed(self) -> int | None:
        """The seed; None for neighbours, which draw nothing."""
        return self._trained.seed if self._trained else None

    @property
    def parameters(self) -> int:
        """The parameters of the network, and of the source head if that is trained, too."""
        return max(self._trained.parameters, self.trained) if self._trained else 0

    @property
    def trained(self) -> int:
        """Parameters that were trained."""
        return int(self._trained.trainable_parameters) if self._trained else 0

    @property
    def history(self) -> dict[str, np.ndarray]:
        """One array per quantity, of one length: `samples_seen`, `train_loss`, ..."""
        return self._trained.history if self._trained else {}

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

    @property
    def logits(self) -> np.ndarray | None:
        """N x C, if the file keeps them."""
        return self._trained.logits if self._trained else None

    @cached_property
    def accuracy(self) -> float | None:
        """Test accuracy at the end, from the predictions or else as recorded; None without both."""
        if self.correct is not None:
            return float(self.correct.mean())
        return self.recorded

    @property
    def recorded(self) -> float | None:
        """The last recorded test accuracy."""
        return self._searched.test_accuracy if self._searched else last(self.history, "test_accuracy")

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
        if self.mirrored or self._trained is None:
            return None
        measured = self._trained.train_accuracy
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
        seen = self.history.get("samples_seen")
        if seen is not None and len(seen):
            return int(seen[-1])
        return (self._trained.samples or 0) if self._trained else 0

    @property
    def seconds(self) -> float | None:
        """The time that the run took, if it was recorded (see `Run.seconds`)."""
        return self._trained.seconds if self._trained else None

    @property
    def before(self) -> float | None:
        """The base's accuracy on the source task."""
        return self._trained.source_accuracy_before if self._trained else None

    @property
    def after(self) -> float | None:
        """The accuracy on the source task after the transfer, with the base's head."""
        return self._trained.source_accuracy_after if self._trained else None

    @property
    def lost(self) -> float | None:
        """Source accuracy lost by the transfer; None from scratch, which has none to lose."""
        if self.before is None or self.after is None or self.method == CONTROL:
            return None
        return self.before - self.after

    @property
    def lost_features(self) -> float | None:
        """Source accuracy lost with a head fitted anew: what the features have lost; None if not measured."""
        if self._trained is None or self.lost is None:
            return None
        before, after = self._trained.source_refitted_before, self._trained.source_refitted_after
        return None if before is None or after is None else before - after

    @property
    def base_accuracy(self) -> float | None:
        """The base's test accuracy on its own task."""
        return self._trained.base_accuracy if self._trained else None

    @property
    def base(self) -> str:
        """The base's file name."""
        return self.run.base

    @property
    def base_digest(self) -> str:
        return self.run.base_sha256

    @property
    def relation(self) -> str:
        """`own` if the base was trained on these images, else `other`; empty if unknown."""
        return self._trained.relation if self._trained else ""

    @property
    def copied(self) -> int:
        """Layers copied."""
        return (self._trained.copy or 0) if self._trained else 0

    @property
    def frozen(self) -> int:
        """Layers frozen."""
        frozen = self._trained.freeze if self._trained else None
        return self.copied if frozen is None else frozen

    @property
    def head(self) -> str:
        """The kind of the new head, if it is not one dense layer on the last layer."""
        if self._trained is None:
            return ""
        units, everything = self._trained.head_units, self._trained.all_layers
        parts = [f"head with {units} hidden units"] if units else []
        return ", ".join(parts + (["head on all layers"] if everything else []))

    @property
    def layer(self) -> str:
        """The layer whose embeddings neighbours were searched in."""
        return clean(self._searched.layer) if self._searched else ""

    @property
    def k(self) -> int | None:
        """The chosen number of neighbours."""
        return self._searched.k if self._searched else None

    @property
    def ks(self) -> np.ndarray:
        """Every number of neighbours that was tried."""
        return self._searched.ks if self._searched else np.zeros(0, np.int64)

    @property
    def cv_curve(self) -> np.ndarray:
        """Leave-one-out accuracy for each k; empty if not measured."""
        return self._searched.cv_accuracies if self._searched else np.zeros(0)

    @property
    def test_curve(self) -> np.ndarray:
        """Test accuracy for each k."""
        return self._searched.test_accuracies if self._searched else np.zeros(0)

    @property
    def chosen_on_test(self) -> bool:
        """Whether a choice was made on the test set."""
        return self._searched is not None and self._searched.selected_on == "test"


def identity_of(run: Run | Neighbours) -> Identity:
    """The network behind a run, its options as canonical JSON."""
    base = run.base or run.base_sha256
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
