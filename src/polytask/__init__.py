"""polytask: train one model for many tasks, and know whether you should.

Names are loaded when they are first used, so that `import polytask` is quick and loads neither torch nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # what type checkers and editors see; the same names as in _PLACES
    # ruff: noqa: F401
    from polytask import balance, encoders, regularizers, sharing, studies, tasks
    from polytask.balance import Engine
    from polytask.catalogue import cite
    from polytask.data import SplitSettings, Table, WindowSettings, merge, read, windows
    from polytask.experiment import Experiment, fit, pseudo_label
    from polytask.report import report
    from polytask.runs import Run, load
    from polytask.studies import Study, study
    from polytask.tasks import Classification, Multilabel, Ordinal, Regression, Similarity, Tagging, VectorRegression
    from polytask.train import EarlyStopping, Training

#: Public name -> the module that holds it; "" marks the module itself.
_PLACES = {
    "balance": "",
    "encoders": "",
    "regularizers": "",
    "sharing": "",
    "studies": "",
    "tasks": "",
    "Engine": "polytask.balance",
    "cite": "polytask.catalogue",
    "SplitSettings": "polytask.data",
    "Table": "polytask.data",
    "WindowSettings": "polytask.data",
    "merge": "polytask.data",
    "read": "polytask.data",
    "windows": "polytask.data",
    "Experiment": "polytask.experiment",
    "fit": "polytask.experiment",
    "pseudo_label": "polytask.experiment",
    "Run": "polytask.runs",
    "load": "polytask.runs",
    "report": "",
    "Study": "polytask.studies",
    "study": "polytask.studies",
    "Classification": "polytask.tasks",
    "Multilabel": "polytask.tasks",
    "Ordinal": "polytask.tasks",
    "Regression": "polytask.tasks",
    "Similarity": "polytask.tasks",
    "Tagging": "polytask.tasks",
    "VectorRegression": "polytask.tasks",
    "EarlyStopping": "polytask.train",
    "Training": "polytask.train",
}

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        from polytask.errors import nearest

        raise AttributeError(f"module 'polytask' has no attribute {name!r}; {nearest(name, _PLACES)}")
    place = _PLACES[name]
    found = getattr(import_module(place), name) if place else import_module(f"polytask.{name}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
