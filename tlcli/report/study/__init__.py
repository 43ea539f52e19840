"""The study behind a report: merged runs, sorted into cells; each quantity of a cell is computed once."""

from tlcli.report.study.entry import Entry
from tlcli.report.study.grid import Cell, Study, Task

__all__ = ["Cell", "Entry", "Study", "Task"]
