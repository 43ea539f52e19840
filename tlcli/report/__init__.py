"""From results to a report that can be handed in: tables, figures, discussion, provenance."""

from tlcli.report.report import ReportSummary, build

__all__ = ["ReportSummary", "build"]
