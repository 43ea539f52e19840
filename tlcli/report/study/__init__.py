"""The study behind a report: runs merged, sorted into cells, and everything known of a cell computed once."""

from tlcli.report.study.entry import Entry
from tlcli.report.study.grid import Cell, Study, Task

__all__ = ["Cell", "Entry", "Study", "Task"]
