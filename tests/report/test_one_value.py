"""One quantity has one value on a page: in its tables, its sentences, its Markdown, CSV and JSON files."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from studies import (
    make_layer_study,
    make_neighbours,
    make_run,
    make_size_study,
    make_strategies,
    make_target,
    study_of,
)

from tlcli.report.document import Document, Section, Table, Text
from tlcli.report.machine import csv_files, csv_name, json_text
from tlcli.report.markdown import markdown
from tlcli.report.page import DrawnChart
from tlcli.report.page import html as page_of
from tlcli.report.report import compose
from tlcli.report.words import MINUS, escape_markdown
from tlcli.store.records import Record, Results

IDENTITY = ("task", "size", "arm", "variant", "against", "against_variant", "dataset", "series", "n")
IDENTITY += (
    "base",
    "relation",
    "copy",
    "effect",
    "contrast",
    "class",
    "true",
    "predicted",
    "run",
    "seed",
    "network",
    "seen",
)
NUMBERS = ("percent", "points", "number", "p", "interval")


def generated(seed: int) -> list[Record]:
    """A study with some of what studies have: tasks, sizes, draws, arms, runs, forgetting, gaps."""
    rng = np.random.default_rng(seed)
    methods = ["scratch", "freeze", "finetune", "lwf", "anchored"]
    arms = methods[int(rng.random() < 0.2) : int(rng.integers(2, 5))]
    runs_of_each, forgets = int(rng.choice([1, 2, 3, 3, 4])), rng.random() < 0.5
    made, neighbours, targets = [], [], {}
    for task in range(int(rng.choice([1, 1, 2, 5]))):
        classes = [f"{task}{c}" for c in "abcd"[: int(rng.integers(2, 5))]]
        for size in sorted(rng.choice([20, 100, 500, 2000], int(rng.integers(1, 3)), replace=False)):
            for draw in range(int(rng.choice([1, 1, 1, 3]))):
                name = f"t{task}-{size}-{draw}"
                t = targets[name] = make_target(name, int(size), 200 + 850 * (seed % 2), classes, seed=task)
                for arm in arms:
                    for r in range(runs_of_each):
                        attributes: dict[str, Any] = {"architecture": "cnn2", "base_sha256": "b" * 64}
                        if forgets:
                            attributes |= {"source_accuracy_before": 0.9}
                            attributes |= {"source_accuracy_after": float(rng.uniform(0.3, 0.95))}
                        accuracy = float(
                            np.clip(0.6 + 0.1 * rng.normal() + 0.05 * arms.index(arm), 0.3, 0.99)
                        )
                        made.append(make_run(t, arm, arm, r, accuracy, attributes=attributes, samples=6000))
                neighbours.append(make_neighbours(t, "cosine", 2, [0.6, 0.7, 0.72]))
    if rng.random() < 0.3:
        made.pop(int(rng.integers(len(made))))
    return [Results(made, targets, {"samples": 6000}, neighbours=neighbours)]


STUDIES = {f"generated-{seed}": generated(seed) for seed in range(12)}
STUDIES |= {
    "sizes and variants": make_size_study((100, 2300), 3, 1500),
    "layers": make_layer_study(3, 3, 400),
    "strategies": make_strategies(),
}


@pytest.fixture(scope="module", params=STUDIES)
def document(request: pytest.FixtureRequest) -> Document:
    return compose(study_of(STUDIES[request.param], margin=0.02))


def _rows(document: Document) -> Iterator[tuple[Table, dict[str, Any]]]:
    for table in document.tables():
        for row in table.rows:
            yield table, {"task": table.task} | row


def test_a_key_has_one_value_for_one_identity(document: Document) -> None:
    """Columns of one key hold one quantity: two tables that both have it for a row say the same."""
    found: dict[tuple[Any, ...], tuple[Any, str]] = {}
    for table, row in _rows(document):
        # Points of a map and measurements along a training have no names of their own.
        if csv_name(table) in ("map", "recipes", "files", "seeds"):
            continue
        identity = tuple((k, row[k]) for k in IDENTITY if row.get(k) not in (None, ""))
        for column in table.columns:
            if column.kind in NUMBERS and row.get(column.key) is not None:
                shown = table.cell(row, column)
                before = found.setdefault((column.key, column.label, identity), (shown, table.id))
                assert before[0] == shown, f"{column.key} of {identity}: {before} and {shown} in {table.id}"


def test_sentences_use_the_numbers_of_the_tables(document: Document) -> None:
    """Every percentage and every difference in points stands in a table of the page."""
    cells = " ".join(
        table.cell(row, c) for table in document.tables() for row in table.rows for c in table.columns
    )
    known = {n.lstrip("+" + MINUS) for n in re.findall(r"[+\u2212]?[\d,]+(?:\.\d+)?", cells)}
    known |= {"5", "95", "80", "100"} | {f"{i}" for i in range(101)}  # levels, and whole percents of shares
    texts = [*document.answer, *(b.text for b in document.blocks() if isinstance(b, Text))]
    for text in texts:
        if "margin" in text or "equivalent" in text:
            continue
        for number in re.findall(r"([\d,]+\.\d+)(?=\u00a0(?:%|points?))", text):
            assert number in known, f"{number} in {text!r}"


def test_all_files_say_the_same(document: Document) -> None:
    drawn = {c.id: DrawnChart("<svg></svg>") for c in document.charts()}
    page = html.unescape(re.sub(r"<[^>]+>", "\n", page_of(document, drawn).replace("<wbr>", "")))
    text, content, files = markdown(document), json.loads(json_text(document)), csv_files(document)
    blocks = [*content["opening"], *(b for s in content["sections"] for b in s["blocks"])]
    tables = {b["table"]: b for b in blocks if "table" in b}
    lines = set(page.split("\n"))
    marked = {
        cell for row in text.split("\n") for cell in row.removeprefix("| ").removesuffix(" |").split(" | ")
    }
    counted: dict[str, int] = {}
    for table in document.tables():
        rows = list(csv.reader(io.StringIO(files[csv_name(table)])))
        start = counted.get(csv_name(table), 1)
        counted[csv_name(table)] = start + len(table.rows)
        plain = {cell for line in rows[start : start + len(table.rows)] for cell in line}
        full = tables[table.id].get("rows")
        for i, row in enumerate(table.rows):
            for column in table.columns:
                shown = table.cell(row, column)
                if table.shown and column in table.visible:
                    assert shown in lines, shown
                    assert escape_markdown(shown) in marked
                    assert shown in tables[table.id]["shown"][i]
                if table.id in ("runs", "curves"):
                    continue
                value = row.get(column.key)
                if (
                    column.kind in ("percent", "points", "number")
                    and value is not None
                    and np.isfinite(value)
                ):
                    assert shown.lstrip("+").replace(MINUS, "-").replace(",", "") in plain
                    if full is not None:
                        assert full[i][column.key] == pytest.approx(value)
    for file, count in counted.items():
        assert len(list(csv.reader(io.StringIO(files[file])))) == count
    assert json_text(document).isascii()
    for sentence in document.answer:
        assert sentence in page
        assert escape_markdown(sentence) in text


def test_ids_are_unlike_one_another(document: Document) -> None:
    for kind in (document.charts(), document.tables()):
        ids = [b.id for b in kind]
        assert len(set(ids)) == len(ids)
    names = [s.id for s in document.sections if isinstance(s, Section)]
    assert len(set(names)) == len(names)
