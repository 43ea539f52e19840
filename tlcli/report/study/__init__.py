"""The study behind a report: merged runs, sorted into cells; each quantity of a cell is computed once."""

from tlcli.report.study.cell import Cell
from tlcli.report.study.entry import Entry
from tlcli.report.study.grid import Task
from tlcli.report.study.study import Options, Study

__all__ = ["Cell", "Entry", "Options", "Study", "Task"]
