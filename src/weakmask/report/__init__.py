"""Reports of runs and predictions: one self-contained HTML file that opens without a network connection."""

from weakmask.report.page import Page, ScanView, write_report

__all__ = ["Page", "ScanView", "write_report"]
