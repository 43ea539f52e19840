"""The register of the sections of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlcli.register import Register

if TYPE_CHECKING:
    from tlcli.report.document import Block

Make = Callable[..., "Iterable[Block]"]
"""`make(study, task)`; the task is None for a section of the whole study."""


@dataclass(frozen=True)
class SectionKind:
    """A section that a report has if `make` yields blocks."""

    name: str
    title: str
    order: int
    """Its place on the page; small numbers are near the top."""
    make: Make
    per_task: bool
    """Whether there is a section for each target task, or one for the whole study (whose task is None)."""
    folded: bool

    @property
    def summary(self) -> str:
        """One line for a list."""
        return self.title


SECTIONS: Register[SectionKind] = Register("section", "tlcli.sections", "tlcli.report.sections")


def section(
    name: str, title: str, *, order: int = 80, per_task: bool = True, folded: bool = False
) -> Callable[[Make], Make]:
    """Register a section of the report: a function that yields its blocks.

    Args:
        name: The anchor on the page: letters, digits, dots, dashes, underscores.
        title: The heading; the task is added if there are several.
        order: Its place: accuracy has 10, "How it was made" 90.
        per_task: Make one for each target task; else one for the whole study.
        folded: Show the heading alone until a reader opens it.

    The decorated function is called as `make(study, task)`, with None as task for the whole study. It
    yields blocks of `tlcli.report.document`: `Text(text)`, `Table(id, caption, columns, rows)`,
    `Chart(id, caption, alt, draw)`, where `draw(columns)` gives a matplotlib Figure. Without blocks there is
    no section. `study.entries` are the runs: `entry.arm`, `entry.size`, and all that a results file holds of
    one in `entry.run`.

        import tlcli
        from tlcli.report.document import Text

        @tlcli.section("worst", "The worst run", per_task=False)
        def worst(study, task):
            runs = [entry.run for entry in study.entries if entry.run.test_accuracy is not None]
            if runs:
                run = min(runs, key=lambda r: r.test_accuracy)
                yield Text(f"Run {run.run} of {run.arm} has {100 * run.test_accuracy:.1f} %.")

    Raises:
        UsageError: The name has another owner.
    """

    def register(make: Make) -> Make:
        SECTIONS.add(name, SectionKind(name, title, order, make, per_task, folded), make)
        return make

    return register
