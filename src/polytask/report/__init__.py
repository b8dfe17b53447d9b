"""The report of a study or a single Run: one page, the same as Markdown, the numbers as JSON.

The package is itself the function `report`: so `pt.report(study, "report.html")` works whichever of the two names was
loaded first.
"""

import sys
from pathlib import Path
from types import ModuleType

from polytask.report.source import Recorded
from polytask.report.write import report

__all__ = ["report"]


class _CallablePackage(ModuleType):
    def __call__(self, source: "str | Path | Recorded", path: str | Path = "report.html") -> Path:
        """See `polytask.report.write.report`."""
        return report(source, path)


sys.modules[__name__].__class__ = _CallablePackage
