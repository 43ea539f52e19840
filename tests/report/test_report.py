"""The whole report: its files, its numbers, what it says, and that nothing in a file can do harm in it."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from studies import (
    make_checkpoint,
    make_run,
    make_size_study,
    make_target,
    provenance,
    study_of,
    table_of,
)

from tlcli.errors import TlcliError, UsageError
from tlcli.report import build
from tlcli.report.report import compose
from tlcli.store.records import Dataset, EmbeddingPart, Embeddings, Part, Results

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://evil")',
    "a|b`c`*d*[e](http://x)",
    "$\\frac{1}{",
    "../../etc/passwd",
    "ok\u202etxt\x00\x1b[31m\nnew",
    "猫",
    "x" * 300,
]

TEX_COMMANDS = {f"\\{c}" for c in ("begin", "end", "toprule", "midrule", "bottomrule", "addlinespace")}
TEX_COMMANDS |= {f"\\{c}" for c in ("pm", "rightarrow", "times", "textbackslash", "textasciitilde")}

LIGHT = [make_checkpoint("base.h5", ["a", "b"], 0.9, provenance("base.h5", "tlcli train-base"))]


@pytest.fixture(scope="module")
def made(size_study: list, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, float]:
    folder = tmp_path_factory.mktemp("size") / "report"
    start = time.perf_counter()
    summary = build(size_study, folder, title="MNIST", command="tlcli report grid.h5")
    return folder, summary.headline, time.perf_counter() - start


def test_files_and_size(made: tuple[Path, str, float]) -> None:
    folder, _, _ = made
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {
        "report.html",
        "report.md",
        "report.json",
        "figures/accuracy.svg",
        "figures/accuracy.png",
        "tables/accuracy.csv",
        "tables/accuracy.tex",
        "tables/against.csv",
        "tables/runs.csv",
        "tables/curves.csv",
        "tables/variants.csv",
    } <= names
    assert (folder / "report.html").stat().st_size < 3e6
    assert not list(folder.parent.glob(".*tlcli-tmp"))


def test_the_page_asks_nothing_of_the_network(made: tuple[Path, str, float]) -> None:
    page = (made[0] / "report.html").read_text()
    found = re.findall(r'(?:src|href|action|url)\s*[=(]\s*["\']?([^"\')\s>]+)', page)
    beside = {link for link in found if not link.startswith(("#", "data:"))}
    assert beside == {link for link in beside if (made[0] / link).is_file()}
    assert page.count("<svg ") == page.count('role="img" aria-label="')


def test_the_policy_lets_the_one_script_run_and_no_other(made: tuple[Path, str, float]) -> None:
    page = (made[0] / "report.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert page.count("<script") == 1
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    directives = dict(d.strip().split(" ", 1) for d in policy.group(1).split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == f"'sha256-{digest}'"
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import|eval|innerHTML|localStorage)\b", script)


def test_the_answer_is_first_and_made_of_the_tests(made: tuple[Path, str, float]) -> None:
    folder, headline, _ = made
    page = (folder / "report.html").read_text()
    assert page.index('class="answer"') < page.index("<figure") < page.index("<table")
    assert headline.startswith("Transfer helped at 100")
    # The same verdict stands in the table.
    rows = list(csv.DictReader((folder / "tables/against.csv").open()))
    assert {r["verdict"] for r in rows if r["training images"] == "100"} == {"better"}
    assert {r["verdict"] for r in rows if r["training images"] == "23900"} == {"not shown"}


def test_every_arm_can_be_held_against_another_than_scratch(size_study: list, tmp_path: Path) -> None:
    """As an ablation needs it: the parts of a method against the whole."""
    study = study_of(size_study, against=["freeze:copy=2"])
    document = compose(study)
    asked, scratch = table_of(document, "against-reference-2"), table_of(document, "against")
    there = [(r["size"], r["variant"], r["arm"]) for r in asked.rows]
    # Against scratch it stands in the first table, and one difference has one interval.
    assert {arm for *_, arm in there} == {"finetune"}
    assert len(there) == len(set(there)) == len(scratch.rows) / 2
    with pytest.raises(UsageError, match=r"'frozen'.*finetune"):
        build(size_study, tmp_path / "r", against=["frozen"])


def test_tables_hold_the_numbers_of_the_page(made: tuple[Path, str, float]) -> None:
    folder = made[0]
    page = _text((folder / "report.html").read_text())
    markdown = (folder / "report.md").read_text()
    content = json.loads((folder / "report.json").read_text())
    blocks = [*content["opening"], *(b for s in content["sections"] for b in s["blocks"])]
    tables = {b["table"]: b for b in blocks if "table" in b}
    rows = list(csv.DictReader((folder / "tables/accuracy.csv").open()))
    assert len(rows) == 24
    for row, full, shown in zip(rows, tables["accuracy"]["rows"], tables["accuracy"]["shown"], strict=True):
        assert row["test accuracy (%)"] in page
        assert row["test accuracy (%)"] in markdown
        assert row["test accuracy (%)"] in shown
        assert float(row["test accuracy (%)"]) == pytest.approx(full["accuracy"], abs=0.005)


def test_numbers_are_right(size_study: list, made: tuple[Path, str, float]) -> None:
    rows = list(csv.DictReader((made[0] / "tables/accuracy.csv").open()))
    runs = [r for r in size_study[0].runs if r.size == 100 and r.arm == "finetune"]
    labels = size_study[0].targets["mnist-6-9-100"].test_labels
    accuracies = [100 * (r.predictions == labels).mean() for r in runs]
    row = next(
        r
        for r in rows
        if (r["training images"], r["arm"], r["variant"]) == ("100", "finetune", "dropout=0.0")
    )
    assert float(row["test accuracy (%)"]) == pytest.approx(np.mean(accuracies), abs=0.005)
    assert float(row["sd (points)"]) == pytest.approx(np.std(accuracies, ddof=1), abs=0.005)


def test_how_it_was_made(made: tuple[Path, str, float], size_study: list) -> None:
    page = _text((made[0] / "report.html").read_text())
    for record in size_study:
        assert record.provenance.content_sha256 in page
        for ancestor in record.provenance.ancestry:
            assert ancestor.content_sha256 in page
            assert ancestor.command in page
    commands = page[page.index("Run in an empty folder") :]
    order = [commands.index(c) for c in ("tlcli split", "tlcli train-base", "tlcli transfer", "tlcli report")]
    assert order == sorted(order)


def test_equal_input_gives_equal_bytes_without_tensorflow_or_pyplot(tmp_path: Path) -> None:
    """In two processes, so that the order of sets differs between them."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); from studies import *\n"
        "from tlcli.report import build\n"
        "build(make_strategies() + make_layer_study(3, 3, 100), sys.argv[1])\n"
        "bad = {'tensorflow', 'keras', 'matplotlib.pyplot', 'sklearn'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    for name, seed in (("a", "1"), ("b", "2")):
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        subprocess.run(
            command, check=True, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONHASHSEED": seed}
        )
    first, second = (sorted(p for p in (tmp_path / n).rglob("*") if p.is_file()) for n in ("a", "b"))
    assert len(first) == len(second) > 15
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    records = LIGHT
    folder = tmp_path / "r"
    build(records, folder)
    with pytest.raises(TlcliError, match="`force`"):
        build(records, folder)
    build(records, folder, force=True, title="Again")
    assert "<title>Again</title>" in (folder / "report.html").read_text()
    (folder / "thesis.tex").write_text("two years")
    with pytest.raises(TlcliError, match=r"thesis\.tex"):
        build(records, folder, force=True)
    assert (folder / "thesis.tex").read_text() == "two years"
    with pytest.raises(TlcliError, match="not a folder"):
        build(records, tmp_path / "missing" / "r")


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TlcliError, match="the disk is full"):
        build(LIGHT, tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    target = make_target(EVIL[0], 100, 300, EVIL)
    runs = [
        make_run(
            target,
            name,
            f"{name}(x={i})",
            r,
            0.7 + 0.02 * i,
            attributes={"architecture": EVIL[1], "base": EVIL[2]},
        )
        for i, name in enumerate(EVIL[1:5])
        for r in range(2)
    ]
    p = provenance(EVIL[1], "tlcli transfer '</code><script>alert(1)</script>'")
    points = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    part = EmbeddingPart(points, target.test_labels, target.test_source_index)
    embeddings = Embeddings({"test": part}, EVIL[0], EVIL, np.arange(9), provenance(EVIL[5], EVIL[0]))
    images = np.zeros((300, 8, 8, 3), np.uint8)
    dataset = Dataset(
        {
            "train": Part(images, target.test_labels, target.test_source_index),
            "test": Part(images, target.test_labels, target.test_source_index),
        },
        EVIL,
        np.arange(9),
    )
    results = Results(runs, {EVIL[0]: target}, {EVIL[0]: EVIL[1]}, p)
    checkpoint = make_checkpoint(
        EVIL[0], EVIL, 0.9, provenance(EVIL[0], EVIL[6]), {EVIL[3]: EVIL[4]}, EVIL[1]
    )
    build([results, embeddings, dataset, checkpoint], tmp_path / "r", title=EVIL[0], command=EVIL[6])

    page = (tmp_path / "r/report.html").read_text()
    assert page.count("<script") == 1
    assert not re.search(r"<(script|img)", page.partition("<script>")[0])
    tags = _Tags()
    tags.feed(page)
    assert not [a for a in tags.attributes if a.startswith("on")]
    for path in (tmp_path / "r/tables").glob("*.csv"):
        for row in csv.reader(path.open()):
            assert not [cell for cell in row if cell[:1] in "=+@\t\r" and cell[:1]], path.name
            assert not [cell for cell in row if cell.startswith("-") and not re.fullmatch(r"-[\d.]+", cell)]
    for path in (tmp_path / "r/tables").glob("*.tex"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("%")]
        commands = set(re.findall(r"\\[A-Za-z]+", "\n".join(lines)))
        assert commands <= TEX_COMMANDS, path.name
    markdown = (tmp_path / "r/report.md").read_text()
    outside = re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<", outside)
    assert not re.search(r"(?<!\\)\]\(http", outside)
    for path in (tmp_path / "r").rglob("[!.]*"):
        assert re.fullmatch(r"[a-z0-9-]+(\.(html|md|json|csv|tex|svg|png))?", path.name)
    for path in (tmp_path / "r/figures").glob("*.svg"):
        import xml.etree.ElementTree as ElementTree

        ElementTree.parse(path)
        assert not re.search(r"<(script|image[^>]*http)", path.read_text())


def test_files_for_papers_on_request(tmp_path: Path) -> None:
    records = make_size_study((100,), 2, 50, (0.0,))
    summary = build(records, tmp_path / "r", pdf=True, predictions=True)
    assert "figures/gain.pdf" in summary.figures
    for name in summary.figures:
        if name.endswith(".pdf"):
            assert (tmp_path / "r" / name).read_bytes().startswith(b"%PDF")
            assert name in (tmp_path / "r/report.html").read_text()
    rows = list(csv.DictReader((tmp_path / "r/tables/predictions.csv").open()))
    assert len(rows) == len(records[0].runs) * 50
    run = next(r for r in records[0].runs if (r.arm, r.run) == ("finetune", 1))
    mine = [r["prediction"] for r in rows if (r["arm"], r["run"]) == ("finetune", "1")]
    names = records[0].targets[run.dataset].class_names
    assert mine == [names[i] for i in run.predictions]
    assert "predictions.csv" not in " ".join(build(records, tmp_path / "s").tables)


def test_a_matrix_on_request() -> None:
    records = make_size_study((100,), 2, 500, (0.0,))
    assert "confusion-asked-1" in [c.id for c in compose(study_of(records, confusion=["scratch"])).charts()]
    with pytest.raises(UsageError, match="These files have no arm 'nothing'"):
        study_of(records, confusion=["nothing"])


def test_a_thousand_runs(tmp_path: Path) -> None:
    targets, runs = {}, []
    for size in (100, 1000, 10000):
        target = make_target(f"n{size}", size, 200, ["a", "b", "c"])
        targets[target.name] = target
        for i, method in enumerate(("scratch", "freeze", "finetune", "own")):
            runs += [make_run(target, method, method, r, 0.5 + 0.05 * i, samples=5000) for r in range(84)]
    start = time.process_time()
    summary = build([Results(runs, targets)], tmp_path / "r")
    assert time.process_time() - start < 15
    assert summary.page.stat().st_size < 3e6


def _text(page: str) -> str:
    import html

    return html.unescape(re.sub(r"<[^>]+>", "", page))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.attributes += [name for name, _ in attrs]
