"""A run or a prediction, for a person: one HTML file that opens anywhere, without a network."""

from weakmask.report.page import Page, ScanView, write_report

__all__ = ["Page", "ScanView", "write_report"]
