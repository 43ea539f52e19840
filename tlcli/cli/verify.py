"""`tlcli verify`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlcli.cli.inputs import check_inputs
from tlcli.cli.options import Debug, Json, Quiet
from tlcli.cli.output import Console, count, print_json, print_lines
from tlcli.errors import TlcliError

if TYPE_CHECKING:
    from tlcli.store import ParentCheck, VerifyReport

EXAMPLES = ["tlcli verify digits-6-9-by-base-knn.h5", "tlcli verify base.h5 digits-6-9.h5 --json"]


def verify(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files that tlcli wrote; - is stdin.")],
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check that files and their inputs are intact.

    The command reads every byte, recomputes the digests, and checks the recorded inputs that are among the
    files given or beside them. The exit code is 1 if a file is damaged or an input is another; a missing
    input is no error.
    """
    console = Console(as_json=as_json, quiet=quiet)
    check_inputs(*files)
    with console.progress("verifying", "files") as progress:
        reports = collect(files, progress)
    given = {report.content_sha256 for report in reports.values() if report.ok}
    verdicts = [verdict(path, report, given) for path, report in reports.items()]
    wrong = [v for v in verdicts if not v["ok"]]
    if as_json:
        print_json({"ok": not wrong, "files": verdicts})
    else:
        print_lines(*(line for v in verdicts for line in lines(v)))
    if wrong:
        raise TlcliError(f"{len(wrong)} of {count(len(verdicts), 'file')} differ from what was recorded.")
    console.note(f"{count(len(verdicts), 'file')} checked: all are as recorded.")


def collect(files: list[str], progress: Callable[[int, int, str], None]) -> dict[str, VerifyReport]:
    """The report on each file and on every input found beside it, by path."""
    from tlcli import store

    reports: dict[str, VerifyReport] = {}
    waiting = list(files)
    while waiting:
        path = waiting.pop(0)
        if path in reports:
            continue
        progress(len(reports), len(reports) + 1 + len(waiting), path)
        reports[path] = store.verify(path)
        for check in reports[path].parents:
            if check.state == "same":
                waiting.append(str(Path(path).parent / check.parent.name))
    return reports


def verdict(path: str, report: VerifyReport, given: set[str]) -> dict[str, Any]:
    """Whether one file and its inputs are as recorded."""
    inputs = [
        {
            "name": check.parent.name,
            "content_sha256": check.parent.content_sha256,
            "state": state_of(check, given),
        }
        for check in report.parents
    ]
    changed = [
        f"its input {i['name']} differs from the recorded one" for i in inputs if i["state"] == "other"
    ]
    return {
        "path": path,
        "kind": report.kind,
        "ok": report.ok and not changed,
        "problems": [*report.problems, *changed],
        "content_sha256": report.content_sha256,
        "inputs": inputs,
    }


def state_of(check: ParentCheck, given: set[str]) -> str:
    """`same`, `other` or `absent`. The digest finds an input that was renamed or moved."""
    return "same" if check.parent.content_sha256 in given else check.state


def lines(verdict: dict[str, Any]) -> list[str]:
    """A line for the file, for each problem and for each missing input."""
    absent = [
        f"      input {i['name']}: not here, not checked" for i in verdict["inputs"] if i["state"] == "absent"
    ]
    problems = [f"      {problem}" for problem in verdict["problems"]]
    return [f"{'ok  ' if verdict['ok'] else 'BAD '}  {verdict['path']}", *problems, *absent]
