"""What is predicted: target, head, loss, decoding and metrics of one kind of task in one file each."""

from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision
from polytask.tasks.classes import class_index, class_key
from polytask.tasks.classification import Classification
from polytask.tasks.label_conventions import as_values
from polytask.tasks.multilabel import Multilabel
from polytask.tasks.ordinal import Ordinal
from polytask.tasks.regression import Regression, own_units
from polytask.tasks.similarity import Similarity
from polytask.tasks.tagging import Tagging
from polytask.tasks.thresholds import cut_of, thresholds
from polytask.tasks.vector_regression import VectorRegression

#: Every kind of task by the name it has in YAML.
TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "multilabel": Multilabel,
    "regression": Regression,
    "ordinal": Ordinal,
    "similarity": Similarity,
    "tagging": Tagging,
    "vector_regression": VectorRegression,
}

__all__ = [
    "TASKS",
    "Classification",
    "Fitted",
    "Metric",
    "Multilabel",
    "Ordinal",
    "Regression",
    "Similarity",
    "Tagging",
    "Task",
    "VectorHead",
    "VectorRegression",
    "as_values",
    "class_index",
    "class_key",
    "cut_of",
    "in_full_precision",
    "own_units",
    "thresholds",
]
