"""`tlcli dump`."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from tlcli.cli.inputs import check_inputs
from tlcli.cli.options import Debug, Force, Json, Quiet
from tlcli.cli.output import Console, count

EXAMPLES = [
    "tlcli dump digits-6-9-by-base-knn.h5 --table sweeps",
    "tlcli dump digits-6-9-by-base-knn.h5 --table neighbours --csv neighbours.csv",
    "tlcli dump digits-6-9-by-base-knn.h5 --columns arm,size,k",
]

_MANY = 12
"""The most columns of a table that a terminal shows without a note."""


def dump(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that tlcli wrote; - is stdin.")],
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="NAME",
            help="The table. Results have runs, history, neighbours, sweeps (accuracy for each k), rankings, "
            "targets and predictions; a checkpoint has history; data sets and embeddings have images. "
            "[default: the first that is not empty]",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", metavar="NAME,NAME", help="Write only these columns, in this order. [default: all]"
        ),
    ] = None,
    csv: Annotated[
        str, typer.Option("--csv", metavar="PATH", help="Write the table here; - is stdout.")
    ] = "-",
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a table of a file as CSV, for a spreadsheet, R or pandas.

    Each row is a run, a measurement, a k or an image, with everything that is known of it. Values that all
    runs of a file share are repeated in each row. An unknown value is an empty field; nested values are JSON.
    """
    from tlcli import store
    from tlcli.errors import TlcliError, UsageError
    from tlcli.store import tabular

    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(file)
    if csv == "-" and as_json:
        raise UsageError("--json prints to stdout, and so does --csv -. Take one of them.")
    if csv != "-":
        store.check_output(csv, force)
    record = store.read_any(file)
    tables = {name: tabular.table(record, name) for name in ([table] if table else tabular.names(record))}
    chosen = next((name for name, found in tables.items() if found), "")
    if not chosen:
        raise TlcliError(f"{file} has no rows in {' or '.join(tables)}.")
    found = tables[chosen] if columns is None else tabular.select(tables[chosen], columns.split(","))
    text = io.StringIO()
    tabular.write_csv(text, found)
    if csv == "-":
        sys.stdout.buffer.write(text.getvalue().encode())
        if sys.stdout.isatty() and len(found) > _MANY:
            console.note(
                f"The table {chosen} has {len(found)} columns. Choose some with --columns, such as --columns "
                f"{','.join(list(found)[:3])}, write a file with --csv, or name another --table."
            )
        return
    with store.atomic_file(csv, force) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
    rows = len(next(iter(found.values())))
    console.note(f"{csv} holds the table {chosen}: {count(rows, 'row')} and {count(len(found), 'column')}.")
    console.result(csv, "table", table=chosen, rows=rows, columns=list(found))
