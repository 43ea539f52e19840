"""What an interval is of, and what the page says that it leaves out."""

from __future__ import annotations

import pytest
from conftest import make_run, make_target

from tlcli.report import size_words, sizes
from tlcli.report.gather import gather
from tlcli.store.records import Results, Target


def _target(name: str) -> Target:
    return make_target(name, 100, 1000, ["a", "b"])


def test_half_of_an_interval_is_not_cut() -> None:
    """Two runs, 60 and 70 %: Student's t with one degree of freedom is 12.706, so 65 ± 63.5."""
    t = _target("t")
    study = gather([Results([make_run(t, "lwf", "lwf", r, 0.6 + 0.1 * r) for r in (0, 1)], {"t": t})])
    (row,) = sizes.glance(study.entries, 1, "").rows
    assert row["100"] == "65.0 ± 63.5"
    (row,) = sizes.full_table(study.entries, 1, "").rows
    assert row["interval"] == (pytest.approx(1.5, abs=0.05), 100)


@pytest.mark.parametrize(
    ("draws", "runs", "said"),
    [
        (1, 3, "share one training subset"),
        (2, 3, "share two training subsets and count as independent"),
        (3, 2, "are drawn from the same published images"),
        (1, 1, "one number is no result"),
    ],
)
def test_what_the_spread_is_of(draws: int, runs: int, said: str) -> None:
    targets = [_target(f"d{i}") for i in range(draws)]
    made = [make_run(t, "knn", "knn(x)", r, 0.6) for t in targets for r in range(runs)]
    study = gather([Results(made, {t.name: t for t in targets})])
    limits = " ".join(size_words.limits(study.entries))
    assert said in limits
    others = ("share one", "share two", "are drawn from the same", "one number is no")
    assert sum(other in limits for other in others) == 1
