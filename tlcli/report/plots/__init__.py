"""The figures of a report. Each function takes its data and the number of columns that fit side by side."""

from tlcli.report.plots.arms import (
    MOST_PANELS,
    accuracy_by_size,
    accuracy_rows,
    curve_limits,
    curves,
    differences,
    forgetting,
    is_cut,
    overview,
    parts,
    runs,
)
from tlcli.report.plots.axes import chance_is_near, spread
from tlcli.report.plots.effective import effective_data
from tlcli.report.plots.frontier import frontier
from tlcli.report.plots.single import confusion, layers, neighbours, network, pictures, scatter

__all__ = [
    "MOST_PANELS",
    "accuracy_by_size",
    "accuracy_rows",
    "chance_is_near",
    "confusion",
    "curve_limits",
    "curves",
    "differences",
    "effective_data",
    "forgetting",
    "frontier",
    "is_cut",
    "layers",
    "neighbours",
    "network",
    "overview",
    "parts",
    "pictures",
    "runs",
    "scatter",
    "spread",
]
