"""Intervals and tests for accuracies that were measured over few runs and on one set of test images.

All accuracies are shares (0...1) and all intervals are two-sided. A run is one training with one seed; an
image is one test image. `correct` arrays are boolean, runs x images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

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

    @property
    def interval(self) -> tuple[float, float] | None:
        """Low and high; None of one or two values, which leave it at most one degree of freedom."""
        return None if self.n < 3 or self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class McNemar:
    """The numbers of images that only the first and only the second gets right, and the exact p value."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """The difference first - second of two mean accuracies, with the terms of its intervals and tests."""

    difference: float
    error: float | None
    """The standard error of the difference; None if one repetition leaves it unknown."""
    df: float
    """Degrees of freedom of the t distribution."""
    runs: int
    """Paired repetitions."""
    images: int
    """Test images in common; 0 if the repetitions were tested on different images."""
    method: str
    exact: McNemar | None = None
    """The exact test over the images, if two single networks are compared, or networks without any spread."""

    @property
    def single(self) -> bool:
        """Whether two single networks are compared."""
        return self.exact is not None and self.runs == 1

    def p(self, family: int = 1) -> float | None:
        """Two-sided p value, adjusted after Bonferroni for so many comparisons (Dunn 1961)."""
        if self.exact is not None:
            p = self.exact.p
        elif self.error is None:
            return None
        else:
            p = _p_value(self.difference, self.error, self.df)
        return min(1.0, family * p)

    def interval(self, family: int = 1, *, level: float = 0.95) -> tuple[float, float] | None:
        """The interval that holds for so many comparisons at once: each at the level 1 - (1 - level)/family.

        It leaves zero out exactly where `p(family)` is below 1 - level, and lies within -1...1, as the
        difference of two shares does. Of two single networks it is exact, too: the interval of Clopper and
        Pearson for the share of the first among the images on which the two differ, times their number.
        """
        level = 1 - (1 - level) / family
        if self.exact is not None:
            return self._exact_interval(self.exact, level)
        if self.error is None:
            return None
        half = t_quantile(level, self.df) * self.error
        return max(-1.0, self.difference - half), min(1.0, self.difference + half)

    def _exact_interval(self, exact: McNemar, level: float) -> tuple[float, float]:
        differing = exact.only_first + exact.only_second
        if differing == 0:
            most = 1 - ((1 - level) / 2) ** (1 / self.images)
            return -most, most
        low, high = exact_interval(exact.only_first, differing, level=level)
        scale = differing / self.images
        return (2 * low - 1) * scale, (2 * high - 1) * scale

    def detectable(self, family: int = 1, *, level: float = 0.95, power: float = 0.8) -> float | None:
        """The smallest true difference that such a comparison shows with this power (Bloom 1995).

        It is (t(1 - alpha/2) + t(power)) standard errors; None without a standard error.
        """
        if self.error is None or self.error <= 0:
            return None
        return (
            t_quantile(1 - (1 - level) / family, self.df) + t_quantile(2 * power - 1, self.df)
        ) * self.error


def summary(
    values: Sequence[float] | np.ndarray, *, level: float = 0.95, bounds: tuple[float, float] | None = None
) -> Summary:
    """Mean, sd (ddof 1) and Student's t interval of the mean of independent `values`.

    One value has no sd and no interval. `bounds` clips the interval to the possible values, say (0, 1).
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise TlcliError(f"A summary needs one or more finite numbers; received an array of shape {x.shape}.")
    mean = float(x.mean())
    if x.size == 1:
        return Summary(1, mean)
    sd = float(x.std(ddof=1))
    half = t_quantile(level, x.size - 1) * sd / sqrt(x.size)
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

    `first` and `second` say of each image whether it was classified right (bool, N). Only the images on which
    the two differ count: without a difference they are split as by a fair coin.
    """
    from scipy.special import bdtr

    first, second = _as_pair(first, second, 1)
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    n = only_first + only_second
    p = 1.0 if n == 0 else min(1.0, 2.0 * float(bdtr(min(only_first, only_second), n, 0.5)))
    return McNemar(only_first, only_second, p)


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare two arms over R paired runs on the same N images (bool or share right, both R x N).

    The differences d[r, i] follow the crossed random-effects model d = mu + run + image + rest, so the
    interval holds for other runs *and* other images of the same kind (see `crossed_error`).

    One run (R = 1) leaves the chance of the runs unknown: the comparison is then of two networks, by
    McNemar's exact test; of shares it is a t test over the images. Where d is the same in every run and for
    every image, no spread says how sure the difference is, and the exact test over the images takes over.
    """
    first, second = _as_pair(first, second, 2)
    d = first.astype(np.float64) - second.astype(np.float64)
    runs, images = d.shape
    mean, constant = float(d.mean()), np.ptp(d) == 0
    if (constant and abs(mean) in (0, 1)) or (runs == 1 and first.dtype == second.dtype == bool):
        exact = mcnemar(first[0] > 0.5, second[0] > 0.5)
        return Comparison(mean, None, 0.0, runs, images, "McNemar", exact)
    error, df = (None, 0.0) if constant else crossed_error(d)
    return Comparison(mean, error, df, runs, images, "runs x images")


def compare_means(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> Comparison:
    """Student's paired t test of accuracies, for repetitions that do not share their test images.

    Equal differences leave the standard error unknown.
    """
    first, second = _as_pair(np.asarray(first, np.float64), np.asarray(second, np.float64), 1)
    s = summary(first - second)
    error = None if s.sd is None or s.sd <= 1e-12 else s.sd / sqrt(s.n)
    return Comparison(s.mean, error, float(max(s.n - 1, 1)), s.n, 0, "paired t")


def new_images(correct: np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """The interval of mean accuracy (bool or shares, R x N) for other runs and other images of the kind.

    Several runs use crossed random effects; one run has the exact binomial interval, as have runs that get
    every image right, or every image wrong.
    """
    correct = np.asarray(correct)
    runs, images = correct.shape
    if (runs == 1 and correct.dtype == bool) or correct.mean() in (0, 1):
        return exact_interval(int(correct[0].sum()), images, level=level)
    error, df = crossed_error(correct.astype(np.float64))
    mean, half = float(correct.mean()), t_quantile(level, df) * error
    return max(0.0, mean - half), min(1.0, mean + half)


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """The mean of the middle half of the values (... x N), as in rliable (Agarwal et al. 2021)."""
    x = np.sort(np.asarray(values, np.float64), axis=-1)
    cut = x.shape[-1] // 4
    return x[..., cut : x.shape[-1] - cut].mean(axis=-1)


def probability_of_improvement(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """The chance that a run of the first beats one of the second, averaged over tasks (Agarwal et al. 2021).

    One array of runs (... x N) per task on either side; ties count one half (the Mann-Whitney statistic).
    """
    apart = [np.sign(a[..., :, None] - b[..., None, :]) for a, b in zip(first, second, strict=True)]
    return np.mean([0.5 + 0.5 * d.mean(axis=(-2, -1)) for d in apart], axis=0)


def stratified_bootstrap(
    groups: Sequence[Sequence[np.ndarray]],
    statistic: Callable[..., np.ndarray],
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of a statistic of one or more arms, the runs drawn anew within each task.

    `groups` holds for each arm one array of runs (N) per task; `statistic` takes as many lists of arrays
    (draws x N) and gives one value for each draw (Agarwal et al. 2021, stratified bootstrap).
    """
    rng = np.random.default_rng(seed)
    drawn = [[x[rng.integers(0, len(x), (draws, len(x)))] for x in tasks] for tasks in groups]
    low, high = np.quantile(statistic(*drawn), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def draws_of_means(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Values (draws x K) that the means of values (R x K, a row for each repetition) may have together.

    They come from the multivariate t distribution of the means, so the mean of each column and each
    difference of two have the t distributions that their intervals are made of.
    """
    runs, df = len(values), max(len(values) - 1, 1)
    mean = values.mean(axis=0)
    normal = rng.normal(size=(draws, runs)) @ (values - mean) / sqrt(df)
    return mean + normal / np.sqrt(runs * rng.chisquare(df, (draws, 1)) / df)


def _as_pair(first: np.ndarray, second: np.ndarray, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != dimensions or first.size == 0:
        raise TlcliError(
            f"A paired comparison needs two arrays of one shape; received {first.shape} and {second.shape}."
        )
    return first, second


def crossed_error(d: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of d (R x N) under crossed random effects, and its degrees of freedom.

    The variance of the grand mean is (MS_runs + MS_images - MS_rest) / (R N) with the mean squares of the
    two-way analysis of variance; a component that comes out negative counts as zero. The degrees of freedom
    are Satterthwaite's (1946). This is the quasi-F of Clark (1973), known in diagnostics as the multi-reader
    multi-case analysis. With one run, it is the error over the images.
    """
    runs, images = d.shape
    if runs == 1:
        return (float(d.std(ddof=1)) / sqrt(images) if images > 1 else 0.0), float(max(images - 1, 1))
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


def t_quantile(level: float, df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + level) / 2))


def _p_value(mean: float, se: float, df: float) -> float:
    """Two-sided p of a t statistic; without spread, 0 for a difference and 1 for none."""
    from scipy.special import stdtr

    if se <= 1e-12:
        return 1.0 if abs(mean) <= 1e-12 else 0.0
    return float(2 * stdtr(df, -abs(mean) / se))
