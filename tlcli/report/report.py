"""From records to a folder: gather, write the sections, draw the figures, render the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tlcli import __version__
from tlcli.errors import UsageError
from tlcli.report import confusion as confusion_matrix
from tlcli.report import (
    drawing,
    forgetting,
    layer_section,
    layers,
    learning,
    made,
    maps,
    neighbours,
    networks,
    pictures,
    ranking,
    sizes,
)
from tlcli.report.document import Answer, Chart, Document, Section, Text
from tlcli.report.files import csv_text, json_text
from tlcli.report.gather import Entry, Study, by, gather
from tlcli.report.markdown import markdown
from tlcli.report.page import Drawn, html
from tlcli.report.registry import SECTIONS
from tlcli.report.words import at_most, clean, plural, slug
from tlcli.store.atomic_folder import check_folder, write_folder
from tlcli.store.records import Record

Progress = Callable[[int, int, str], None]

MOST_TASKS = 6
"""Target tasks with sections of their own."""


@dataclass
class ReportSummary:
    """What was made: the folder, its page, the answer in two sentences, the names of figures and tables."""

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
    warnings: Sequence[str] = (),
    progress: Progress | None = None,
) -> ReportSummary:
    """Write a report on any mix of results, checkpoints, embeddings and datasets to the folder `output`.

    Results of several files are merged; runs that are missing or there twice are named. Checkpoints add their
    training curves, embeddings a map, datasets the test images that one method gets right and another wrong.
    Equal
    input gives byte-identical files. `command` is what the report says it was made with; `confusion` names
    further arms whose confusion matrix to draw, `against` arms beside scratch that all others are compared
    with, `warnings` what else the reader must know. `progress` is called with the figures drawn, those there
    are to draw, and the name of the next.

    Raises TlcliError where there is nothing to report on, or `output` exists and `force` is not set;
    UsageError for an arm that there is not.
    """
    output = Path(output)
    check_folder(output, force)
    study = gather(records)
    study.warnings[:0] = warnings
    document = compose(study, title, command, confusion, against)
    files = render(document, progress)
    write_folder(output, files, force=force)
    return ReportSummary(
        output,
        output / "report.html",
        document.answer.text,
        sorted(n for n in files if n.startswith("figures/")),
        sorted(n for n in files if n.startswith("tables/")),
        document.warnings,
    )


def compose(
    study: Study,
    title: str | None,
    command: str,
    confusion: Sequence[str] = (),
    against: Sequence[str] = (),
) -> Document:
    """The whole report as data, nothing drawn yet."""
    parts = _parts(study, confusion, _known(study, against))
    answers = [p.answer for p in parts if p.answer is not None]
    answer = (
        max(answers, key=lambda a: a.weight)
        if answers
        else Answer("There is nothing to compare in these files.")
    )
    sections = [*parts, _discussion(parts), made.section(study, command)]
    return Document(
        clean(title) if title else _title(study),
        _subtitle(study),
        answer,
        [s for s in sections if s.blocks],
        study.warnings,
        {"made_by": f"Made by tlcli {__version__}.", "command": made.line(command)},
    )


def _known(study: Study, arms: Sequence[str]) -> list[str]:
    there = {e.arm for e in study.entries}
    if unknown := [arm for arm in arms if arm not in there]:
        raise UsageError(f"No arm {clean(unknown[0])!r} in these files; there are {at_most(sorted(there))}.")
    return list(arms)


def _parts(study: Study, confusion: Sequence[str], against: Sequence[str]) -> list[Section]:
    """Every section that the records have the data for, in reading order."""
    layered = layers.of_layers(study)
    parts: list[Section | None] = [layer_section.section(study, layered)] if layered else []
    rest = [
        e for e in study.entries if not (layers.is_whole(layered) and (e in layered or e.method == "scratch"))
    ]
    for suffix, named, entries in _by_task(rest):
        parts += [
            sizes.section(study, entries, against, suffix=suffix, title=f"Test accuracy{named}"),
            pictures.section(study, entries, suffix=suffix),
            confusion_matrix.section(study, entries, confusion, suffix=suffix),
            learning.section(
                study, entries, suffix=suffix, title=f"From the view of statistical learning{named}"
            ),
        ]
    for suffix, named, entries in _by_task(neighbours.measured(study.entries)):
        title = f"Nearest neighbours on the embeddings{named}"
        parts.append(neighbours.section(entries, study.digits, suffix=suffix, title=title))
    for suffix, named, entries in _by_task(forgetting.measured(study.entries)):
        title = f"Forgetting of the source task{named}"
        parts.append(forgetting.section(study, entries, suffix=suffix, title=title))
    parts += [ranking.section(study), networks.section(study), maps.section(study)]
    for kind in sorted(SECTIONS.values(), key=lambda k: (k.order, k.name)):
        parts.append(Section(kind.name, kind.title, list(kind.make(study, None))))
    return [p for p in parts if p is not None]


def _by_task(entries: Sequence[Entry]) -> Iterator[tuple[str, str, list[Entry]]]:
    """The runs of each target task with what tells its sections apart: a suffix for ids, one for titles."""
    tasks = list(by(entries, lambda e: e.task).values())
    for i, group in enumerate(tasks[:MOST_TASKS]):
        names = [clean(n) for n in group[0].target.class_names]
        yield f"-{i + 1}" if i else "", f": {at_most(names, 5)}" if len(tasks) > 1 else "", group


def _discussion(parts: Sequence[Section]) -> Section:
    """What the sections have to say, one after the other, and what they cannot."""
    part = Section("discussion", "Discussion")
    talking = [p for p in parts if p.discussion]
    for p in talking:
        if len(talking) > 1:
            part.blocks.append(Text(p.title, "heading"))
        part.blocks += [Text(t) for t in p.discussion]
    limits = list(dict.fromkeys(t for p in parts for t in p.limits))
    if limits:
        part.blocks += [Text("What these results do not show", "heading"), *(Text(t) for t in limits)]
    return part


def _title(study: Study) -> str:
    sources = list(dict.fromkeys(clean(e.target.source) for e in study.entries if e.target.source))
    return f"Transfer learning on {at_most(sources, 3)}" if sources else "Transfer learning"


def _subtitle(study: Study) -> str:
    parts = []
    if study.entries:
        parts.append(plural(len(study.entries), "run"))
        names = study.entries[0].target.class_names
        if len(study.tasks()) == 1:
            parts.append(f"classes {at_most([clean(n) for n in names], 10)}")
            parts.append(f"{plural(len(study.entries[0].target.test_labels), 'test image')}")
        else:
            parts.append(f"{plural(len(study.tasks()), 'target task')}")
    parts.append("made from " + at_most([clean(r.provenance.name or r.format) for r in study.records], 4))
    return " · ".join(parts)


def render(document: Document, progress: Progress | None = None) -> dict[str, str | bytes]:
    """Every file of the report by its name in the folder."""
    files: dict[str, str | bytes] = {}
    drawn: dict[str, Drawn] = {}
    charts = document.charts()
    with drawing.drawing_style():
        for done, chart in enumerate(charts):
            if progress:
                progress(done, len(charts), chart.id)
            drawn[chart.id] = _draw(chart, files)
    for table in document.tables():
        files[f"tables/{slug(table.id)}.csv"] = csv_text(table)
    files["report.html"] = html(document, drawn)
    files["report.md"] = markdown(document)
    files["report.json"] = json_text(document)
    return files


def _draw(chart: Chart, files: dict[str, str | bytes]) -> Drawn:
    """Draw a chart for the files and the page, and again for a phone if that makes it narrower."""
    name = slug(chart.id)
    figure = drawing.lay_out(chart.draw(2))
    width = figure.get_figwidth()
    svg = drawing.to_svg(figure)
    files[f"figures/{name}.svg"] = drawing.file_svg(svg)
    files[f"figures/{name}.png"] = drawing.to_png(figure)
    narrow = ""
    if width > drawing.NARROW and (phone := chart.draw(1)).get_figwidth() < width:
        narrow = drawing.page_svg(drawing.to_svg(drawing.lay_out(phone)), chart.alt, f"{name}-n")
    return Drawn(drawing.page_svg(svg, chart.alt, name), narrow, single=width < drawing.WIDE)
