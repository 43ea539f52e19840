"""Output of a command: the result on stdout, all else on stderr."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tlcli.cli.flags import with_flags
from tlcli.cli.progress import ProgressDisplay, for_a_person
from tlcli.errors import UsageError

GIVEN_WITH: list[str] = []
"""The files given with --with. The next command of the user needs them, too."""


class Console:
    """The two channels of a command.

    `quiet` silences stderr except for errors and warnings; `as_json` prints the result as JSON."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def note(self, *lines: str) -> None:
        """Print lines for a person, on stderr."""
        if lines and not self.quiet:
            with for_a_person():
                print_to(sys.stderr, *map(with_flags, lines))

    def tell_output(self, path: str | Path, what: str, then: str | None) -> None:
        """Say what was made and what a user may do next.

        `what` begins with a verb (`holds 3 runs.`); `{}` in `then` stands for the path.
        """
        if str(path) == "-":
            self.note(f"The output {what}")
        else:
            self.note(f"{path} {what}")
            if then is not None:
                program = shlex.join(["tlcli", *(word for file in GIVEN_WITH for word in ("--with", file))])
                command = then.replace("tlcli ", f"{program} ", 1) if then.startswith("tlcli ") else then
                self.note("Next: " + command.replace("{}", shlex.quote(str(path))))

    def warn(self, text: str) -> None:
        """Print a warning that bears on the meaning of the result, even when quiet."""
        with for_a_person():
            print_to(sys.stderr, with_flags(f"tlcli: warning: {text}"))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table for a person, on stderr."""
        self.note(*format_table(header, rows))

    def result(self, path: str | Path, kind: str, **figures: Any) -> None:
        """Print the result on stdout: the path or one JSON object; nothing if stdout carries the file."""
        if str(path) == "-":
            return
        if self.as_json:
            print_json({"path": str(path), "kind": kind, **figures})
        else:
            print_path(path)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show on a terminal what the command waits for, and erase it afterwards."""
        shown = not self.quiet and sys.stderr is not None and sys.stderr.isatty()

        def show(text: str) -> None:
            if shown:
                with for_a_person():
                    print(text, end="\r", file=sys.stderr, flush=True)

        show(f"{what} ...")
        try:
            yield
        finally:
            show(" " * (len(what) + 4))

    def progress(self, label: str, unit: str = "images") -> ProgressDisplay:
        """A context manager whose value takes the library's progress reports."""
        return ProgressDisplay(label, unit=unit, silent=self.quiet)


def print_path(path: str | Path) -> None:
    """Print the path on one line, byte for byte as in the file system."""
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")
        sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print one JSON object on one line. Numbers that JSON lacks become null."""
    print(json.dumps(_plain(value), ensure_ascii=True, allow_nan=False))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as the result, on stdout."""
    print_lines(*format_table(header, rows))


def print_lines(*lines: str) -> None:
    """Print lines of text as the result, on stdout."""
    print_to(sys.stdout, *lines)


def print_to(stream: TextIO | None, *lines: str) -> None:
    """Print lines that are safe to show: a name in them cannot steer the terminal, look like another line or
    fill the screen."""
    if stream is not None:
        print("\n".join(shorten(printable(line)) for line in lines), file=stream, flush=True)


def shorten(text: str, most: int = 2000) -> str:
    """The beginning of a long text, and the number of characters left out."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def printable(text: str) -> str:
    """The text with control characters escaped."""
    return "".join(c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else ascii(c)[1:-1] for c in text)


def _plain(value: Any) -> Any:
    """Turn numpy scalars and arrays, tuples and paths into values that JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Path):
        return str(value)
    return value


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of aligned columns; a column of numbers is aligned right."""
    cells = [list(row) for row in rows]
    columns = [[row[i] for row in cells] for i in range(len(header))]
    widths = [
        max(len(text) for text in [name, *column]) for name, column in zip(header, columns, strict=True)
    ]
    right = [bool(column) and all(_is_number(text) for text in column) for column in columns]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            text.rjust(width) if flush else text.ljust(width)
            for text, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()

    return [line(header), *(line(row) for row in cells)]


def _is_number(text: str) -> bool:
    return (
        text in {"", "-"}
        or text.strip("~").replace(",", "").rstrip("%").strip().replace(".", "", 1).isdigit()
    )


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 class`, `2,300 images`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """A share of 0...1 as `98.7 %`."""
    return f"{100 * share:.1f} %"


def size(number: float) -> str:
    """A number of bytes as `1.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def stem(path: str) -> str:
    """The name that an output made from this input begins with."""
    return "stdin" if path == "-" else Path(path).stem or "file"


def choose_output(output: str | None, default: str, *, force: bool, as_json: bool = False) -> str:
    """The path to write to. Raises TlcliError before the command computes if it cannot write there."""
    from tlcli import store

    path = default if output is None else output
    if path == "-":
        if as_json:
            raise UsageError("--json prints to stdout, and so does '-o -'. Take one of them.")
        if sys.stdout is None or sys.stdout.isatty():
            raise UsageError(
                "'-o -' writes a binary file to stdout, which is a terminal here. Pipe it or give a name."
            )
        return path
    if not path.strip():
        raise UsageError("The output has an empty name. Give a path after -o.")
    if path.endswith((os.sep, os.altsep or os.sep)):
        raise UsageError(f"The output '{path}' is the name of a folder. Give that of a file after -o.")
    store.check_output(path, force)
    return path
