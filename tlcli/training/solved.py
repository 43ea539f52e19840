"""Solve for linear heads on stored features instead of training them step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.analysis.folds import take_folds
from tlcli.training.loop import score

PENALTIES = np.logspace(-1, 6, 15)
"""Penalties of ridge regression to try, on standardised features."""
INVERSE_PENALTIES = np.logspace(-5, 1, 7)
"""Values of C of logistic regression to try, on standardised features."""
SMALL = 5_000
"""The most training images for which every fold is held out once; of more, one fold is."""


@dataclass(frozen=True)
class Problem:
    """The features of the training images and of the validation part, without the test part."""

    x: np.ndarray
    """views x N x D: first the images themselves, then augmented views of them, if any."""
    labels: np.ndarray
    """int, N, 0...classes-1."""
    classes: int
    seed: int
    """The seed of the folds."""
    validation: tuple[np.ndarray, np.ndarray] | None = None
    """Features and labels of the validation part; without one, the folds are of `x`."""

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Every view of every image with its label."""
        return self._rows(np.arange(len(self.labels)))

    def trials(self) -> tuple[list[tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]], str]:
        """Pairs of data to solve on and data to score on, and the name of the latter in results.

        All views of an image are on one side. The data to score on are the images themselves.
        """
        if self.validation is not None:
            return [(self.all(), self.validation)], "validation part"
        taken, held = take_folds(self.labels, self.seed, all_up_to=SMALL)
        return [(self._rows(train), (self.x[0, rest], self.labels[rest])) for train, rest in taken], held

    def _rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        views, width = len(self.x), self.x.shape[2]
        return self.x[:, rows].reshape(-1, width), np.tile(self.labels[rows], views)


@dataclass(frozen=True)
class Solution:
    """A linear head: logits are `features @ kernel + bias`."""

    kernel: np.ndarray
    """float32, D x classes."""
    bias: np.ndarray
    """float32, classes."""
    chosen: dict[str, Any]
    """The penalty, the data it was chosen on, and the score of every candidate."""


def ridge(problem: Problem) -> Solution:
    """Ridge regression on targets of -1 and 1, in closed form, its penalty chosen by the squared error.

    Features are standardised and there is an intercept, as in scikit-learn's RidgeClassifier.
    """
    trials, held = problem.trials()
    errors = np.zeros(len(PENALTIES))
    for (x, y), (tested, labels) in trials:
        goal = _sign_labels(labels, problem.classes)
        for number, (kernel, bias) in enumerate(_ridge_path(x, y, problem.classes, PENALTIES)):
            errors[number] += np.square(tested @ kernel + bias - goal).mean() / len(trials)
    best = int(errors.argmin()) if trials else len(PENALTIES) // 2
    ((kernel, bias),) = _ridge_path(*problem.all(), problem.classes, PENALTIES[best : best + 1])
    scores = {f"{p:.3g}": float(e) for p, e in zip(PENALTIES, errors, strict=True)} if trials else {}
    chosen = {"penalty": float(PENALTIES[best]), "on": held, "squared_error": scores}
    return Solution(kernel.astype(np.float32), bias.astype(np.float32), chosen)


def _ridge_path(
    x: np.ndarray, labels: np.ndarray, classes: int, penalties: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias for each penalty, from one decomposition of the smaller Gram matrix."""
    scaled, mean, scale = _standardise(x)
    goal = _sign_labels(labels, classes)
    middle = goal.mean(axis=0)
    n, width = scaled.shape
    if n > width:
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        right, left = vectors.T @ (scaled.T @ (goal - middle)), vectors
    else:
        values, vectors = np.linalg.eigh(scaled @ scaled.T)
        right, left = vectors.T @ (goal - middle), scaled.T @ vectors
    for penalty in penalties:
        weights = left @ (right / (np.maximum(values, 0)[:, None] + penalty))
        yield _unscale(weights, middle, mean, scale)


def logistic(problem: Problem) -> Solution:
    """Multinomial logistic regression (scikit-learn's, by L-BFGS), its penalty chosen by the likelihood.

    The path goes from the strongest penalty to weaker ones, each starting from the last solution, and ends
    when the likelihood of the held-out images falls. If no image can be held out, C is 0.01.
    """
    trials, held = problem.trials()
    parts = [(_standardise(x), y, tested, labels) for (x, y), (tested, labels) in trials]
    models = [_logistic_model() for _ in parts]
    losses: dict[float, float] = {}
    for c in INVERSE_PENALTIES.tolist() if parts else []:
        found = []
        for model, ((x, mean, scale), y, tested, labels) in zip(models, parts, strict=True):
            model.set_params(C=c).fit(x, y)
            kernel, bias = _as_head(model, mean, scale, problem.classes)
            found.append(score(tested @ kernel + bias, labels)[0])
        losses[c] = float(np.mean(found))
        if losses[c] > min(losses.values()):
            break
    best = min(losses, key=lambda c: losses[c]) if losses else 0.01
    x, y = problem.all()
    scaled, mean, scale = _standardise(x)
    model = _logistic_model().set_params(C=best).fit(scaled, y)
    kernel, bias = _as_head(model, mean, scale, problem.classes)
    chosen = {"C": best, "on": held, "log_loss": {f"{c:.3g}": loss for c, loss in losses.items()}}
    return Solution(kernel.astype(np.float32), bias.astype(np.float32), chosen)


def _logistic_model() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, warm_start=True)


def _as_head(model: Any, mean: np.ndarray, scale: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A head for raw features from scikit-learn's coefficients, which have one row for two classes."""
    weights, intercept = model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64)
    if classes == 2:
        weights = np.concatenate([-weights, weights], axis=1) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    return _unscale(weights, intercept, mean, scale)


def _sign_labels(labels: np.ndarray, classes: int) -> np.ndarray:
    return 2.0 * np.eye(classes)[labels] - 1.0


def _standardise(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.asarray(x, dtype=np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale < 1e-8] = 1.0
    return (x - mean) / scale, mean, scale


def _unscale(
    weights: np.ndarray, intercept: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a head on standardised features (D x classes) into one on raw features."""
    kernel = weights / scale[:, None]
    return kernel, intercept - mean @ kernel


SOLVERS: dict[str, Callable[[Problem], Solution]] = {"ridge": ridge, "logistic": logistic}
