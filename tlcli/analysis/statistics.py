"""Intervals and tests for accuracies that were measured over few runs and on one set of test images.

All accuracies are shares (0...1) and all intervals are two-sided. A run is one training with one seed; an
image is
one test image. `correct` arrays are boolean, runs x images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from tlcli.errors import TlcliError


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (n - 1) and t interval of the mean; the last three need two values."""

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The difference first - second of two mean accuracies, its interval and its two-sided p value."""

    difference: float
    low: float | None
    high: float | None
    p: float | None
    runs: int
    """Paired repetitions."""
    images: int
    """Test images in common; 0 where the repetitions were tested on different images."""
    method: str


@dataclass(frozen=True)
class McNemar:
    """Images that only the first and only the second gets right, and the exact p value."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class BiasVariance:
    """The mean 0-1 error over runs, taken apart in two ways (see `bias_variance`)."""

    error: float
    bias: float
    """Kohavi & Wolpert's squared bias, corrected for the number of runs."""
    variance: float
    """Kohavi & Wolpert's variance, corrected for the number of runs; error = bias + variance."""
    main_error: float
    """Domingos's bias: the error of the class that most runs give."""
    unbiased_variance: float
    """Domingos: what single runs lose where most are right."""
    biased_variance: float
    """Domingos: what single runs win where most are wrong; error = main + unbiased - biased."""


def summary(
    values: Sequence[float] | np.ndarray, *, level: float = 0.95, bounds: tuple[float, float] | None = None
) -> Summary:
    """Mean, sd (ddof 1) and Student's t interval of the mean of independent `values`.

    One value has no sd and no interval. `bounds` cuts the interval to what is possible, say (0, 1).
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise TlcliError(f"A summary needs one or more finite numbers; received an array of shape {x.shape}.")
    mean = float(x.mean())
    if x.size == 1:
        return Summary(1, mean)
    sd = float(x.std(ddof=1))
    half = _t_quantile(level, x.size - 1) * sd / sqrt(x.size)
    low, high = mean - half, mean + half
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Summary(int(x.size), mean, sd, low, high)


def exact_interval(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of a share (Clopper & Pearson 1934): at least `level` coverage at any n."""
    from scipy.special import betaincinv

    if not 0 <= successes <= trials or trials < 1:
        raise TlcliError(f"Expected 0 <= successes <= trials, received {successes} of {trials}.")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Exact test of two classifiers on the same images (McNemar 1947; recommended by Dietterich 1998).

    `first` and `second` say of each image whether it was classified right (bool, N). Only the images on
    which the
    two differ count: without a difference they are split as by a fair coin.
    """
    from scipy.special import bdtr

    first, second = _paired(first, second, 1)
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    n = only_first + only_second
    p = 1.0 if n == 0 else min(1.0, 2.0 * float(bdtr(min(only_first, only_second), n, 0.5)))
    return McNemar(only_first, only_second, p)


def compare(first: np.ndarray, second: np.ndarray, *, level: float = 0.95) -> Comparison:
    """Compare two arms over R paired runs on the same N images (bool or share right, both R x N).

    The differences d[r, i] follow the crossed random-effects model d = mu + run + image + rest, so the
    interval holds for other runs *and* other images of the same kind. The variance of the grand mean is
    (MS_runs + MS_images - MS_rest) / (R N) with the mean squares of the two-way analysis of variance; a
    component that comes out negative counts as zero. The degrees of freedom are Satterthwaite's (1946). This
    is
    the quasi-F of Clark (1973), known in diagnostics as the multi-reader multi-case analysis.

    One run (R = 1) leaves the chance of the runs unknown: p is McNemar's, the interval is that of the images.
    """
    first, second = _paired(first, second, 2)
    d = first.astype(np.float64) - second.astype(np.float64)
    runs, images = d.shape
    mean = float(d.mean())
    if runs == 1:
        se = float(d.std(ddof=1)) / sqrt(images) if images > 1 else 0.0
        half = _t_quantile(level, max(images - 1, 1)) * se
        exact = mcnemar(first[0], second[0]) if first.dtype == bool and second.dtype == bool else None
        p = exact.p if exact else _p_value(mean, se, max(images - 1, 1))
        return Comparison(mean, mean - half, mean + half, p, 1, images, "McNemar, exact")
    se, df = _crossed_error(d)
    half = _t_quantile(level, df) * se
    return Comparison(mean, mean - half, mean + half, _p_value(mean, se, df), runs, images, "runs x images")


def compare_means(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, *, level: float = 0.95
) -> Comparison:
    """Student's paired t test of accuracies, for repetitions that do not share their test images."""
    first, second = _paired(np.asarray(first, np.float64), np.asarray(second, np.float64), 1)
    d = first - second
    s = summary(d, level=level)
    p = None if s.sd is None else _p_value(s.mean, s.sd / sqrt(s.n), s.n - 1)
    return Comparison(s.mean, s.low, s.high, p, s.n, 0, "paired t")


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) adjusted p values for a family of tests, in the order given; None stays None."""
    known = [i for i, value in enumerate(p) if value is not None]
    order = sorted(known, key=lambda i: p[i])  # type: ignore[arg-type,return-value]
    adjusted: list[float | None] = [None] * len(p)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * float(p[i])))  # type: ignore[arg-type]
        adjusted[i] = largest
    return adjusted


def bias_variance(predictions: np.ndarray, labels: np.ndarray) -> BiasVariance:
    """Take the mean 0-1 error of R >= 2 runs apart into what they share and what differs between them.

    `predictions`: int, R x N; `labels`: int, N. Labels are taken to be free of noise.

    Kohavi & Wolpert (1996): with q(y) the share of runs that give an image class y, squared bias is
    1/2 sum_y (1[y = label] - q(y))^2 and variance 1/2 (1 - sum_y q(y)^2). From few runs the first comes out
    too large and the second too small by 1/2 sum_y q(y)(1 - q(y)) / (R - 1); both are corrected by it, so
    that
    a small bias can come out slightly negative.
    Domingos (2000): bias is the error of the main prediction (the class most runs give; of a tie the
    lowest), and
    variance adds to the error where that is right and takes from it where that is wrong.
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
    """How far training and true error can lie apart by counting alone (the Occam or finite-class bound).

    With `parameters` numbers of `bits` bits there are 2^(bits * parameters) classifiers; Hoeffding's
    inequality and
    the union bound give sqrt((bits * parameters * ln 2 + ln(2 / (1 - level))) / (2 images)) for all of them
    at once
    (Shalev-Shwartz & Ben-David 2014, section 4.2). Above 1 it says nothing.
    """
    if images < 1:
        raise TlcliError("The bound needs at least one training image.")
    return sqrt((bits * parameters * log(2) + log(2 / (1 - level))) / (2 * images))


def _paired(first: np.ndarray, second: np.ndarray, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != dimensions or first.size == 0:
        raise TlcliError(
            f"A paired comparison needs two arrays of one shape; received {first.shape} and {second.shape}."
        )
    return first, second


def _crossed_error(d: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of d (R x N) under crossed random effects, and its degrees of freedom."""
    runs, images = d.shape
    by_run, by_image, mean = d.mean(axis=1), d.mean(axis=0), d.mean()
    ms_runs = images * float(by_run.var(ddof=1))
    ms_images = runs * float(by_image.var(ddof=1)) if images > 1 else 0.0
    df_rest = max((runs - 1) * (images - 1), 1)
    total = float(((d - mean) ** 2).sum())
    rest = total - ms_runs * (runs - 1) - ms_images * (images - 1)
    ms_rest = max(rest, 0.0) / df_rest
    ms_runs, ms_images = max(ms_runs, ms_rest), max(ms_images, ms_rest)
    variance = ms_runs + ms_images - ms_rest
    spread = ms_runs**2 / (runs - 1) + ms_images**2 / max(images - 1, 1) + ms_rest**2 / df_rest
    df = variance**2 / spread if spread > 0 else 1.0
    return sqrt(variance / (runs * images)), max(df, 1.0)


def _t_quantile(level: float, df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))


def _p_value(mean: float, se: float, df: float) -> float:
    """Two-sided p of a t statistic; a difference without any spread is certain, none is none."""
    from scipy.special import stdtr

    if se <= 1e-12:
        return 1.0 if abs(mean) <= 1e-12 else 0.0
    return float(2 * stdtr(df, -abs(mean) / se))
