"""The section of the layer study: what it finds, and what it concludes nothing from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from studies import (
    make_layer_study,
    part_of,
    study_of,
    table_of,
    told_in,
)

from tlcli.report.report import compose
from tlcli.report.sections.layers import evidence
from tlcli.store.records import Results, Run


@pytest.mark.parametrize("recorded", [True, False])
def test_layer_study_recovers_what_was_put_in(recorded: bool) -> None:
    (found,) = study_of(make_layer_study(recorded=recorded)).layer_studies
    assert (found.unit, len(found.base), found.targets, found.runs) == ("split", 5, 10, 240)
    effects = {(e.name, e.n): e for e in found.effects}
    assert effects["co-adaptation", 3].difference == pytest.approx(-0.03, abs=0.012)
    assert effects["co-adaptation", 3].shown
    assert not effects["co-adaptation", 1].shown
    assert effects["specificity", 6].difference == pytest.approx(-0.126, abs=0.02)
    tuned = effects["tuned transfer against tuned selffer", 0]
    assert tuned.difference == pytest.approx(0.012, abs=0.006)
    quantiles = 2.7764 + 0.9410  # Student's t with four degrees of freedom at 0.975 and 0.8
    assert tuned.detectable == pytest.approx(quantiles * tuned.comparison.error, rel=1e-4)
    assert found.slopes["AnB"].difference == pytest.approx(-0.022, abs=0.004)
    assert (found.base_samples, found.samples) == (100_000, 75_000)


def test_layer_study_on_the_page(layer_study: list) -> None:
    study = study_of(layer_study)
    document = compose(study)
    rows = {(row["effect"], row["n"]): row for row in table_of(document, "layer-effects").rows}
    assert [rows[at]["effect_verdict"] for at in (("co-adaptation", "3"), ("specificity", "6"))] == [
        "shown"
    ] * 2
    unclear = next(e for e in study.layer_studies[0].effects if e.n and not e.shown)
    least = rows[unclear.name, str(unclear.n)]["effect_detectable"]
    assert f"a true difference of {least:.{study.layer_studies[0].digits}f}" in evidence(
        unclear, study.layer_studies[0].digits
    )
    text = told_in(part_of(study, "layers"))
    assert "100,000" in text  # images that a base has seen, and a network after copying
    assert "75,000" in text
    assert next(b.id for b in document.charts()) == "layers"
    assert document.answer[0].startswith("Specificity is shown")
    # The whole study is told by one section, not once more as a size study.
    assert [s.id for s in document.sections] == ["layers", "limits", "networks", "made", "data"]


def test_a_layer_study_concludes_nothing_without_its_controls(layer_study: list) -> None:
    """Without n = 0 nothing on co-adaptation, without BnB+ nothing on tuned transfer."""

    def effects_without(gone: Callable[[Run], bool]) -> set[str]:
        kept = [
            dataclasses.replace(r, runs=[run for run in r.runs if not gone(run)])
            if isinstance(r, Results)
            else r
            for r in layer_study
        ]
        (found,) = (study := study_of(kept)).layer_studies
        told = told_in(part_of(study, "layers"))
        assert "is not shown: this needs" in told
        return {effect.name for effect in found.effects}

    tuned = "tuned transfer against tuned selffer"
    assert effects_without(lambda r: r.method == "scratch") & {"co-adaptation", tuned} == {tuned}
    own = effects_without(lambda r: r.method == "finetune" and r.relation == "own")
    assert own & {"co-adaptation", tuned} == {"co-adaptation"}


def test_the_base_of_a_layer_study_is_one_network_for_its_runs() -> None:
    """Two runs on one target have one base: it has no spread, and the difference from it no interval."""
    records = list(make_layer_study(1, 3, 200))
    for r in records:
        if isinstance(r, Results):
            again = [dataclasses.replace(run, run=1, seed=9) for run in r.runs]
            r.runs += again
    study = study_of(records)
    (found,) = study.layer_studies
    assert found.unit == "run"
    assert len(found.base) == 2  # a base for each of the two halves
    table = table_of(part_of(study, "layers"), "layers")
    base = next(r for r in table.rows if r["series"] == "base")
    assert (base["sd"], base["layer_interval"]) == (None, None)
    assert all(r.get("drop_interval") is None for r in table.rows)


def test_few_splits_fall_back_to_targets_and_runs() -> None:
    (found,) = study_of(make_layer_study(2, 3, 100)).layer_studies
    assert found.unit == "target"
    (found,) = study_of(make_layer_study(1, 3, 100)).layer_studies
    assert found.unit == "run"


def test_another_head_is_another_layer_study() -> None:
    records = make_layer_study(3, 3, 100)
    results = next(r for r in records if isinstance(r, Results))
    twins = [dataclasses.replace(run, arm=f"{run.arm}, all", all_layers=1) for run in results.runs]
    found = study_of([*records, dataclasses.replace(results, runs=twins)]).layer_studies
    assert [(one.variant, one.runs) for one in found] == [("", 72), ("head on all layers", 12)]
