"""Heads that are solved for on stored features, with scikit-learn, instead of trained step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

PENALTIES = np.logspace(-1, 5, 13)
"""Of ridge regression, on standardised features."""
INVERSE_PENALTIES = np.logspace(-5, 1, 7)
"""C of logistic regression, likewise."""
FOLDS = 5


@dataclass(frozen=True)
class Solution:
    """A linear head: logits are `features @ kernel + bias`."""

    kernel: np.ndarray
    """float32, D x classes."""
    bias: np.ndarray
    """float32, classes."""
    chosen: dict[str, Any]
    """The penalty that cross-validation chose, and its score."""


def ridge(x: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> Solution:
    """Ridge regression on targets of -1 and 1, its penalty chosen by leave-one-out in closed form.

    Args:
        x: Features, N x D, of the training images alone.
        labels: int, N, 0...classes-1.
        classes: How many there are.
        seed: Not used: nothing is drawn.
    """
    from sklearn.linear_model import RidgeClassifierCV

    scaled, mean, scale = _standardised(x)
    found = RidgeClassifierCV(alphas=PENALTIES).fit(scaled, labels)
    kernel, bias = _head(found.coef_, found.intercept_, mean, scale, classes)
    return Solution(kernel, bias, {"penalty": float(found.alpha_), "loo_score": float(found.best_score_)})


def logistic(x: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> Solution:
    """Multinomial logistic regression, its penalty chosen by the likelihood in five-fold cross-validation.

    Args:
        x: Features, N x D, of the training images alone.
        labels: int, N, 0...classes-1.
        classes: How many there are.
        seed: Of the folds, which are stratified. Where a class has a single image there can be none, and C
            is 0.01.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    scaled, mean, scale = _standardised(x)
    folds = min(FOLDS, int(np.bincount(labels).min()))
    scores: dict[float, float] = {}
    if folds > 1:
        parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
        for c in INVERSE_PENALTIES.tolist():
            model = LogisticRegression(C=c, max_iter=1000)
            scores[c] = float(
                cross_val_score(model, scaled, labels, cv=parts, scoring="neg_log_loss").mean()
            )  # fmt: skip
            if scores[c] < max(scores.values()):
                break  # the likelihood has one maximum along the path, and weaker penalties take longest
    best = max(scores, key=lambda c: scores[c]) if scores else 0.01
    found = LogisticRegression(C=best, max_iter=1000).fit(scaled, labels)
    kernel, bias = _head(found.coef_, found.intercept_, mean, scale, classes)
    chosen = {"C": best} | ({"cv_log_loss": -scores[best]} if scores else {})
    return Solution(kernel, bias, chosen)


SOLVERS: dict[str, Callable[[np.ndarray, np.ndarray, int, int], Solution]] = {
    "ridge": ridge,
    "logistic": logistic,
}


def _standardised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.asarray(x, dtype=np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-8] = 1.0
    return (x - mean) / scale, mean, scale


def _head(
    weights: np.ndarray, intercept: np.ndarray, mean: np.ndarray, scale: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's coefficients, classes x D (one row for two classes), for features as they are."""
    weights, intercept = np.atleast_2d(weights), np.atleast_1d(intercept)
    if classes == 2:
        weights = np.concatenate([-weights, weights]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    kernel = (weights / scale).T
    bias = intercept - mean @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)
