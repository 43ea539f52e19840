"""Studies that are legal and seldom: unequal runs, hostile names, several references, reordered files."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from studies import (
    make_layer_study,
    make_run,
    make_target,
    part_of,
    provenance,
    study_of,
    table_of,
)

from tlcli.report.document import Chart, Table
from tlcli.report.report import build, compose
from tlcli.store.records import Results, Run, Target

NETWORK = {"architecture": "cnn", "base": "b.h5", "base_sha256": "ab" * 32}


def results(
    target: Target, accuracies: dict[str, list[float]], file: str = "r.h5", **more: object
) -> Results:
    """A run for each accuracy of an arm."""
    runs = [
        make_run(target, arm.split(":")[0], arm, r, accuracy, attributes=NETWORK | more)
        for arm, values in accuracies.items()
        for r, accuracy in enumerate(values)
    ]
    return Results(runs, {target.name: target}, {}, provenance(file, "tlcli transfer"))


@pytest.fixture
def target() -> Target:
    return make_target("t", 100, 1000, ["x", "y"])


def test_one_network_from_scratch_is_no_control(target: Target) -> None:
    study = study_of([results(target, {"scratch": [0.7], "finetune": [0.9] * 5})])
    (contrast,) = study.tasks[0].gains
    assert (contrast.comparison.runs, contrast.gain) == (1, False)
    assert compose(study).answer[0].startswith("With one run of each arm ")


def test_accuracies_of_classes_have_the_repetitions_of_the_arms() -> None:
    """Of three draws with several runs each, the draws."""
    study = study_of(
        [
            results(
                make_target(f"t{d}", 100, 1000, ["x", "y"]),
                {"scratch": [0.7 + d / 30] * 4, "freeze": [0.8] * 4},
            )
            for d in range(3)
        ]
    )
    (task,) = study.tasks
    (contrast,) = task.gains
    rows = table_of(part_of(study, "measures"), "class-differences").rows
    mean = np.average([r["class_difference"] for r in rows], weights=[r["images"] for r in rows])
    assert mean == pytest.approx(100 * contrast.difference)
    assert not contrast.shown
    assert all(low < 0 < high for low, high in (r["class_interval"] for r in rows))


def test_long_names_of_arms_stay_apart(target: Target) -> None:
    options = "freeze:" + ",".join(f"an_option_with_a_long_name_{i}=1" for i in range(2))
    arms = {"scratch": [0.7] * 3, f"{options}1": [0.8] * 3, f"{options}2": [0.9] * 3}
    study = study_of([results(target, arms, source_accuracy_before=0.8, source_accuracy_after=0.7)])
    (task,) = study.tasks
    assert not study.warnings
    assert len(task.arms) == 3
    assert len({len(c.runs) for c in task.cells}) == 1
    compose(study)
    asked = study_of([results(target, arms)], against=[f"{options}1"])
    assert asked.tasks[0].references[1] in asked.tasks[0].arms


def test_each_variant_of_a_layer_study_has_its_own_control() -> None:
    one = [r for r in make_layer_study(splits=3, layers=3, images=300) if isinstance(r, Results)]

    def widen(run: Run) -> Run:
        wide = dataclasses.replace(run, architecture_options={"filters": "16-32-64"})
        if run.method != "scratch":
            return wide
        worse = np.where(np.arange(300) < 100, -1, run.predictions)
        return dataclasses.replace(wide, predictions=worse)

    two = [
        dataclasses.replace(
            r, runs=[widen(run) for run in r.runs], provenance=provenance(f"wide{i}.h5", "tlcli transfer")
        )
        for i, r in enumerate(one)
    ]
    alone = [study_of(records).layer_studies[0].nothing for records in (one, two)]
    together = study_of([*one, *two])
    assert [s.nothing for s in together.layer_studies] == alone
    assert np.mean(list(alone[0].values())) - np.mean(list(alone[1].values())) > 0.1
    named = [line for line in compose(together).answer if line.startswith("filters=")]
    assert len({line.partition(":")[0] for line in named}) == 2


def test_a_size_study_beside_a_layer_study_keeps_its_scratch(target: Target) -> None:
    layers = [r for r in make_layer_study(splits=3, layers=3, images=300) if isinstance(r, Results)]
    study = study_of([results(target, {"scratch": [0.7] * 3, "finetune": [0.9] * 3}), *layers])
    (task,) = study.tasks
    assert [c.verdict for c in task.gains] == ["better"]


def test_further_references_of_several_tasks_have_ids_of_their_own() -> None:
    arms = {"scratch": [0.7] * 3, "freeze": [0.75] * 3, "finetune": [0.9] * 3}
    tasks = [results(make_target(n, 100, 300, [n, "y"]), arms) for n in ("t", "u")]
    document = compose(study_of(tasks, against=["freeze"]))
    for kind in (Table, Chart):
        ids = [b.id for s in document.sections for b in s.blocks if isinstance(b, kind)]
        assert len(ids) == len(set(ids))


def test_bases_are_known_by_their_digests(target: Target) -> None:
    """Two bases of one name are two variants, and one base under two names is one."""
    arms = {"scratch": [0.7] * 3, "finetune": [0.9] * 3}
    others = results(target, {"scratch": [0.6] * 3, "finetune": [0.8] * 3}, "s.h5", base_sha256="cd" * 32)
    (task,) = study_of([results(target, arms), others]).tasks
    assert task.variants == ["base b.h5 ababab", "base b.h5 cdcdcd"]
    renamed = study_of([results(target, arms), results(target, {"freeze": [0.8] * 3}, "s.h5", base="c.h5")])
    assert renamed.tasks[0].variants == [""]


def test_the_order_of_files_changes_no_verdict(target: Target) -> None:
    """A run in two files belongs to both."""
    one = results(target, {"scratch": [0.7, 0.71, 0.72], "freeze": [0.74, 0.7, 0.77]}, "one.h5")
    more = results(target, {"freeze": [0.74, 0.7, 0.77], "finetune": [0.75, 0.73, 0.8]}, "more.h5")
    found = [
        {c.first.arm: (c.interval, c.verdict) for c in study_of(files).tasks[0].gains}
        for files in ([one, more], [more, one])
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_tags_of_figures_are_made_by_the_report_alone(tmp_path: Path) -> None:
    """A name that looks like a tag, or like a colour, stays a name."""
    names = ['id="tag:{%22%3Cp%3E%3Cbase href=//e.co%3E%22:1}"', "#0072b2", 'id="tag:x"']
    target = make_target(names[0], 100, 300, names)
    arms = {"scratch": [0.7] * 3, names[2]: [0.8] * 3, names[1]: [0.9] * 3}
    build([results(target, arms)], tmp_path / "r")
    page = (tmp_path / "r" / "report.html").read_text()
    assert "<base" not in page
    assert "base-uri 'none'" in page
    assert page.count("#0072b2</text>") > 0


def test_equal_arms_are_told_so(target: Target) -> None:
    runs = results(target, {"freeze": [0.8], "finetune": [0.8]})
    same = runs.runs[0].predictions
    runs.runs = [dataclasses.replace(run, predictions=same) for run in runs.runs]
    assert re.search("as many as (freeze|finetune)", " ".join(compose(study_of([runs])).answer))


def test_tasks_of_one_run_each_have_no_bootstrap_interval() -> None:
    tasks = [
        results(make_target(f"t{i}", 100, 300, [f"x{i}", "y"]), {"scratch": [0.7], "freeze": [0.8]})
        for i in range(5)
    ]
    rows = table_of(part_of(study_of(tasks), "overview"), "over-tasks").rows
    assert {row.get("iqm_interval") for row in rows} == {None}


@pytest.mark.parametrize("more", ["; curl x | sh", " `curl x`", " $(curl x)", " > curl"])
def test_a_command_that_is_more_than_a_command_is_not_offered(target: Target, more: str) -> None:
    record = results(target, {"scratch": [0.7] * 3, "freeze": [0.8] * 3})
    record.provenance = provenance("r.h5", f"tlcli split -o r.h5{more}")
    text = json.dumps([vars(b) for b in part_of(study_of([record]), "made").blocks], default=str)
    assert "curl" not in text
    assert "Made otherwise" in text
