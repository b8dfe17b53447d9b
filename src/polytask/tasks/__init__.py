"""What is predicted: target, head, loss, decoding and metrics of one kind of task in one file each."""

from polytask.tasks.base import Fitted, Metric, Task, VectorHead, in_full_precision
from polytask.tasks.classification import Classification
from polytask.tasks.multilabel import Multilabel
from polytask.tasks.ordinal import Ordinal
from polytask.tasks.regression import Regression
from polytask.tasks.similarity import Similarity

#: Every kind of task by the name it has in YAML.
TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "multilabel": Multilabel,
    "regression": Regression,
    "ordinal": Ordinal,
    "similarity": Similarity,
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
    "Task",
    "VectorHead",
    "in_full_precision",
]
