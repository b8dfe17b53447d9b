"""Which weights are kept, and when training ends."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from polytask.errors import ConfigError, nearest
from polytask.train.settings import EarlyStopping

#: The name of the weights that are best for the watched score; the others are called by their tasks.
MEAN = "mean"


class Selection:
    """Keeps the best weights for the watched score and for every task, and says who stops.

    Args:
        tasks: names of all tasks.
        settings: of early stopping.

    Attributes:
        best: `"mean"` or task -> best score so far, and its epoch.
        gained: `"mean"` or task -> the score that patience counts from, and its epoch: the last that gained
            `min_gain` (−∞ from the first epoch on, where there is no score yet).
        weights: `"mean"` or task -> the weights then.
        active: tasks that still train.

    Raises:
        ConfigError: `by` names no task.
    """

    def __init__(self, tasks: Sequence[str], settings: EarlyStopping) -> None:
        named = [settings.by] if isinstance(settings.by, str) else list(settings.by)
        for name in named:
            if name not in (*tasks, MEAN):
                raise ConfigError(f"train.early_stopping.by: {name!r} is no task; {nearest(name, [*tasks, MEAN])}")
        self.tasks = tuple(tasks)
        self.settings = settings
        self.best: dict[str, tuple[float, int]] = {}
        self.gained: dict[str, tuple[float, int]] = {}
        self.weights: dict[str, dict[str, Tensor]] = {}
        self.active = list(tasks)

    def watched(self, skills: Mapping[str, float]) -> float:
        """The score that stops training and picks weights; tasks without a skill on validation are left out."""
        by = self.settings.by
        if isinstance(by, str) and by != MEAN:
            return skills[by]
        weights = dict.fromkeys(self.tasks, 1.0) if isinstance(by, str) else by
        known = [(weights[t], skills[t]) for t in weights if weights[t] and not math.isnan(skills[t])]
        total = sum(weight for weight, _ in known)
        return sum(weight * skill for weight, skill in known) / total if total else math.nan

    def update(self, epoch: int, skills: Mapping[str, float], state: Mapping[str, Tensor]) -> list[str]:
        """Takes in one epoch's validation; returns whose best weights these are.

        With no score at all (no labelled validation rows) the newest weights count as the best, but no epoch as a
        gain.
        """
        improved = []
        copy: dict[str, Tensor] | None = None
        for name, score in {MEAN: self.watched(skills), **skills}.items():
            if name != MEAN and name not in self.active:
                continue
            self._count_gain(name, score, epoch)
            before = self.best.get(name, (-math.inf, 0))[0]
            if math.isnan(score) and not math.isfinite(before):
                score = -math.inf
            elif not (score > before or not math.isfinite(before)):
                continue
            if copy is None:
                copy = {key: value.detach().to("cpu", copy=True) for key, value in state.items()}
            self.best[name] = (score, epoch)
            self.weights[name] = copy
            improved.append(name)
        self._stop_tasks(epoch)
        return improved

    def is_over(self, epoch: int) -> bool:
        """Whether training ends after this epoch."""
        patience = self.settings.patience
        if patience is None:
            return False
        if self.settings.per_task:
            return not self.active
        return epoch - self.gained[MEAN][1] >= patience

    def _count_gain(self, name: str, score: float, epoch: int) -> None:
        reference, _ = self.gained.setdefault(name, (-math.inf, epoch))
        if score > reference + self.settings.min_gain:
            self.gained[name] = (score, epoch)

    def _stop_tasks(self, epoch: int) -> None:
        patience = self.settings.patience
        if self.settings.per_task and patience is not None:
            self.active = [t for t in self.active if epoch - self.gained[t][1] < patience]

    def state(self) -> dict[str, Any]:
        """All but the weights, which stand in the Run folder's `weights/`."""
        best, gained = ({k: [*v] for k, v in scores.items()} for scores in (self.best, self.gained))
        return {"best": best, "gained": gained, "active": list(self.active)}

    def restore(self, state: Mapping[str, Any], weights: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Sets what `state` saved."""
        self.best = {name: (score, epoch) for name, (score, epoch) in state["best"].items()}
        self.gained = {name: (score, epoch) for name, (score, epoch) in state["gained"].items()}
        self.active = list(state["active"])
        self.weights = {name: dict(values) for name, values in weights.items()}
