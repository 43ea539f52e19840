"""The section "How it was made": recipes and seeds."""

from __future__ import annotations

from studies import make_checkpoint, make_run, make_target, part_of, provenance, study_of, told_in

from tlcli.report.document import Table
from tlcli.store.records import Record, Results


def _tables(records: list[Record]) -> dict[str, Table]:
    return {b.id: b for b in part_of(study_of(records), "made").blocks if isinstance(b, Table)}


def test_recipes_that_differ_in_the_seed_share_a_column_and_what_is_alike_a_sentence() -> None:
    target = make_target("t", 100, 200, ["a", "b"])
    records: list[Record] = [
        Results(
            [make_run(target, "lwf", "lwf", seed, 0.8)],
            {"t": target},
            {"batch_size": 50, "learning_rate": rate, "seed": seed},
            provenance(f"r{seed}-{rate}.h5", ""),
        )
        for rate in (0.1, 0.2)
        for seed in (42, 43, 44)
    ]
    records.append(make_checkpoint("base.h5", ["a"], 0.9, provenance("base.h5", "")))
    table = _tables(records)["recipes"]
    assert [c.label for c in table.columns] == [
        "value",
        "r42-0.1.h5 and 2 more",
        "r42-0.2.h5 and 2 more",
        "base.h5",
    ]
    shown = {row["value"]: [table.cell(row, c) for c in table.columns[1:]] for row in table.rows}
    assert shown["learning_rate"] == ["0.1", "0.2", "\u2013"]
    assert shown["seed"] == ["42, 43 and 44", "42, 43 and 44", "0"]
    assert "recipes" not in _tables(records[:3])
    told = told_in(part_of(study_of(records[:3]), "made"))
    assert "The recipe: batch_size 50, learning_rate 0.1, seed 42, 43 and 44." in told


def test_one_run_is_no_plural() -> None:
    target = make_target("t", 100, 200, ["a", "b"])
    tables = _tables([Results([make_run(target, "lwf", "lwf", 0, 0.8)], {"t": target})])
    assert tables["seeds"].caption.endswith(": 1 run in all.")
