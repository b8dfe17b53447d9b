"""ML-ROS: rows of rare labels are cloned, where a row has several labels."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from polytask.data.resample.base import Resampler, codes_of
from polytask.data.resample.imbalance import imbalance_ratios, mean_imbalance_ratio
from polytask.data.targets import Targets
from polytask.errors import ConfigError, nearest
from polytask.ragged import as_padded
from polytask.tasks import Fitted, Task


class MLROS(Resampler):
    """Rows of labels with IRLbl > MeanIR are cloned, one a label in turn, until there are `percent` % more rows.

    Labels are those of multilabel tasks and, of a classification of two classes, the class that sorts last; all tasks
    of one table count together. A label drops out when its imbalance ratio, over all rows by then, is the mean of the
    beginning or less. Cloning also raises the frequent labels that a row has. A missing label is none.

    Args:
        tasks: names of the tasks whose labels count; all that have any where not given.
        percent: more rows than there were, in %, > 0.

    Raises:
        ValueError: a percentage out of range.

    Paper: Charte, Rivera, del Jesus, Herrera: Addressing imbalance in multilabel classification: measures and
        random resampling algorithms, Neurocomputing 163, 2015.

    Deviates: it stops early where no label is left above the mean; labels without a positive row do not count.
    """

    name: ClassVar[str] = "ml_ros"
    paper: ClassVar[str | None] = "charte2015"

    def __init__(self, *, tasks: tuple[str, ...] | None = None, percent: float = 25.0) -> None:
        if not percent > 0:
            raise ValueError(f"ml_ros: percent={percent} is out of range; more rows in % are wanted, as 25")
        self.tasks = tasks
        self.percent = percent

    def check(self, tasks: Sequence[Task]) -> None:
        """See `Resampler.check`."""
        by_name = {task.name: task for task in tasks}
        for name in self.tasks or ():
            if name not in by_name:
                raise ConfigError(f"data.resample: ml_ros names {name!r}, which is no task; {nearest(name, by_name)}")
            if by_name[name].kind not in ("classification", "multilabel"):
                raise ConfigError(
                    f"data.resample: ml_ros evens out labels, and task {name!r} is of kind {by_name[name].kind}; "
                    "multilabel tasks and classifications of two classes have labels"
                )
        if not any(task.kind in ("classification", "multilabel") for task in tasks):
            raise ConfigError(
                "data.resample: ml_ros wants tasks that have labels, multilabel or of two classes, and there is none"
            )

    def about(self, tasks: Sequence[Task]) -> list[str]:
        """See `Resampler.about`."""
        able = [task.name for task in tasks if task.kind in ("classification", "multilabel")]
        return [name for name in able if self.tasks is None or name in self.tasks]

    def positions(
        self,
        targets: Targets,
        tasks: Sequence[Task],
        fitted: Mapping[str, Fitted],
        generator: np.random.Generator,
    ) -> np.ndarray:
        """All rows, and the clones behind them."""
        labels = self.labels(targets, tasks, fitted)
        counts = labels.sum(axis=0).astype(np.float64)
        mean = mean_imbalance_ratio(counts)
        bags = {
            int(k): np.flatnonzero(labels[:, k]) for k in np.flatnonzero(imbalance_ratios(counts) > mean) if counts[k]
        }
        left = int(len(labels) * self.percent / 100)
        clones: list[int] = []
        while left > 0 and bags:
            for label, bag in list(bags.items()):
                clones.append(int(generator.choice(bag)))
                counts += labels[clones[-1]]
                if counts.max() / counts[label] <= mean:
                    del bags[label]
                left -= 1
                if not left:
                    break
        return np.concatenate([np.arange(len(labels)), np.array(clones, dtype=np.int64)])

    def labels(self, targets: Targets, tasks: Sequence[Task], fitted: Mapping[str, Fitted]) -> np.ndarray:
        """Which labels each row has, `[rows, labels]`."""
        columns = [np.zeros((targets.num_rows, 0), dtype=bool)]
        for task in tasks:
            if task.name not in self.about(tasks):
                continue
            if task.kind == "multilabel":
                values, present = as_padded(targets.values[task.name]), as_padded(targets.present[task.name])
                columns.append(((values > 0.5) & present).cpu().numpy())
            elif task.kind == "classification" and len(fitted[task.name]["classes"]) == 2:
                columns.append(codes_of(targets, task.name)[:, None] == 1)
        return np.concatenate(columns, axis=1)

    def said(self, before: Targets, after: Targets, tasks: Sequence[Task], fitted: Mapping[str, Fitted]) -> str:
        """MeanIR before and after."""
        labels = [self.labels(one, tasks, fitted) for one in (before, after)]
        if labels[0].shape[1] < 2:
            return "" if not labels[0].shape[1] else "no effect: one label alone has nothing to be rarer than"
        mean, then = (mean_imbalance_ratio(one.sum(axis=0).astype(np.float64)) for one in labels)
        return f"mean imbalance ratio of {labels[0].shape[1]} labels {mean:.2f} -> {then:.2f}"
