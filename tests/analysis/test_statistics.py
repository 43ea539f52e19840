"""Intervals and tests against scipy, hand computations and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tlcli.analysis.statistics import (
    bias_variance,
    compare,
    compare_means,
    counting_bound,
    exact_interval,
    holm,
    mcnemar,
    summary,
)
from tlcli.errors import TlcliError


def test_summary_is_students_interval() -> None:
    values = [0.91, 0.93, 0.96, 0.92]
    s = summary(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert s.mean == pytest.approx(0.93)
    assert s.sd == pytest.approx(np.std(values, ddof=1))
    assert (s.low, s.high) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_bounds_cut_it() -> None:
    one = summary([0.5])
    assert (one.n, one.mean, one.sd, one.low, one.high) == (1, 0.5, None, None, None)
    assert summary([0.99, 1.0, 0.97], bounds=(0, 1)).high == 1.0
    with pytest.raises(TlcliError, match="finite"):
        summary([0.5, float("nan")])
    with pytest.raises(TlcliError):
        summary([])


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (7, 10), (3950, 3969), (1, 1)])
def test_exact_interval_is_scipys(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert exact_interval(successes, trials) == pytest.approx((expected.low, expected.high))


def test_exact_interval_refuses_nonsense() -> None:
    with pytest.raises(TlcliError):
        exact_interval(5, 4)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (1, 9), (5, 5), (20, 8)])
def test_mcnemar_is_the_exact_binomial_test(only_first: int, only_second: int) -> None:
    first = np.array([True] * only_first + [False] * only_second + [True] * 30)
    second = np.array([False] * only_first + [True] * only_second + [True] * 30)
    m = mcnemar(first, second)
    n = only_first + only_second
    assert (m.only_first, m.only_second) == (only_first, only_second)
    assert m.p == pytest.approx(stats.binomtest(only_first, n).pvalue if n else 1.0)


def test_one_run_is_mcnemar() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((1, 500)) < 0.9, rng.random((1, 500)) < 0.8
    c = compare(first, second)
    assert c.p == mcnemar(first[0], second[0]).p
    assert c.difference == pytest.approx(first.mean() - second.mean())
    assert c.low is not None
    assert c.low < c.difference < c.high


def test_crossed_error_by_hand() -> None:
    # d = [[1, 0], [0, 0], [1, 1]]: MS_runs 1/2, MS_images 1/6, MS_rest 1/6, so the variance of the mean is
    # (1/2 + 1/6 - 1/6) / 6 and Satterthwaite's degrees of freedom 0.25 / (0.125 + 1/36 + 1/72) = 1.5.
    first = np.array([[1, 0], [0, 0], [1, 1]], bool)
    c = compare(first, np.zeros_like(first))
    half = stats.t.ppf(0.975, 1.5) * np.sqrt(0.5 / 6)
    assert (c.low, c.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert c.p == pytest.approx(2 * stats.t.sf(0.5 / np.sqrt(0.5 / 6), 1.5))


def test_without_chance_of_runs_only_images_count() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(400) < 0.9, rng.random(400) < 0.85
    c = compare(np.stack([first] * 5), np.stack([second] * 5))
    d = first.astype(float) - second
    assert (c.high - c.low) / 2 == pytest.approx(stats.t.ppf(0.975, 399) * d.std(ddof=1) / 20, rel=0.01)


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_crossed_interval_covers(spread: float) -> None:
    """No true difference: 95 % intervals miss it about 5 % of the time, with and without chance of runs."""
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(300):
        hardness = rng.normal(0, 1.5, 300)

        def arm(hardness: np.ndarray = hardness) -> np.ndarray:
            run = rng.normal(0, spread, (5, 1))
            return hardness + rng.normal(0, 0.7, 300) + run + rng.normal(0, 0.7, (5, 300)) < 2

        c = compare(arm(), arm())
        missed += not c.low <= 0 <= c.high
    assert missed / 300 < 0.1


def test_identical_and_constant_differences() -> None:
    same = np.ones((3, 10), bool)
    none = compare(same, same)
    assert (none.difference, none.low, none.high, none.p) == (0, 0, 0, 1)
    assert compare(same, ~same).p == 0
    with pytest.raises(TlcliError, match="one shape"):
        compare(same, np.ones((2, 10), bool))


def test_compare_means_is_the_paired_t_test() -> None:
    first, second = [0.7, 0.72, 0.69, 0.75], [0.68, 0.7, 0.7, 0.71]
    expected = stats.ttest_rel(first, second)
    c = compare_means(first, second)
    assert c.p == pytest.approx(expected.pvalue)
    assert (c.low, c.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert compare_means([0.5], [0.4]).p is None


def test_holm() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [
        pytest.approx(0.03),
        None,
        pytest.approx(0.06),
        pytest.approx(0.06),
    ]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_bias_and_variance_add_up_to_the_error() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 200)
    predictions = np.where(rng.random((6, 200)) < 0.7, labels, rng.integers(0, 4, (6, 200)))
    b = bias_variance(predictions, labels)
    assert b.error == pytest.approx((predictions != labels).mean())
    assert b.bias + b.variance == pytest.approx(b.error)
    assert b.main_error + b.unbiased_variance - b.biased_variance == pytest.approx(b.error)


def test_bias_and_variance_at_the_ends() -> None:
    labels = np.array([0, 1, 1, 0])
    always = bias_variance(np.array([[0, 0, 0, 0]] * 3), labels)
    assert (always.error, always.bias, always.variance, always.main_error) == (0.5, 0.5, 0, 0.5)
    # Two runs that disagree everywhere: all of the error is variance.
    split = bias_variance(np.array([[0, 1], [1, 0]]), np.array([0, 0]))
    assert (split.error, split.bias, split.variance) == (0.5, 0, 0.5)
    with pytest.raises(TlcliError, match="two or more runs"):
        bias_variance(labels[None], labels)


def test_corrected_variance_does_not_depend_on_the_number_of_runs() -> None:
    rng = np.random.default_rng(4)
    labels = np.zeros(4000, int)
    few = bias_variance((rng.random((2, 4000)) < 0.3).astype(int), labels)
    many = bias_variance((rng.random((40, 4000)) < 0.3).astype(int), labels)
    assert few.variance == pytest.approx(0.21, abs=0.02)
    assert many.variance == pytest.approx(0.21, abs=0.01)


def test_counting_bound_by_hand() -> None:
    assert counting_bound(10, 1000) == pytest.approx(np.sqrt((320 * np.log(2) + np.log(40)) / 2000))
    assert counting_bound(5130, 10_000) > 1
