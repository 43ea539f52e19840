"""`tlcli report`."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from tlcli.cli.inputs import UnfinishedOutput, check_inputs
from tlcli.cli.options import Debug, Force, Json, Output, Quiet
from tlcli.cli.output import Console, count, stem
from tlcli.cli.recording import recorded_command
from tlcli.errors import TlcliError, UsageError

EXAMPLES = [
    "tlcli report digits-6-9-by-base-knn.h5",
    "tlcli report digits-6-9-by-base-knn.h5 digits-6-9-by-base.h5 base.h5 --title 'Digits' -o my-report",
]


def report(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Results; also checkpoints (curves), embeddings (a map) and data sets (the images).",
        ),
    ],
    title: Annotated[
        str | None,
        typer.Option("--title", metavar="TEXT", help="The title, instead of one made from the files."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="ARM",
            help="Compare every arm (a method with its options) with this one too, beside scratch; "
            "repeatable.",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            metavar="POINTS",
            help="Call two arms equivalent if the interval of their difference lies within this margin.",
        ),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write the figures as PDF, too.")] = False,
    predictions: Annotated[
        bool,
        typer.Option("--predictions", help="Write all predictions of test images to tables/predictions.csv."),
    ] = False,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Report on the finished runs of results that are not complete."),
    ] = False,
    output: Output = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn results into a page with tables, figures and a discussion.

    The command writes a folder: report.html (one self-contained page), report.md, report.json, tables/*.csv
    and *.tex, figures/*.png and *.svg. It merges the results of several files and names missing and
    duplicate runs.
    """
    from tlcli import store
    from tlcli.report import build

    gc.set_threshold(200_000)  # figures are many small objects: looking for garbage among them takes a tenth
    console = Console(as_json=as_json, quiet=quiet)
    if margin is not None and not 0 < margin < 100:
        raise UsageError(f"--margin: received {margin:g}, expected percentage points between 0 and 100.")
    unfinished = [found for name in files if (found := UnfinishedOutput.of(name))]
    for found in unfinished:
        if not (partial and found.present):
            raise TlcliError(found.message(" --partial reports on what is there." if found.present else ""))
    done = {found.path: found.files for found in unfinished}
    inputs = [name for file in files for name in done.get(file, [file])]
    check_inputs(*inputs)
    if output == "-":
        raise UsageError("A report is a folder, which cannot go to stdout. Give a path after -o.")
    path = Path(f"{stem(files[0])}-report" if output is None else output)
    store.check_folder(path, force)

    with console.progress("reading", "files") as progress:
        records = []
        for number, name in enumerate(inputs):
            progress(number, len(inputs), stem(name))
            records.append(store.read_any(name))
    with console.working("comparing"), console.progress("drawing", "figures") as progress:
        summary = build(
            records,
            path,
            title=title,
            command=recorded_command(context),
            force=force,
            against=against or (),
            margin=margin,
            pdf=pdf,
            predictions=predictions,
            warnings=[
                f"{Path(found.path).name} is not finished: {found.progress_text()}." for found in unfinished
            ],
            progress=progress,
        )
    for warning in summary.warnings:
        console.warn(warning)
    console.note(summary.headline)
    console.tell_output(
        path,
        f"holds {count(len(summary.tables), 'table')} and {count(len(summary.figures), 'figure file')}.",
        "open {}/report.html in a browser.",
    )
    console.result(
        path,
        "report",
        page=summary.page,
        headline=summary.headline,
        tables=summary.tables,
        figures=summary.figures,
        warnings=summary.warnings,
    )
