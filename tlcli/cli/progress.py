"""Progress on stderr: a bar on a terminal, a line a minute elsewhere, nothing for short work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

PATIENCE = 2.0
"""Seconds before anything is shown."""

LINE_EVERY = 60.0
"""Seconds between two lines if stderr is not a terminal, say in a log file."""


@contextmanager
def for_a_person() -> Iterator[None]:
    """Let the work go on if stderr cannot be written (a full disk, a closed pipe): the rest of stderr is
    dropped."""
    try:
        yield
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


class ProgressDisplay:
    """A display of what is done and what there is to do, with a rate and the time to go."""

    def __init__(self, label: str, *, unit: str = "images", silent: bool = False) -> None:
        self.label = label
        self.unit = unit
        self.silent = silent or sys.stderr is None
        self._bar: Any = None
        self._started = self._shown = self._base_time = time.monotonic()
        self._base_done: float | None = None

    def __enter__(self) -> ProgressDisplay:
        self._started = self._shown = self._base_time = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            with for_a_person():
                self._bar.stop()
            self._bar = None

    def __call__(self, done: float, total: float, detail: str = "") -> None:
        """Show `done` of `total`; `detail` names the present task."""
        if self.silent:
            return
        now = time.monotonic()
        if self._base_done is None or done < self._base_done:
            self._base_done, self._base_time = (
                done,
                now,
            )  # images that a resumed call skips do not count for the rate
        if now - self._started < PATIENCE:
            return
        with for_a_person():
            if sys.stderr.isatty():
                self._draw(done, total, detail)
            elif now - self._shown >= LINE_EVERY:
                self._shown = now
                print(self._line(done, total, detail, now), file=sys.stderr, flush=True)

    def report(self, progress: Any) -> None:
        """Show a `Progress` of a training: done, total, the present run and its last measurements."""
        self(progress.done, progress.total, ": ".join(filter(None, (progress.doing, progress.measured))))

    def _rate(self, done: float, now: float) -> float:
        """Units a second since the first report."""
        return (done - (self._base_done or 0)) / max(now - self._base_time, 1e-9)

    def _line(self, done: float, total: float, detail: str, now: float) -> str:
        rate = self._rate(done, now)
        to_go = f", {duration((total - done) / rate)} to go" if rate > 0 else ""
        return (
            f"{self.label}{f' ({detail})' if detail else ''}: {100 * done / max(total, 1):.0f} %, "
            f"{speed(rate)} {self.unit}/s{to_go}"
        )

    def _draw(self, done: float, total: float, detail: str) -> None:
        first = self._bar is None
        if first:
            self._bar = _make_bar()
            self._task = self._bar.add_task("", total=total, label="", rate="", to_go="")
        now = time.monotonic()
        rate = self._rate(done, now)
        self._bar.update(
            self._task,
            completed=done,
            total=total,
            label=f"{self.label} {detail}".rstrip(),
            rate=f"{speed(rate)} {self.unit}/s" if rate > 0 else "",
            to_go=f"{duration((total - done) / rate)} to go" if rate > 0 else "",
        )
        if first:
            self._bar.start()


def speed(rate: float) -> str:
    """`1,234`, or `2.5` where whole numbers would say little."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _make_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.fields[label]}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rate]}", markup=False),
        TextColumn("{task.fields[to_go]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
