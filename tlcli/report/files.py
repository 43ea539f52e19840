"""The files of a report: tables as CSV, everything as JSON, and a folder that appears whole or not at all."""

from __future__ import annotations

import csv
import ctypes
import errno
import io
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlcliError
from tlcli.report.document import Chart, Document, Table, Text
from tlcli.report.words import MINUS, escape_csv, number, slug

OWN = {"report.html", "report.md", "report.json", "tables", "figures"}
TEMPORARY = ".tlcli-tmp"
OLD = f"-old{TEMPORARY}"
"""How the name of an older report ends while it is replaced."""


def csv_text(table: Table) -> str:
    """The numbers of the page, plain: no thousands separators, '-' for minus, nothing for missing."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    head: list[str] = []
    for c in table.columns:
        head += [f"{c.label} low", f"{c.label} high"] if c.kind == "interval" else [c.label]
    writer.writerow([escape_csv(h) for h in head])
    for row in table.rows:
        cells: list[str] = []
        for c in table.columns:
            value = row.get(c.key)
            if c.kind == "interval":
                low, high = value or (None, None)
                cells += [_plain(low, "number", c.digits), _plain(high, "number", c.digits)]
            else:
                cells.append(_plain(value, c.kind, c.digits))
        writer.writerow(cells)
    return buffer.getvalue()


def _plain(value: Any, kind: str, digits: int) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if kind == "count":
        return str(int(value))
    if kind == "p":
        return f"{value:.3g}"
    if kind in ("number", "percent", "points"):
        return number(value, digits).replace(MINUS, "-").replace(",", "")
    return escape_csv(value)


def json_text(document: Document) -> str:
    """Everything on the page as data: numbers in full, and as shown."""
    content = {
        "title": document.title,
        "subtitle": document.subtitle,
        "answer": document.answer.text,
        "warnings": document.warnings,
        "sections": [
            {"id": s.id, "title": s.title, "blocks": [_block(b) for b in s.blocks]} for s in document.sections
        ],
        **document.facts,
    }
    if document.answer.chart:
        content["answer_figure"] = _block(document.answer.chart)
    return json.dumps(content, indent=1, ensure_ascii=False, default=_number, allow_nan=False) + "\n"


def _block(block: Table | Chart | Text) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"text": block.text, "kind": block.kind}
    if isinstance(block, Chart):
        name = slug(block.id)
        return {
            "figure": block.id,
            "caption": block.caption,
            "alt": block.alt,
            "files": [f"figures/{name}.png", f"figures/{name}.svg"],
        }
    rows = [{c.key: _finite(row.get(c.key)) for c in block.columns} for row in block.rows]
    content = {
        "table": block.id,
        "caption": block.caption,
        "note": block.note,
        "file": f"tables/{slug(block.id)}.csv",
        "columns": [{"key": c.key, "label": c.label, "kind": c.kind} for c in block.columns],
        "rows": rows,
    }
    if block.shown:
        content["shown"] = [[block.cell(row, c) for c in block.visible] for row in block.rows]
    return content


def _finite(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and not np.isfinite(value) else value


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def check_folder(output: Path, force: bool) -> None:
    """Refuse early: something is there already, or the folder above is missing."""
    if not output.parent.is_dir():
        raise TlcliError(f"{output.parent} is not a folder; the report's folder is made in an existing one.")
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir() or output.is_symlink():
        raise TlcliError(f"{output} is there already and is no folder; choose another name for the report.")
    inside = {p.name for p in output.iterdir()}
    if inside and not force:
        raise TlcliError(f"{output} is there already. Use --force to replace it, or choose another name.")
    if foreign := sorted(inside - OWN):
        raise TlcliError(
            f"{output} holds files that are no report's ({foreign[0]}), and replacing it would delete them. "
            "Choose another folder."
        )


def write_folder(output: Path, files: Mapping[str, str | bytes], *, force: bool = False) -> None:
    """Write all files to a folder beside `output`, flushed to disk, and rename it: whole or not at all."""
    check_folder(output, force)
    _remove_left_over(output)
    temporary = output.parent / f".{output.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"
    lock = None
    try:
        temporary.mkdir()
        lock = _lock(temporary)
        for name, content in files.items():
            path = temporary / name
            path.parent.mkdir(exist_ok=True)
            with open(path, "wb") as f:
                f.write(content.encode() if isinstance(content, str) else content)
                f.flush()
                os.fsync(f.fileno())
        _move(temporary, output, force)
    except OSError as error:
        raise TlcliError(
            f"The report could not be written to {output}: {error.strerror or error}."
        ) from error
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary: Path, output: Path, force: bool) -> None:
    """Give the folder its final name; a report that was there takes the temporary one, and goes with it."""
    check_folder(output, force)
    if not output.exists() or not any(output.iterdir()):
        try:
            os.rename(temporary, output)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise TlcliError(f"{output} was made by another program meanwhile; it is kept.") from None
    elif not _exchange(temporary, output):
        _replace(temporary, output)
    if (folder := _open_folder(output.parent)) is not None:
        os.fsync(folder)
        os.close(folder)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, as Linux can; false where it is not possible."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        swap = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(swap(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _replace(temporary: Path, output: Path) -> None:
    """In two steps: the older report is moved aside, where the next run finds it if this one is killed."""
    old = temporary.with_name(temporary.name.replace(TEMPORARY, OLD))
    os.rename(output, old)
    try:
        os.rename(temporary, output)
    except BaseException:
        os.rename(old, output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_left_over(output: Path) -> None:
    """Remove what killed runs left beside the target: temporary folders that nobody holds."""
    for path in output.parent.glob(f".{_glob_escape(output.name)}.*{TEMPORARY}"):
        if path.is_dir() and (lock := _lock(path)) is not None:
            if path.name.endswith(OLD) and not output.exists():
                os.rename(path, output)
            else:
                shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _glob_escape(name: str) -> str:
    import glob

    return glob.escape(name)


def _open_folder(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _lock(path: Path) -> int | None:
    """A lock on a folder for as long as the descriptor is open; None if another process holds it."""
    try:
        import fcntl
    except ImportError:
        return None
    if (folder := _open_folder(path)) is None:
        return None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(folder)
        return None
    return folder
