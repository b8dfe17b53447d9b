"""The report of a study or a single Run: one page, the same as Markdown, the numbers as JSON."""

from polytask.report.write import report

__all__ = ["report"]
