"""Write a report: gather the records, make the sections, draw the figures, render the page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tlcli import __version__
from tlcli.report import drawing, headline, tidy
from tlcli.report.document import Block, Chart, Document, Section, Table, Text
from tlcli.report.machine import csv_files, figure_files, json_text
from tlcli.report.markdown import markdown
from tlcli.report.page import DrawnChart, attributes, html
from tlcli.report.registry import SECTIONS, SectionKind
from tlcli.report.sections.made import line
from tlcli.report.study import Study, Task
from tlcli.report.study.entry import CONTROL
from tlcli.report.study.gather import gather
from tlcli.report.study.study import Options
from tlcli.report.tex import tex
from tlcli.report.words import slug
from tlcli.store.atomic_folder import check_folder, write_folder
from tlcli.store.records import Record

ReportStep = Callable[[int, int, str], None]

OPENING = ("overview", "layers", "ranking", "accuracy", "gain", "glance")
"""Blocks that may open the page; the first section with one of them gives it."""
MOST_OPEN = 3
"""The most tasks whose accuracies are open on the page; with more, only the overview is."""


@dataclass
class ReportSummary:
    """A summary of the report: the folder, its page, the answer, the names of figures and tables."""

    path: Path
    page: Path
    headline: str
    figures: list[str]
    tables: list[str]
    warnings: list[str] = field(default_factory=list)


def build(
    records: Sequence[Record],
    output: Path | str,
    *,
    title: str | None = None,
    command: str = "",
    force: bool = False,
    confusion: Sequence[str] = (),
    against: Sequence[str] = (),
    margin: float | None = None,
    pdf: bool = False,
    predictions: bool = False,
    warnings: Sequence[str] = (),
    progress: ReportStep | None = None,
) -> ReportSummary:
    """Write a report on any mix of results, checkpoints, embeddings and datasets to the folder `output`.

    Results of several files are merged; runs that are missing or there twice are named. Checkpoints add their
    training curves, embeddings a map, datasets the test images that one method gets right and another wrong.
    Equal input gives byte-identical files.

    Args:
        records: The content of the files.
        output: The folder to write.
        title: The title, instead of one made from the data.
        command: The command that the report records.
        force: Replace a report that is there.
        confusion: Further arms whose confusion matrix to draw.
        against: Arms beside the reference that all others are compared with.
        margin: Percentage points up to which two arms count as equivalent.
        pdf: Write the figures as PDF, too.
        predictions: Write the answer of every run for every test image, as `tables/predictions.csv`.
        warnings: Further warnings for the reader.
        progress: Takes the numbers of figures done and to do, and the name of the next.

    Raises:
        TlcliError: There is nothing to report on, or `output` exists and `force` is not set.
        UsageError: An arm does not exist.
    """
    output = Path(output)
    check_folder(output, force)
    written = f"{command} -o {shlex.quote(output.name)}" if command else ""
    share = None if margin is None else margin / 100
    options = Options(tuple(against), share, tuple(confusion), title, written, pdf, predictions)
    study = gather(records, options)
    study.warnings[:0] = warnings
    document = compose(study)
    files = render(document, progress)
    if predictions:
        files["tables/predictions.csv"] = tidy.predictions(study)
    write_folder(output, files, force=force)
    return ReportSummary(
        output,
        output / "report.html",
        " ".join(document.answer),
        sorted(n for n in files if n.startswith("figures/")),
        sorted(n for n in files if n.startswith("tables/")),
        document.warnings,
    )


def compose(study: Study) -> Document:
    """The whole report as data, nothing drawn yet."""
    parts = [part for kind in kinds() for part in _parts(study, kind)]
    opening = _take_opening(parts, "gain" if _is_ablation(study) else "")
    parts += [_limits(parts)]
    parts.sort(key=lambda p: p.folded)
    return Document(
        headline.title(study),
        headline.subtitle(study),
        headline.findings(study),
        opening,
        [p for p in parts if p.blocks] + [Section("data", "Every run, as files", [*tidy.tables(study)])],
        study.warnings,
        {arm: study.looks[arm].number for task in study.tasks for arm in task.arms},
        ("png", "svg", "pdf") if study.options.pdf else ("png", "svg"),
        {"made_by": f"Made by tlcli {__version__}.", "command": line(study.options.command)},
    )


def kinds() -> list[SectionKind]:
    """The sections of the package and of plug-ins, in reading order."""
    return sorted(SECTIONS.values(), key=lambda k: (k.order, k.name))


def _parts(study: Study, kind: SectionKind) -> Iterable[Section]:
    """A section of this kind for the study, or for each of its tasks with data for it."""
    tasks: list[Task | None] = list(study.tasks) if kind.per_task else [None]
    for task in tasks:
        many = kind.per_task and len(study.tasks) > 1
        folded = kind.folded or (many and (kind.name != "accuracy" or len(study.tasks) > MOST_OPEN))
        name = kind.name if task is None else task.id(kind.name)
        title = kind.title if task is None else task.title(kind.title)
        yield Section(name, title, list(kind.make(study, task)), folded, task.name if task and many else "")


def _is_ablation(study: Study) -> bool:
    """Whether the arms are held against the one that they extend by options."""
    return len(study.tasks) == 1 and any(c.second.method != CONTROL for c in study.tasks[0].gains)


def _take_opening(parts: Sequence[Section], first: str) -> list[Block]:
    """Take the chart, `first` if there is one of that name, and the table for the top of the page out of
    their sections."""
    found = ([b for b in p.blocks if not isinstance(b, Text) and b.id in OPENING] for p in parts)
    blocks = next(filter(None, found), [])
    charts = [b for b in blocks if isinstance(b, Chart)]
    named = [b for p in parts for b in p.blocks if isinstance(b, Chart) and b.id == first]
    tables = [b for b in blocks if isinstance(b, Table) and b.id in ("glance", "overview")]
    opening: list[Block] = [*(named or charts)[:1], *tables[:1]]
    for part in parts:
        part.blocks = [b for b in part.blocks if all(b is not taken for taken in opening)]
    return opening


def _limits(parts: Sequence[Section]) -> Section:
    """The limits of all sections, each once, in one section."""
    found: dict[str, Text] = {}
    for part in parts:
        found |= {b.text: b for b in part.blocks if isinstance(b, Text) and b.kind == "limit"}
        part.blocks = [b for b in part.blocks if not (isinstance(b, Text) and b.kind == "limit")]
    return Section("limits", "What these results do not show", [Text(t) for t in found])


def render(document: Document, progress: ReportStep | None = None) -> dict[str, str | bytes]:
    """Every file of the report by its name in the folder."""
    files: dict[str, str | bytes] = {}
    drawn: dict[str, DrawnChart] = {}
    charts = document.charts()
    with drawing.drawing_style():
        for done, chart in enumerate(charts):
            if progress:
                progress(done, len(charts), chart.id)
            drawn[chart.id] = _draw(chart, document.formats, files)
    files |= {f"tables/{slug(name)}.csv": text for name, text in csv_files(document).items()}
    files |= {f"tables/{slug(t.id)}.tex": tex(t) for t in document.tables() if t.shown}
    files["report.html"] = html(document, drawn)
    files["report.md"] = markdown(document)
    files["report.json"] = json_text(document)
    return files


def _draw(chart: Chart, formats: Sequence[str], files: dict[str, str | bytes]) -> DrawnChart:
    """Draw a chart for the files and the page, and again for a phone if that makes it narrower."""
    name = slug(chart.id)
    figure = drawing.lay_out(chart.draw(2))
    width = figure.get_figwidth()
    names = figure_files(chart, formats)
    svg = drawing.save(figure, "svg").decode()
    files |= {name: drawing.save(figure, name.rpartition(".")[2]) for name in (names[0], *names[2:])}
    files[names[1]] = drawing.file_svg(svg)
    narrow = ""
    if width > drawing.NARROW and (phone := chart.draw(1)).get_figwidth() < width:
        slim = drawing.save(drawing.lay_out(phone), "svg").decode()
        narrow = drawing.page_svg(slim, chart.alt, f"{name}-n")
    data = attributes(chart.data()) if chart.data else ""
    wide = drawing.page_svg(svg, chart.alt, name)
    return DrawnChart(wide, narrow, single=width < drawing.WIDE, data=data, files=names)
