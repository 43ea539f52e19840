"""Classification by the k nearest neighbours (Cover & Hart 1967), for many k after one search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tlcli.analysis.neighbours import METRICS, search
from tlcli.errors import TlcliError, UsageError
from tlcli.ranges import parse_range
from tlcli.store.records import EmbeddingPart, Embeddings, Neighbours, Parent, Results, Target

if TYPE_CHECKING:
    from sklearn.neighbors import KNeighborsClassifier

WEIGHTS = ("uniform", "distance")
DEFAULT_KS = tuple(range(1, 41))
LEFT_OUT = 4_000
"""The most training images to leave out, one at a time, to choose k: enough to know each accuracy within 0.8
percentage points, at a cost in proportion to the training part."""

_LARGEST = 1e18
_VOTES = 1 << 22
_SAME = 1e-12

ReportCounts = Callable[[int, int], None]


def parse_ks(expression: str) -> tuple[int, ...]:
    """The numbers of an expression such as `1-40` or `1,3,5`, ascending, each once. Raises UsageError."""
    ks: set[int] = set()
    for item in expression.split(","):
        first, last = parse_range(item, "k") or (0, 0)
        if first < 1:
            raise UsageError(f"`k`: received '{expression}', expected numbers from 1 like 5, 1-40 or 1,3,5.")
        if last - first > 100_000:
            raise UsageError(f"`k`: '{item.strip()}' is too long a range; expected at most 100,000 numbers.")
        ks.update(range(first, last + 1))
    return tuple(sorted(ks))


def evaluate(
    embeddings: Embeddings,
    ks: Sequence[int] | None = None,
    *,
    metric: str = "euclidean",
    weights: str = "uniform",
    power: float = 1.0,
    select_on: str = "cross-validation",
    progress: ReportCounts | None = None,
) -> Results:
    """Choose k, classify the test part with it, and give the accuracies for all k.

    k is the smallest with the highest leave-one-out accuracy on the training part (of more than 4,000 images,
    4,000 evenly spaced ones are left out in turn). `select_on="test"` takes the best k on the test part
    instead, as some papers did, and the result says so.

    Neighbours and votes are those of scikit-learn's `KNeighborsClassifier`: among classes with equal votes
    the first wins, and with `weights="distance"` (1/distance) neighbours at distance 0 outvote all others. Of
    training images at one distance, the first in the file come first.

    Args:
        embeddings: With parts `train` and `test`.
        ks: Numbers of neighbours; by default 1...40, or as many as there are.
        metric: `euclidean` or `cosine`.
        weights: `uniform` or `distance`.
        power: Replaces each number x by sign(x) |x|^power (power normalization: Perronnin, Sanchez & Mensink,
            ECCV 2010); 0.5 keeps a few large activations from dominating.
        progress: Takes the number of images done, and of all.

    Returns:
        Results with one classification in `neighbours`.

    Raises:
        UsageError: Unknown metric or weights, a power outside (0, 1], or a k that is too large for the
        training
            images.
        TlcliError: The embeddings are not finite, or too few.
    """
    _check_word("metric", metric, METRICS)
    _check_word("weights", weights, WEIGHTS)
    _check_word("select_on", select_on, ("cross-validation", "test"))
    if not 0 < power <= 1:
        raise UsageError(f"`power`: received {power:g}, expected a number above 0 and up to 1.")
    train, test = embeddings.parts["train"], embeddings.parts["test"]
    _check_values(embeddings)
    points, queries = (_raise_to_power(part.embeddings, power) for part in (train, test))
    ks = _usable_ks(ks, len(train))
    left_out = _left_out_index(len(train))
    classes = len(embeddings.class_names)

    def report(before: int) -> ReportCounts:
        return lambda done, _: progress(before + done, len(left_out) + len(test)) if progress else None

    found = search(points, points[left_out], ks[-1], metric=metric, own=left_out, progress=report(0))
    cross_validated = classify(*found, train.labels, classes, ks, weights)
    cv_accuracy = (cross_validated == train.labels[left_out]).mean(axis=1)
    found = search(points, queries, ks[-1], metric=metric, progress=report(len(left_out)))
    predictions = classify(*found, train.labels, classes, ks, weights)
    test_accuracy = (predictions == test.labels).mean(axis=1)

    chosen = int(np.argmax(test_accuracy if select_on == "test" else cv_accuracy))
    target = _target(embeddings)
    base = _parent(embeddings, "tlcli-checkpoint")
    best = Neighbours(
        dataset=target.name,
        size=len(train),
        k=ks[chosen],
        layer=embeddings.layer,
        mirrored=embeddings.mirrored,
        metric=metric,
        weights=weights,
        power=power,
        selected_on=select_on,
        left_out=len(left_out),
        base=base.name if base else "",
        base_sha256=base.content_sha256 if base else "",
        ks=np.array(ks, np.int64),
        cv_accuracies=cv_accuracy,
        test_accuracies=test_accuracy,
        predictions=predictions[chosen],
    )
    return Results([], {target.name: target}, neighbours=[best])


def _raise_to_power(values: np.ndarray, power: float) -> np.ndarray:
    return values if power == 1 else np.sign(values) * np.abs(values) ** np.float32(power)


def classify(
    distances: np.ndarray,
    neighbours: np.ndarray,
    labels: np.ndarray,
    classes: int,
    ks: Sequence[int],
    weights: str = "uniform",
) -> np.ndarray:
    """The predicted classes for every k (int64, len(ks) x M), from neighbours in ascending order of distance.

    One more neighbour is one more vote: the votes for k are those for k - 1 and the k-th neighbour's.
    """
    predictions = np.empty((len(ks), len(distances)), np.int64)
    step = max(1, _VOTES // classes)
    for start in range(0, len(distances), step):
        rows = slice(start, start + step)
        voters = labels[neighbours[rows]]
        weight = _weights(distances[rows], weights)
        votes = np.zeros((len(voters), classes))
        each = np.arange(len(voters))
        wanted = {k: position for position, k in enumerate(ks)}
        for k in range(1, max(ks) + 1):
            votes[each, voters[:, k - 1]] += weight[:, k - 1]
            if k in wanted:
                # Sums that differ only by rounding are a tie, which the first class wins.
                predictions[wanted[k], rows] = (
                    votes >= votes.max(axis=1, keepdims=True) * (1 - _SAME)
                ).argmax(axis=1)
    return predictions


def estimator(
    embeddings: Embeddings, k: int, *, metric: str = "euclidean", weights: str = "uniform"
) -> KNeighborsClassifier:
    """A plain scikit-learn classifier, fitted on the training part."""
    from sklearn.neighbors import KNeighborsClassifier

    train = embeddings.parts["train"]
    classifier = KNeighborsClassifier(n_neighbors=k, metric=metric, weights=weights, algorithm="brute")
    return classifier.fit(train.embeddings, train.labels)


def _weights(distances: np.ndarray, weights: str) -> np.ndarray:
    """1 for each neighbour, or 1/distance; neighbours at distance 0 outvote all others."""
    if weights == "uniform":
        return np.ones_like(distances)
    with np.errstate(divide="ignore", over="ignore"):
        weight = 1 / distances
    at_zero = np.isinf(weight)
    return np.where(at_zero.any(axis=1, keepdims=True), at_zero, weight)


def _usable_ks(ks: Sequence[int] | None, images: int) -> tuple[int, ...]:
    """The numbers of neighbours, ascending, each less than the number of training images."""
    if images < 2:
        raise TlcliError(f"The embeddings have {images} training image; neighbours need at least 2.")
    if ks is None:
        return tuple(k for k in DEFAULT_KS if k < images)
    wanted = tuple(sorted({int(k) for k in ks}))
    if not wanted or wanted[0] < 1:
        raise UsageError("`k`: expected at least one number, all from 1.")
    if wanted[-1] >= images:
        raise UsageError(
            f"`k`: {wanted[-1]} is too large; each of {images} training images has {images - 1} neighbours.\n"
            f"Give a k of at most {images - 1}."
        )
    return wanted


def _left_out_index(images: int) -> np.ndarray:
    """int64: the training images that are left out in turn."""
    return np.unique(np.linspace(0, images - 1, min(images, LEFT_OUT)).astype(np.int64))


def _check_values(embeddings: Embeddings) -> None:
    widths = {part.embeddings.shape[1] for part in embeddings.parts.values()}
    if len(widths) > 1:
        raise TlcliError(
            f"The parts have embeddings of {' and '.join(map(str, sorted(widths)))} numbers; "
            "expected the same in all."
        )
    for name in ("train", "test"):
        values = embeddings.parts[name].embeddings
        # Two reductions make no copy, and NaN shows in both.
        if not (np.min(values) > -_LARGEST and np.max(values) < _LARGEST):
            raise TlcliError(
                f"The {name} embeddings hold NaN, infinite or huge values; expected numbers below "
                f"{_LARGEST:g}. Check the network that made them."
            )


def _check_word(what: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UsageError(f"`{what}`: received '{value}', expected {' or '.join(allowed)}.")


def _parent(embeddings: Embeddings, kind: str) -> Parent | None:
    return next((p for p in embeddings.provenance.parents if p.format == kind), None)


def _target(embeddings: Embeddings) -> Target:
    """The dataset behind the embeddings, by the name and digest that they record."""
    test: EmbeddingPart = embeddings.parts["test"]
    dataset = _parent(embeddings, "tlcli-dataset")
    return Target(
        name=_stem(dataset.name if dataset else embeddings.provenance.name) or "embeddings",
        content_sha256=dataset.content_sha256 if dataset else "",
        train_size=len(embeddings.parts["train"]),
        class_names=embeddings.class_names,
        test_labels=test.labels,
        test_source_index=test.source_index,
        source=embeddings.source,
        notes=" ".join(embeddings.notes),
    )


def _stem(name: str) -> str:
    return name.removesuffix(".h5")
