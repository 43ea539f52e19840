"""Turn results into a report: tables, figures, discussion, provenance."""

from tlcli.report.report import ReportSummary, build

__all__ = ["ReportSummary", "build"]
