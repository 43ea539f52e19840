"""Which runs are held against which: arms that do not have the same training sets."""

from __future__ import annotations

import pytest
from conftest import make_run, make_target

from tlcli.analysis.statistics import Comparison
from tlcli.report import sizes
from tlcli.report.document import Table
from tlcli.report.gather import Study, gather
from tlcli.report.pairs import Contrast, best_against_second
from tlcli.report.size_words import answer
from tlcli.store.records import Results


def _study(accuracies: dict[str, dict[str, float]]) -> Study:
    """One run per arm and training set."""
    targets = {name: make_target(name, 100, 2000, ["a", "b"]) for arm in accuracies.values() for name in arm}
    runs = [
        make_run(targets[name], arm.split("(")[0], arm, 0, accuracy)
        for arm, sets in accuracies.items()
        for name, accuracy in sets.items()
    ]
    return gather([Results(runs, targets)])


def test_arms_are_ranked_on_the_training_sets_that_all_have() -> None:
    """Over its three easier draws the one looks better; on the common draw the other is."""
    study = _study({"knn(a)": {"d0": 0.6, "d1": 0.8, "d2": 0.8}, "knn(b)": {"d0": 0.7}})
    (best,) = best_against_second(study.entries)
    assert (best.first, best.second) == ("knn(b)", "knn(a)")
    assert best.first_mean - best.second_mean == pytest.approx(best.comparison.difference)
    part = sizes.section(study, study.entries)
    assert part.answer is not None
    assert part.answer.text.startswith(
        "The best arm at 100 training images is knn(b) with 70.00\u00a0% (+10.00"
    )
    assert "bears the lead out at 100 over knn(a) (+10.00" in part.discussion[0]
    assert study.warnings == [
        "2 runs are missing from the grid: knn(b) on d1, run 0 and knn(b) on d2, run 0."
    ]


def test_means_of_a_comparison_are_those_of_its_runs() -> None:
    study = _study(
        {"scratch": {"d0": 0.3, "d1": 0.4}, "anchored": {"d0": 0.6, "d1": 0.7, "d2": 0.5, "d3": 0.5}}
    )
    part = sizes.section(study, study.entries)
    table = next(b for b in part.blocks if isinstance(b, Table) and b.id == "against-scratch")
    (row,) = table.rows
    assert (row["first_mean"], row["second_mean"]) == (pytest.approx(65), pytest.approx(35))
    assert row["difference"] == pytest.approx(30)


def test_arms_without_a_common_training_set_are_ranked_with_a_warning() -> None:
    study = _study({"scratch": {"d0": 0.7, "d1": 0.8}, "finetune": {"d2": 0.9, "d3": 0.8}})
    assert "At 100 training images no training set is common to all arms" in study.warnings[1]
    assert best_against_second(study.entries) == []


def test_equal_means_are_a_tie() -> None:
    study = _study({"lwf": {"d0": 0.9}, "finetune": {"d0": 0.9}})
    part = sizes.section(study, study.entries)
    assert part.answer is not None
    assert part.answer.text.startswith(
        "At 100 training images no arm is ahead: finetune and lwf both reach 90.00"
    )
    assert part.discussion[0].startswith("finetune and lwf are level at 100 (90.00")


def test_the_arm_that_is_named_is_borne_out() -> None:
    """The best mean of an arm that varies widely is no example of a gain that was shown."""

    def against_scratch(arm: str, mean: float, p: float) -> Contrast:
        difference = Comparison(mean - 0.3, mean - 0.35, mean - 0.25, p, 2, 1000, "")
        return Contrast(100, "", arm, "scratch", mean, 0.3, difference, p)

    control = [against_scratch("lp-ft", 0.63, 0.052), against_scratch("lwf", 0.61, 0.008)]
    assert answer([], control, [], 0).startswith(
        "Transfer helped at 100 training images. At 100, lwf reaches"
    )
    assert "lp-ft reaches" in answer([], control[:1], [], 0)
