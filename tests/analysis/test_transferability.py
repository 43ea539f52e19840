"""The scores that rank bases, each against the formula of its article, written out."""

from __future__ import annotations

import numpy as np
import pytest

from tlcli.analysis import transferability as tr
from tlcli.errors import TlcliError

N, D, CLASSES = 60, 7, 3


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(N) % CLASSES
    return rng.normal(size=(N, D)) + 1.5 * rng.normal(size=(CLASSES, D))[labels], labels


def evidence(f: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> float:
    """log p(y | F, alpha, beta) of y = Fw + noise, w ~ N(0, 1/alpha), noise ~ N(0, 1/beta): a Gaussian."""
    covariance = f @ f.T / alpha + np.eye(len(f)) / beta
    _, determinant = np.linalg.slogdet(covariance)
    return -0.5 * (len(f) * np.log(2 * np.pi) + determinant + y @ np.linalg.solve(covariance, y))


@pytest.mark.parametrize("wide", [False, True])
def test_logme_is_the_largest_evidence(problem: tuple[np.ndarray, np.ndarray], wide: bool) -> None:
    """Over a grid of both precisions; also with more features than images."""
    f, labels = problem
    if wide:
        f = np.concatenate([f, np.random.default_rng(1).normal(size=(N, 80))], axis=1)
    grid = np.logspace(-3, 4, 71)
    best = [
        max(evidence(f, (labels == one).astype(float), a, b) for a in grid[::2] for b in grid[20:60:2])
        for one in range(CLASSES)
    ]
    assert tr.log_me(f, labels) == pytest.approx(np.mean(best) / N, abs=4e-3)


def test_the_h_score(problem: tuple[np.ndarray, np.ndarray]) -> None:
    """Ledoit and Wolf's shrinkage written out: (1 - a) S + a tr(S)/d I, with their estimate of a."""
    f, labels = problem
    x = f - f.mean(axis=0)
    s = x.T @ x / N
    target = np.trace(s) / D * np.eye(D)
    spread = ((s - target) ** 2).sum() / D
    noise = sum(((np.outer(row, row) - s) ** 2).sum() for row in x) / N**2 / D
    a = min(noise, spread) / spread
    means = np.stack([x[labels == label].mean(axis=0) for label in labels])
    expected = (1 - a) * np.trace(np.linalg.inv((1 - a) * s + a * target) @ (means.T @ means / N))
    assert tr.h_score(f, labels) == pytest.approx(expected, rel=1e-9)
    assert 0 < expected < CLASSES - 1


def test_leep() -> None:
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(40, 5)), np.arange(40) % 3
    theta = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    total = 0.0
    for i in range(40):
        p = 0.0
        for z in range(5):
            joint = sum(theta[j, z] for j in range(40) if labels[j] == labels[i]) / 40
            p += joint / (theta[:, z].sum() / 40) * theta[i, z]
        total += np.log(p)
    assert tr.leep(logits, labels) == pytest.approx(total / 40, rel=1e-12)
    sure = np.where(np.eye(3)[labels] == 1, 50.0, 0.0)
    assert tr.leep(sure, labels) == pytest.approx(0, abs=1e-9)


def test_neighbours_and_the_logistic_head(problem: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    f, labels = problem
    some = f[: N // 2], labels[: N // 2]
    best = max(
        cross_val_score(KNeighborsClassifier(k, metric="cosine"), *some, cv=LeaveOneOut()).mean()
        for k in range(1, tr.NEIGHBOURS + 1)
    )
    assert tr.neighbour_accuracy(*some) == pytest.approx(best, abs=1e-12)
    assert 0.7 < tr.logistic_accuracy(f, labels) <= 1
    noise = np.random.default_rng(3).normal(size=(300, 5))
    assert tr.logistic_accuracy(noise, np.arange(300) % 3) < 0.45


@pytest.mark.parametrize("counts", [[401, *[400] * 9], [7998, 2], [4000, 3, 2]])
def test_a_sample_has_images_of_every_class(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = tr._sample(labels, 0)
    assert len(rows) == len(np.unique(rows)) <= tr.MOST + 2 * len(counts)
    assert np.bincount(labels[rows]).min() >= 2


def test_better_features_score_higher(problem: tuple[np.ndarray, np.ndarray]) -> None:
    f, labels = problem
    noisy = f + np.random.default_rng(4).normal(size=f.shape) * 4
    good, bad = (tr.score(x, labels, x[:, :4]) for x in (f, noisy))
    for name in ("logistic", "neighbours", "log_me", "h_score", "leep"):
        assert getattr(good, name) > getattr(bad, name), name
    assert tr.score(f, labels).leep is None
    with pytest.raises(TlcliError, match="two training images"):
        tr.score(f[:4], np.array([0, 0, 1, 2]))


def test_kendall() -> None:
    up = np.arange(8.0)
    assert tr.kendall(up, up) == pytest.approx((1, 1, 1))
    assert tr.kendall(up, -up)[0] == pytest.approx(-1)
    estimate, low, high = tr.kendall(up, np.array([0, 2, 1, 3, 5, 4, 7, 6.0]))
    assert estimate == pytest.approx(1 - 2 * 3 / 28)
    assert -1 <= low < estimate < high <= 1


def test_the_interval_of_kendalls_tau_is_the_bootstraps() -> None:
    """With ties, and draws in which nothing but ties is left."""
    from scipy.stats import kendalltau

    x, y = np.array([0, 0, 1, 2.0]), np.array([1, 0, 0, 3.0])
    rows = np.random.default_rng(5).integers(0, 4, (300, 4))
    taus = [kendalltau(x[one], y[one]).statistic for one in rows]
    expected = (kendalltau(x, y).statistic, *np.nanpercentile(taus, [2.5, 97.5]))
    assert np.isnan(taus).any()
    assert tr.kendall(x, y, seed=5, draws=300) == pytest.approx(expected, abs=1e-12)
