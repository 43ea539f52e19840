"""What the page tells of the source task that was forgotten."""

from __future__ import annotations

import pytest
from studies import (
    make_run,
    make_target,
    part_of,
    study_of,
    table_of,
    told_in,
)

from tlcli.report.report import compose
from tlcli.store.records import Results, Run, Target


def _forgetful(target: Target, lost: dict[str, tuple[float, ...]]) -> list[Run]:
    """Runs that lose so much source accuracy, one per value."""
    return [
        make_run(
            target,
            method,
            method,
            r,
            0.8,
            samples=3000,
            attributes={
                "source_accuracy_before": 0.7,
                "source_accuracy_after": 0.7 - value,
                "source_refitted_before": 0.68,
                "source_refitted_after": 0.68 - value / 10,
            },
        )
        for method, values in lost.items()
        for r, value in enumerate(values)
    ]


def test_forgetting() -> None:
    target = make_target("t", 100, 500, ["a", "b"])
    lost = {"scratch": (0.69,) * 3, "freeze": (-0.002,) * 3, "finetune": (0.31, 0.3, 0.29)}
    part = part_of(study_of([Results(_forgetful(target, lost), {"t": target})]), "forgetting")
    rows = table_of(part, "forgetting").rows
    assert {r["arm"]: round(r["lost"]) for r in rows} == {"freeze": 0, "finetune": 30}
    assert [round(r["features"]) for r in rows] == [0, 3], "nine tenths are a head that does not fit"
    told = told_in(part)
    assert "finetune loses 30.0 points" in told
    assert "freeze gains 0.2 points" in told
    # A paired t test: 30.2 points, sd 1 over three runs, t(2) = 4.303.
    (row,) = table_of(part, "forgetting-compared").rows
    assert (row["arm"], row["against"], row["lost_verdict"]) == ("freeze", "finetune", "forgets less")
    assert row["lost_difference_interval"] == pytest.approx((-30.2 - 2.484, -30.2 + 2.484), abs=0.01)
    assert row["lost_difference"] == pytest.approx(-30.2)


def test_forgetting_is_told_task_by_task() -> None:
    """Two targets of one size are two questions; means and intervals are over the draws of each."""
    other = make_target("other", 100, 300, ["c", "d"], seed=1)
    draws = [make_target(f"t{i}", 100, 500, ["a", "b"]) for i in range(3)]
    runs = _forgetful(other, {"finetune": (0.1, 0.1)})
    for i, target in enumerate(draws):
        runs += _forgetful(target, {"finetune": (0.1 * i, 0.1 * i + 0.1)})
    document = compose(study_of([Results(runs, {t.name: t for t in (other, *draws)})]))
    parts = [s for s in document.sections if s.id.startswith("forgetting")]
    assert [p.title for p in parts] == [
        f"Forgetting of the source task: mnist {n}" for n in ("c and d", "a and b")
    ]
    (row,) = table_of(parts[1], "forgetting-2").rows
    assert row["lost"] == pytest.approx(15)
    # t(2) = 4.303, sd 10, n = 3
    assert row["lost_interval"] == pytest.approx((15 - 24.84, 15 + 24.84), abs=0.01)
