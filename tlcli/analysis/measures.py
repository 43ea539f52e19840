"""Measures of single and repeated networks, from their predictions and logits.

Labels and predictions are int arrays of class numbers; shares are 0...1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from tlcli.errors import TlcliError


@dataclass(frozen=True)
class BiasVariance:
    """Two decompositions of the mean 0-1 error over runs (see `bias_variance`)."""

    error: float
    bias: float
    """Kohavi & Wolpert's squared bias, corrected for the number of runs."""
    variance: float
    """Kohavi & Wolpert's variance, corrected for the number of runs; error = bias + variance."""
    main_error: float
    """Domingos's bias: the error of the class that most runs give."""
    unbiased_variance: float
    """Domingos: the error that single runs add where most are right."""
    biased_variance: float
    """Domingos: the error that single runs remove where most are wrong; error = main + unbiased - biased."""


@dataclass(frozen=True)
class ClassMeasures:
    """The measures of one network by class."""

    recall: np.ndarray
    """Share of each class's images that are classified right, N classes; nan for a class without images."""
    balanced: float
    """The mean recall: accuracy as if all classes were equally frequent."""
    macro_f1: float
    """The mean over the classes of the harmonic mean of precision and recall."""


def by_class(predictions: np.ndarray, labels: np.ndarray, classes: int) -> ClassMeasures:
    """Recall of each class, balanced accuracy and macro F1, from predictions and labels (int, N)."""
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    there = np.bincount(labels, minlength=classes)[:classes].astype(np.float64)
    given = np.bincount(np.clip(predictions, 0, classes - 1), minlength=classes).astype(np.float64)
    right = np.bincount(labels[predictions == labels], minlength=classes)[:classes].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / there
        f1 = 2 * right / (there + given)
    known = there > 0
    return ClassMeasures(recall, float(recall[known].mean()), float(f1[known].mean()))


def likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood in nats of labels (int, N) under logits (N x C)."""
    return float(-_log_softmax(logits)[np.arange(len(labels)), labels].mean())


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017): |accuracy - confidence| over bins of equal width.

    `logits` are N x C, `labels` int, N.
    """
    shares = np.exp(_log_softmax(logits))
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    apart = np.bincount(place, right - confidence, minlength=bins)
    return float(np.abs(apart).sum() / len(labels))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    x = np.asarray(logits, np.float64)
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def bias_variance(predictions: np.ndarray, labels: np.ndarray) -> BiasVariance:
    """Decompose the mean 0-1 error of R >= 2 runs into bias, which they share, and variance between them.

    `predictions`: int, R x N; `labels`: int, N, assumed free of noise.

    Kohavi & Wolpert (1996): with q(y) the share of runs that give an image class y, squared bias is 1/2 sum_y
    (1[y = label] - q(y))^2 and variance 1/2 (1 - sum_y q(y)^2). From few runs the first comes out too large
    and the second too small by 1/2 sum_y q(y)(1 - q(y)) / (R - 1); both are corrected by it, so that a small
    bias can come out slightly negative. Domingos (2000): bias is the error of the main prediction (the class
    most runs give; of a tie the lowest), and variance adds to the error where that is right and takes from it
    where that is wrong.
    """
    predictions = np.asarray(predictions)
    labels = np.asarray(labels)
    if predictions.ndim != 2 or len(predictions) < 2 or predictions.shape[1:] != labels.shape:
        raise TlcliError(
            f"Bias and variance need two or more runs on the same images; received predictions of shape "
            f"{predictions.shape} for labels of shape {labels.shape}."
        )
    runs = len(predictions)
    classes = int(max(predictions.max(), labels.max())) + 1
    counts = np.stack([(predictions == c).sum(axis=0) for c in range(classes)])
    images = np.arange(labels.size)
    squares = ((counts / runs) ** 2).sum(axis=0)
    right = counts[labels, images] / runs
    raw_bias = 0.5 * (squares - 2 * right + 1)
    raw_variance = 0.5 * (1 - squares)
    correction = raw_variance / (runs - 1)

    main = counts.argmax(axis=0)
    main_right = main == labels
    away = 1 - counts[main, images] / runs
    return BiasVariance(
        error=float(1 - right.mean()),
        bias=float((raw_bias - correction).mean()),
        variance=float((raw_variance + correction).mean()),
        main_error=float(1 - main_right.mean()),
        unbiased_variance=float(np.where(main_right, away, 0).mean()),
        biased_variance=float(np.where(main_right, 0, right).mean()),
    )


def counting_bound(parameters: int, images: int, *, bits: int = 32, level: float = 0.95) -> float:
    """A bound on the difference of training and true error by counting (the Occam or finite-class bound).

    With `parameters` numbers of `bits` bits there are 2^(bits * parameters) classifiers; Hoeffding's
    inequality and the union bound give sqrt((bits * parameters * ln 2 + ln(2 / (1 - level))) / (2 images))
    for all of them at once (Shalev-Shwartz & Ben-David 2014, section 4.2). A bound above 1 is empty.
    """
    if images < 1:
        raise TlcliError("The bound needs at least one training image.")
    return sqrt((bits * parameters * log(2) + log(2 / (1 - level))) / (2 * images))
