"""Intervals and tests against scipy, hand computations and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tlcli.analysis.measures import (
    bias_variance,
    by_class,
    calibration_error,
    counting_bound,
    likelihood,
)
from tlcli.analysis.statistics import (
    compare,
    compare_means,
    exact_interval,
    interquartile_mean,
    mcnemar,
    new_images,
    probability_of_improvement,
    stratified_bootstrap,
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
    assert c.p() == mcnemar(first[0], second[0]).p
    assert c.difference == pytest.approx(first.mean() - second.mean())
    low, high = c.interval()  # type: ignore[misc]
    assert low < c.difference < high
    same = compare(first, first)
    assert (same.p(), same.interval()) == (1.0, pytest.approx((-0.00735, 0.00735), abs=1e-4))


@pytest.mark.parametrize("runs", [1, 2, 3, 8])
def test_interval_and_p_value_agree_for_every_family(runs: int) -> None:
    """Zero is outside of the simultaneous interval exactly where the adjusted p value is below 0.05."""
    rng = np.random.default_rng(runs)
    verdicts = set()
    for trial in range(150):
        gap = rng.normal(0, 0.03)
        first = rng.random((runs, 120)) < 0.7 + gap
        second = rng.random((runs, 120)) < 0.7 - gap
        c = compare(first, second)
        family = 1 + trial % 7
        low, high = c.interval(family)  # type: ignore[misc]
        assert (low > 0 or high < 0) == (c.p(family) < 0.05)  # type: ignore[operator]
        verdicts.add(low > 0 or high < 0)
    assert verdicts == {True, False}


def test_families_hold_together() -> None:
    """With four comparisons without a difference, at most 5 % of the studies have an interval without
    zero."""
    rng = np.random.default_rng(9)
    missed = 0
    for _ in range(400):
        reference = rng.normal(0, 1, 4)
        found = [compare_means(rng.normal(0, 1, 4), reference).interval(4) for _ in range(4)]
        missed += any(low > 0 or high < 0 for low, high in found)  # type: ignore[misc]
    assert missed / 400 < 0.075


def test_what_would_have_shown_shows_with_the_power_that_is_said() -> None:
    rng = np.random.default_rng(4)
    d = [compare_means(rng.normal(0, 1, 12), np.zeros(12)).detectable() for _ in range(200)]
    shown = [
        compare_means(rng.normal(np.mean(d), 1, 12), np.zeros(12)).p() < 0.05  # type: ignore[operator]
        for _ in range(400)
    ]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.06)


def test_crossed_error_by_hand() -> None:
    # d = [[1, 0], [0, 0], [1, 1]]: MS_runs 1/2, MS_images 1/6, MS_rest 1/6, so the variance of the mean is
    # (1/2 + 1/6 - 1/6) / 6 and Satterthwaite's degrees of freedom 0.25 / (0.125 + 1/36 + 1/72) = 1.5.
    first = np.array([[1, 0], [0, 0], [1, 1]], bool)
    c = compare(first, np.zeros_like(first))
    half = stats.t.ppf(0.75, 1.5) * np.sqrt(0.5 / 6)
    assert c.interval(level=0.5) == pytest.approx((0.5 - half, 0.5 + half))
    assert c.interval() == (-1, 1)  # the possible differences of shares
    assert c.p() == pytest.approx(2 * stats.t.sf(0.5 / np.sqrt(0.5 / 6), 1.5))


def test_without_chance_of_runs_only_images_count() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(400) < 0.9, rng.random(400) < 0.85
    c = compare(np.stack([first] * 5), np.stack([second] * 5))
    d = first.astype(float) - second
    low, high = c.interval()  # type: ignore[misc]
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 399) * d.std(ddof=1) / 20, rel=0.01)


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

        low, high = compare(arm(), arm()).interval()  # type: ignore[misc]
        missed += not low <= 0 <= high
    assert missed / 300 < 0.1


def test_without_spread_the_number_of_images_bounds_what_is_known() -> None:
    """Runs that agree on every image say of other images what one run says."""
    same = np.ones((3, 10), bool)
    for other in (same, ~same):
        several, single = compare(same, other), compare(same[:1], other[:1])
        assert compare(same.astype(float), other.astype(float)) == several
        assert (several.runs, several.single, single.single) == (3, False, True)
        assert (several.p(), several.interval()) == (single.p(), single.interval())
    assert compare(same, ~same).p() == pytest.approx(2 * 0.5**10)
    assert compare(same[:, :1], ~same[:, :1]).p() == 1
    assert new_images(same) == pytest.approx(exact_interval(10, 10))
    assert new_images(~same) == pytest.approx(exact_interval(0, 10))
    constant = compare_means([0.5, 0.6, 0.7], [0.4, 0.5, 0.6])
    assert (constant.p(), constant.interval()) == (None, None)
    with pytest.raises(TlcliError, match="one shape"):
        compare(same, np.ones((2, 10), bool))


def test_compare_means_is_the_paired_t_test() -> None:
    first, second = [0.7, 0.72, 0.69, 0.75], [0.68, 0.7, 0.7, 0.71]
    expected = stats.ttest_rel(first, second)
    c = compare_means(first, second)
    assert c.p() == pytest.approx(expected.pvalue)
    assert c.p(3) == pytest.approx(min(1, 3 * expected.pvalue))
    assert c.interval() == pytest.approx(tuple(expected.confidence_interval()))
    assert compare_means([0.5], [0.4]).p() is None


def test_accuracy_on_new_images_contains_the_mean_and_covers() -> None:
    """Eight runs of an accuracy of 0.7 on images of their own: the truth is missed about one time in 20."""
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(300):
        correct = rng.normal(0, 1.5, 200) + rng.normal(0, 1, (8, 200)) < stats.norm.ppf(0.7) * np.sqrt(3.25)
        low, high = new_images(correct)
        assert low <= correct.mean() <= high
        missed += not low <= 0.7 <= high
    assert missed / 300 < 0.09
    assert new_images(correct[:1]) == exact_interval(int(correct[0].sum()), 200)


def test_measures_over_tasks() -> None:
    """The measures equal `scipy.stats.trim_mean` and the Mann-Whitney statistic, as in rliable."""
    values = np.arange(12.0) ** 2
    assert interquartile_mean(values) == stats.trim_mean(values, 0.25)
    a, b = [np.array([1.0, 2, 3]), np.array([5.0, 6])], [np.array([2.0, 2, 0]), np.array([9.0, 8])]
    u = stats.mannwhitneyu(a[0], b[0]).statistic / 9
    assert probability_of_improvement(a, b) == pytest.approx(u / 2)
    low, high = stratified_bootstrap([a, b], probability_of_improvement, draws=500)
    assert 0 <= low <= u / 2 <= high <= 0.5  # the second task is lost in every draw


def test_measures_of_classes_and_logits_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(6)
    logits = rng.normal(0, 2, (500, 4))
    labels = np.where(rng.random(500) < 0.6, logits.argmax(axis=1), rng.integers(0, 4, 500))
    given = logits.argmax(axis=1)
    found = by_class(given, labels, 4)
    assert found.balanced == pytest.approx(metrics.balanced_accuracy_score(labels, given))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, given, average="macro"))
    assert found.recall == pytest.approx(metrics.recall_score(labels, given, average=None))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert likelihood(logits, labels) == pytest.approx(metrics.log_loss(labels, shares))
    # Sure of everything and right half of the time: off by one half. A class without images has no recall.
    sure = np.array([[50.0, 0, 0], [50.0, 0, 0]])
    assert calibration_error(sure, np.array([0, 1])) == pytest.approx(0.5)
    assert np.isnan(by_class(np.array([0, 0]), np.array([0, 1]), 3).recall[2])


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
