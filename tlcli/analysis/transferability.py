"""Scores for how well a base suits a target, from embeddings of the target's training images.

Only linear heads are trained; the test part is not used.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from tlcli.analysis.folds import draw_folds
from tlcli.errors import TlcliError

MOST = 4_000
"""The most training images to use; of more, a stratified sample."""
NEIGHBOURS = 20
"""The largest number of neighbours to try."""
PENALTIES = np.logspace(-5, 1, 7)
"""Values of C to try in the logistic regression, on standardised features."""


@dataclass(frozen=True)
class Scores:
    """The scores of a base; a higher value is better."""

    logistic: float
    """Accuracy (0...1) of a logistic head on held-out folds, its penalty chosen by their likelihood."""
    neighbours: float
    """Accuracy (0...1) of the neighbours by cosine, each left out in turn, with the best k."""
    log_me: float
    """The evidence of linear regression on the features, per image (You et al., ICML 2021)."""
    h_score: float
    """The H-score with a shrunk covariance (Ibrahim et al. 2021)."""
    leep: float | None
    """The likelihood of the target's classes given the base's own (Nguyen et al., ICML 2020), in nats per
    image; None for a base without a head."""


def score(
    features: np.ndarray, labels: np.ndarray, source_logits: np.ndarray | None = None, seed: int = 0
) -> Scores:
    """Every score of a base for a target.

    Args:
        features: float32, N x D: embeddings of the target's training images.
        labels: int64, N.
        source_logits: float32, N x source classes: the logits of the base's own head; None without one.
        seed: The seed of the folds, and of the sample of more than 4,000 images.

    Raises:
        TlcliError: A class has fewer than two images, or there is one class.
    """
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < 2:
        raise TlcliError("Ranking needs two classes or more, with two training images or more of each.")
    rows = _sample(labels, seed)
    features, labels = np.asarray(features[rows], np.float64), np.unique(labels[rows], return_inverse=True)[1]
    return Scores(
        logistic_accuracy(features, labels, seed),
        neighbour_accuracy(features, labels),
        log_me(features, labels),
        h_score(features, labels),
        None if source_logits is None else leep(source_logits[rows], labels),
    )


def logistic_accuracy(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """The accuracy of logistic regression on held-out folds, with the penalty of the highest likelihood
    there."""
    from sklearn.linear_model import LogisticRegression

    losses, accuracies = np.zeros(len(PENALTIES)), np.zeros(len(PENALTIES))
    for train, held in draw_folds(labels, seed):
        mean, scale = features[train].mean(axis=0), features[train].std(axis=0)
        scale[scale < 1e-8] = 1
        x, rest = (features[train] - mean) / scale, (features[held] - mean) / scale
        model = LogisticRegression(max_iter=300, warm_start=True)
        for number, penalty in enumerate(PENALTIES):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the weakest penalties may stop before they converge
                model.set_params(C=penalty).fit(x, labels[train])
            probability = model.predict_proba(rest)
            losses[number] -= np.log(probability[np.arange(len(held)), labels[held]] + 1e-12).sum()
            accuracies[number] += (probability.argmax(axis=1) == labels[held]).sum()
            if losses[number] > 1.5 * losses[:number].min(initial=np.inf):
                losses[number + 1 :] = np.inf
                break
    return float(accuracies[losses.argmin()] / len(labels))


def neighbour_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """The accuracy of the vote of the k nearest neighbours by cosine, each image left out in turn."""
    x = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    most = min(NEIGHBOURS, len(x) - 1)
    found = np.empty((len(x), most), np.int64)
    for start in range(0, len(x), 1_000):
        rows = np.arange(start, min(start + 1_000, len(x)))
        similar = x[rows] @ x.T
        similar[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argpartition(-similar, most - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(similar, nearest, axis=1), axis=1, kind="stable")
        found[rows] = np.take_along_axis(nearest, order, axis=1)
    votes = np.eye(labels.max() + 1)[labels[found]].cumsum(axis=1)
    return float((votes.argmax(axis=2) == labels[:, None]).mean(axis=0).max())


def log_me(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME: the maximal log evidence of Bayesian linear regression on each class's indicator, per image.

    You, Liu, Wang, Long, "LogME: practical assessment of pre-trained models for transfer learning", ICML
    2021, by the fixed point of its section 4 on one singular value decomposition.
    """
    f = np.asarray(features, np.float64)
    f = f if f.any() else np.ones((len(f), 1))  # features that are all zero tell as little as a constant
    n, d = f.shape
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    squares = s**2
    total = 0.0
    for one in np.unique(labels):
        y = (labels == one).astype(np.float64)
        projected = (u.T @ y) ** 2
        outside = max(float(y @ y - projected.sum()), 0.0)
        alpha, beta = 1.0, 1.0
        for _ in range(100):
            ratio = alpha / beta
            gamma = (squares / (squares + ratio)).sum()
            length = (squares * projected / (squares + ratio) ** 2).sum()
            rest = (projected / (1 + squares / ratio) ** 2).sum() + outside
            alpha, beta = gamma / (length + 1e-12), (n - gamma) / (rest + 1e-12)
            if abs(alpha / beta - ratio) <= 1e-3 * ratio:
                break
        evidence = d * np.log(alpha) + n * np.log(beta) - n * np.log(2 * np.pi)
        evidence -= np.log(alpha + beta * squares).sum() + (d - len(squares)) * np.log(alpha)
        total += (evidence - beta * rest - alpha * length) / (2 * n)
    return float(total / len(np.unique(labels)))


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """The shrunk H-score: how much of the features' covariance lies between the classes.

    Ibrahim, Ponomareva, Mazumder, "Newer is not always better: rethinking transferability metrics, their
    peculiarities, stability and performance", ECML 2022 (arXiv 2110.06893, 2021): the covariance of Ledoit
    and Wolf (2004), and that between the class means shrunk as much.
    """
    from sklearn.covariance import ledoit_wolf

    f = np.asarray(features, np.float64)
    f = f - f.mean(axis=0)
    covariance, shrinkage = ledoit_wolf(f, assume_centered=True)
    means = np.zeros_like(f)
    for one in np.unique(labels):
        means[labels == one] = f[labels == one].mean(axis=0)
    between = means.T @ means / len(f)
    return float((1 - shrinkage) * np.trace(np.linalg.lstsq(covariance, between, rcond=None)[0]))


def leep(source_logits: np.ndarray, labels: np.ndarray) -> float:
    """LEEP: the log likelihood of the labels, predicted from the base's probabilities of its own classes.

    Nguyen, Hassner, Seeger, Archambeau, "LEEP: a new measure to evaluate transferability of learned
    representations", ICML 2020, equation 2.
    """
    z = np.asarray(source_logits, np.float64)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    theta = z / z.sum(axis=1, keepdims=True)
    joint = np.eye(labels.max() + 1)[labels].T @ theta / len(labels)
    conditional = joint / np.maximum(joint.sum(axis=0), 1e-300)
    likelihood = (theta * conditional[labels]).sum(axis=1)
    return float(np.log(np.maximum(likelihood, 1e-300)).mean())


def kendall(x: np.ndarray, y: np.ndarray, seed: int = 0, draws: int = 2_000) -> tuple[float, float, float]:
    """Kendall's tau-b of two rankings of the same bases, and its 95 % interval by the bootstrap over bases.

    Returns:
        The estimate and the ends of the percentile interval, of draws with at least two different bases.
    """
    rows = np.random.default_rng(seed).integers(0, len(x), (draws, len(x)))
    once = np.ones((1, len(x)))
    drawn = (rows[:, :, None] == np.arange(len(x))).sum(axis=1)
    low, high = np.nanpercentile(_tau_b(x, y, drawn), [2.5, 97.5])
    return float(_tau_b(x, y, once)[0]), float(low), float(high)


def _tau_b(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Tau-b of samples that hold value j `times[s, j]` times: (samples,). NaN where all are tied."""
    above, right = (np.sign(np.subtract.outer(values, values)) for values in (x, y))
    agree, untied_x, untied_y = (
        np.einsum("si,ij,sj->s", times, pairs, times) for pairs in (above * right, above**2, right**2)
    )
    with np.errstate(invalid="ignore"):
        return agree / np.sqrt(untied_x * untied_y)


def _sample(labels: np.ndarray, seed: int) -> np.ndarray:
    """All rows, or a stratified sample of about `MOST` with two images or more of each class."""
    if len(labels) <= MOST:
        return np.arange(len(labels))
    from sklearn.model_selection import StratifiedShuffleSplit

    classes = np.unique(labels)
    size = min(MOST, len(labels) - len(classes))  # scikit-learn wants an image of each class in the rest
    drawn = next(StratifiedShuffleSplit(1, train_size=size, random_state=seed).split(labels, labels))[0]
    rare = [np.flatnonzero(labels == c)[:2] for c in classes if (labels[drawn] == c).sum() < 2]
    return np.unique(np.concatenate([drawn, *rare]))
