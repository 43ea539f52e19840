"""Nearest neighbours: the k that was chosen, and many arms and draws in one report."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from studies import make_neighbours, make_target, part_of, study_of, told_in

from tlcli.report import drawing
from tlcli.report.document import Chart, Section, Table
from tlcli.report.report import compose
from tlcli.report.sections import neighbours
from tlcli.store.records import Results


def _blocks(part: Section) -> tuple[Chart, Table]:
    chart, table = part.blocks[:2]
    assert isinstance(chart, Chart)
    assert isinstance(table, Table)
    return chart, table


def test_the_chosen_k_is_the_recorded_one() -> None:
    target = make_target("t", 100, 500, ["a", "b"])
    found = make_neighbours(target, "euclidean", 2, [0.7, 0.8, 0.83, 0.8, 0.7])
    study = study_of([Results([], {"t": target}, neighbours=[found])])
    part = part_of(study, "neighbours")
    _, table = _blocks(part)
    (row,) = table.rows
    assert (row["k"], row["best_k"]) == (2, 3)
    assert row["best"] == pytest.approx(83)
    assert not next(c for c in table.columns if c.key == "dataset").shown
    found.k = 99
    assert study.entries[0].chosen_position == 1
    found.test_accuracies = found.test_accuracies[:2]
    assert not neighbours.is_whole(study.entries[0])  # a curve is cut short: there is nothing to show
    found.test_accuracies, found.cv_accuracies = np.linspace(0, 1, 5), found.cv_accuracies[:2]
    assert not neighbours.is_whole(study.entries[0])


def test_draws_share_a_panel_and_sizes_have_their_own_gain() -> None:
    """Five arms at three sizes with two draws each: 15 pairs of which 12 are drawn, and that is said."""
    found, targets = [], {}
    for size, gain in ((100, 0.05), (1000, 0.02), (10000, 0.01)):
        for draw in range(2):
            t = targets[f"n{size}-{draw}"] = make_target(f"n{size}-{draw}", size, 500, ["a", "b"])
            found += [make_neighbours(t, metric, 1 + draw, [0.7, 0.72, 0.72 + gain]) for metric in "abcde"]
    study = study_of([Results([], targets, neighbours=found)])
    part = part_of(study, "neighbours")
    chart, table = _blocks(part)
    assert " 12 of 15 " in chart.caption
    with drawing.drawing_style():
        panels = [ax for ax in chart.draw(2).axes if ax.get_visible()]
    assert len(panels) == 12
    assert len(panels[0].lines[0].get_xdata()) == 3
    assert next(c for c in table.columns if c.key == "dataset").shown
    assert len({tuple(table.cell(r, c) for c in table.visible) for r in table.rows}) == len(table.rows) == 30
    said = told_in(part)
    assert said.startswith("knn:metric=a reaches 70.0 % ")
    # The accuracy of a run is that of its predictions, 70 %; the best k of each sweep has 77, 74 and 73 %.
    assert re.findall(r"(\d\.\d) points at (\d[\d,]*\d)", said)[-3:] == [
        ("7.0", "100"),
        ("4.0", "1,000"),
        ("3.0", "10,000"),
    ]


def test_long_names_fit_into_their_panels() -> None:
    options = {"metric": "cosine", "weights": "distance", "power": 0.5, "layer": "all", "mirrored": True}
    targets = {f"t{i}": make_target(f"t{i}", 100 + i, 100, ["a", "b"]) for i in range(2)}
    made = (make_neighbours(t, "", 1, [0.5, 0.6]) for t in targets.values())
    found = [dataclasses.replace(one, **options) for one in made]
    study = study_of([Results([], targets, neighbours=found)])
    chart, _ = _blocks(part_of(study, "neighbours"))
    with drawing.drawing_style():
        figure = drawing.lay_out(chart.draw(2))
        first, second = (ax.title.get_window_extent() for ax in figure.axes)
    assert first.x1 < second.x0
    assert second.x1 <= figure.bbox.width


def test_each_target_task_has_its_own_neighbours() -> None:
    targets = {n: make_target(n, 100, 100, list(n), seed=i) for i, n in enumerate(("ab", "cd"))}
    found = [make_neighbours(t, "cosine", 1, [0.5, 0.6]) for t in targets.values()]
    study = study_of([Results([], targets, neighbours=found)])
    titles = [s.title for s in compose(study).sections if s.id.startswith("neighbours")]
    assert [t.partition(": ")[2] for t in titles] == ["mnist a and b", "mnist c and d"]
