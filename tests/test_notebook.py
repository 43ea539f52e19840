"""The notebook of `examples/practical2`, run from its first cell to its last, on fewer images."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tlcli import store

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "practical2" / "practical2.ipynb"
QUICK = {"DATASET": "images.npz", "EPOCHS": 3, "SEARCH_EPOCHS": 1, "BATCH_SIZE": 20}


def made_up(path: Path) -> None:
    """Ten classes of noise, each with a hue of its own."""
    rng = np.random.default_rng(0)
    hues = rng.integers(40, 216, (10, 3))
    parts: dict[str, np.ndarray] = {}
    for name, count in (("train", 20), ("test", 10)):
        labels = np.repeat(np.arange(10), count)
        noise = rng.normal(0, 25, (len(labels), 32, 32, 3))
        parts[f"x_{name}"] = np.clip(hues[labels, None, None] + noise, 0, 255).astype(np.uint8)
        parts[f"y_{name}"] = labels
    np.savez(path, **parts)


def run(parameters: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Every code cell in order; returns what they define, and what each shows as its last value."""
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for number, cell in enumerate(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]), f"cell {number}")
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"cell {number}", "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names))
        if "parameters" in cell["metadata"].get("tags", []):
            assert parameters.keys() <= names.keys()
            names.update(parameters)
    return names, [value for value in shown if value is not None]


@pytest.fixture
def figures():
    import matplotlib.pyplot as plt

    kept = dict(plt.rcParams)
    plt.close("all")
    yield lambda: [plt.figure(number) for number in plt.get_fignums()]
    plt.close("all")
    plt.rcParams.update(kept)


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys, figures):
    made_up(tmp_path / "images.npz")
    monkeypatch.chdir(tmp_path)
    names, tables = run({**QUICK, "RUNS": 3, "SEARCH_IMAGES": 120})
    told = capsys.readouterr().out

    assert list(names["part_b"].class_original) == [4, 9]
    assert sorted([*names["part_a"].class_original, *names["part_b"].class_original]) == list(range(10))
    arms = {run.arm: run for run in names["results"].runs}
    assert {arm: run.trainable_parameters for arm, run in arms.items()} == {
        "scratch": arms["scratch"].parameters,
        "freeze": 256 * 2 + 2,
        "freeze:freeze=4": 256 * 2 + 2 + 8 * 8 * 64 * 256 + 256,
    }
    _check_plots(figures(), [names["network_a"].history, *map(names["histories"], names["STRATEGIES"])])

    accuracy = {arm: names["correct"][arm].mean() for arm in arms}
    best = max(accuracy, key=lambda arm: accuracy[arm])
    assert f"Highest test accuracy: {names['STRATEGIES'][best]}, {100 * accuracy[best]:.2f} %." in told
    assert [len(table.rows) for table in tables] == [2, 2, 4, 3, 3, 4]
    assert all(table._repr_html_().count("<tr>") == len(table.rows) + 1 for table in tables)
    assert accuracy[best] > 0.9


def test_the_outputs_are_those_of_a_whole_run():
    """In order, without errors, and with the accuracies of the results beside the notebook."""
    cells = [c for c in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data", "execute_result"}
    shown = "".join(
        "".join(output.get("data", {}).get("text/plain", output.get("text", ""))) for output in outputs
    )
    runs = store.read(NOTEBOOK.parent / "results" / "classes-49.h5", store.Results).runs
    for arm in ("scratch", "freeze", "freeze:freeze=4"):
        assert f"  {100 * np.mean([run.test_accuracy for run in runs if run.arm == arm]):.2f} %" in shown


def _check_plots(figures, histories):
    """A plot for each network, with the losses and the accuracies that were measured."""
    plots = [f for f in figures if f.axes[0].get_title().startswith("Network")]
    assert [plot.axes[0].get_title()[:9] for plot in plots] == [f"Network {n}" for n in (1, 2, 3, 4)]
    for plot, history in zip(plots, histories, strict=True):
        drawn = {line.get_label(): line.get_ydata() for axis in plot.axes for line in axis.get_lines()}
        for part in ("train", "test"):
            long = {"train": "training", "test": "test"}[part]
            loss, accuracy = (
                np.atleast_2d(history[f"{part}_{what}"]).mean(axis=0) for what in ("loss", "accuracy")
            )
            np.testing.assert_allclose(drawn[f"{long} loss"], loss)
            np.testing.assert_allclose(drawn[f"{long} accuracy"], 100 * accuracy)
