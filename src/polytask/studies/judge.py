"""How the arms of a study compare: evidence on tasks and on their mean, from what the models say of the test rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from polytask.studies.evidence import Evidence, evidence_of, seed_variance
from polytask.studies.influence import mean_over
from polytask.studies.opening import Answers, Place
from polytask.studies.resplits import resplit_evidence
from polytask.studies.row_values import Judged, nothing
from polytask.studies.statistics import Part


@dataclass
class Judge:
    """Compares arms.

    Attributes:
        answers: of all models, for the test rows.
        tasks: names, in order.
        seeds: of the study.
        num_splits: divisions of the rows.
        test_share: test rows ÷ (test + training rows), for repeated splits.
        fixed: arms without chance (one output serves all seeds).
        is_one_table: whether all tasks have their rows in common.
    """

    answers: Answers
    tasks: Sequence[str]
    seeds: Sequence[int]
    num_splits: int
    test_share: float
    fixed: frozenset[str]
    is_one_table: bool

    def judged(self, task: str, split: int = 0) -> Judged:
        """A task's labelled test rows."""
        return self.answers.judged[task, split]

    def difference(self, first: str, second: str, task: str, *, own_best: bool = False) -> Evidence:
        """First − second in skill; with `own_best` the first under its weights that are best for the task."""
        found = [self._on_split(first, second, task, split, own_best) for split in range(self.num_splits)]
        return found[0] if self.num_splits == 1 else self._over_splits(task, found)

    def skill(self, arm: str, task: str) -> Evidence:
        """An arm's own skill."""
        found = []
        for split in range(self.num_splits):
            seeds = self._seeds([(arm, task, split)])
            judged = self.judged(task, split)
            if not seeds:
                found.append(nothing(0, len(judged.rows), judged.clusters))
                continue
            own = judged.skill(self.answers.stacked((arm, task, split), seeds))
            # The one output of an arm without chance stands for all seeds.
            found.append(replace(own, parts=own.parts[1:], seeds=len(self.seeds)) if arm in self.fixed else own)
        return found[0] if self.num_splits == 1 else self._over_splits(task, found)

    def scores(self, arm: str, task: str, *, own_best: bool = False) -> list[list[float]]:
        """The metric of each split and seed; NaN where a Run is missing."""
        table = []
        for split in range(self.num_splits):
            outputs = (self.answers.own_best if own_best else self.answers.usual).get((arm, task, split), {})
            seeds = self.seeds[:1] if arm in self.fixed else self.seeds
            judged = self.judged(task, split)
            table.append([judged.score(outputs[seed]) if seed in outputs else math.nan for seed in seeds])
        return table

    def constant(self, task: str) -> float:
        """The metric of the best constant on test rows, over splits."""
        return float(np.mean([self.judged(task, split).constant for split in range(self.num_splits)]))

    def mean_difference(self, first: str, second: str, tasks: Sequence[str]) -> Evidence | None:
        """First − second in skill, on average over these tasks; None where none is left.

        The variance over rows follows from the rows' influences on all tasks together. Where a task has none (its
        rows are drawn again), the bound is taken that holds however the tasks' errors go together: (mean of
        standard errors)².
        """
        if not tasks:
            return None
        if self.num_splits > 1:
            found = np.mean([self._by_split(first, second, task) for task in tasks], axis=0)
            known = found[~np.isnan(found)]  # a division whose Runs crashed says nothing
            rows, groups = self._union_of_splits(tasks)
            if not len(known):
                return None
            return resplit_evidence(known, test_share=self.test_share, rows=rows, groups=groups)
        seeds = self._seeds([(arm, task, 0) for task in tasks for arm in (first, second)])
        if not seeds:
            return None
        joint = self._joint_influence(first, second, tasks, seeds)
        if joint is not None:
            return joint
        single = [self._on_split(first, second, task, 0, False) for task in tasks]
        by_seed = np.mean([self._by_seed(first, second, task, seeds) for task in tasks], axis=0)
        error = np.mean([math.sqrt(e.parts[1].variance) for e in single])
        degrees = min(e.parts[1].degrees for e in single)
        return Evidence(
            difference=float(by_seed.mean()),
            parts=(Part(seed_variance(by_seed), len(seeds) - 1), Part(float(error**2), degrees)),
            seeds=len(seeds),
            rows=max(e.rows for e in single),
        )

    def _joint_influence(self, first: str, second: str, tasks: Sequence[str], seeds: Sequence[int]) -> Evidence | None:
        influences, places = {}, {}
        union, groups = self._union(tasks)
        for task in tasks:
            judged = self.judged(task)
            outputs = [self.answers.stacked((arm, task, 0), seeds) for arm in (first, second)]
            found = None if judged.task.uses_pairs else judged.influence(outputs[0], outputs[1])
            if found is None:
                return None
            influences[task] = found
            places[task] = np.array([union[self._where(task), row] for row in judged.rows.tolist()])
        D = mean_over(influences, places, num_rows=len(union))
        return evidence_of(D, groups=groups)

    def _union(self, tasks: Sequence[str]) -> tuple[dict[tuple[str, int], int], np.ndarray | None]:
        """A number for every row of any of these tasks, and its group."""
        numbers: dict[tuple[str, int], int] = {}
        groups: list[object] = []
        for task in tasks:
            judged = self.judged(task)
            for k, row in enumerate(judged.rows.tolist()):
                if (key := (self._where(task), row)) not in numbers:
                    numbers[key] = len(numbers)
                    groups.append(None if judged.groups is None else judged.groups[k])
        has_groups = all(self.judged(task).groups is not None for task in tasks)
        return numbers, np.array(groups, dtype=str) if has_groups else None

    def _union_of_splits(self, tasks: Sequence[str]) -> tuple[int, int | None]:
        """How many rows, and groups of them, have a test label of any of these tasks in any division."""
        rows: set[tuple[str, int]] = set()
        groups: set[str] = set()
        for task in tasks:
            for split in range(self.num_splits):
                judged = self.judged(task, split)
                rows |= {(self._where(task), row) for row in judged.rows.tolist()}
                groups |= set() if judged.groups is None else set(map(str, judged.groups))
        return len(rows), len(groups) or None

    def _where(self, task: str) -> str:
        """Rows of one number are one row only within a table."""
        return "" if self.is_one_table else task

    def _on_split(self, first: str, second: str, task: str, split: int, own_best: bool) -> Evidence:
        seeds = self._seeds([(first, task, split), (second, task, split)])
        judged = self.judged(task, split)
        if not len(judged.rows):  # nobody was asked
            return nothing(len(self.seeds), 0, judged.clusters)
        if not seeds:
            return nothing(0, len(judged.rows), judged.clusters)
        candidate = self.answers.stacked((first, task, split), seeds, own_best=own_best)
        return judged.difference(candidate, self.answers.stacked((second, task, split), seeds))

    def _seeds(self, places: Sequence[Place]) -> list[int]:
        """The seeds that all of these have."""
        held = [self.answers.seeds(place) for place in places]
        if not all(held):
            return []
        return [
            s for s in self.seeds if all(s in h for h, p in zip(held, places, strict=True) if p[0] not in self.fixed)
        ]

    def _by_seed(self, first: str, second: str, task: str, seeds: Sequence[int]) -> np.ndarray:
        judged = self.judged(task)
        arms = [self.answers.stacked((arm, task, 0), seeds) for arm in (first, second)]
        values = np.array([[judged.score(output) for output in outputs] for outputs in arms])
        return (values[0] - values[1]) / (judged.metric.perfect - judged.constant)

    def _by_split(self, first: str, second: str, task: str) -> np.ndarray:
        return np.array([self._on_split(first, second, task, k, False).difference for k in range(self.num_splits)])

    def _over_splits(self, task: str, found: Sequence[Evidence]) -> Evidence:
        """Repeated splits: the differences of splits are what varies. Labels are counted over all of them."""
        known = [e for e in found if not math.isnan(e.difference)] or list(found)
        fewest = [e.fewest for e in known if e.fewest is not None]
        classes = [e.classes for e in known if e.classes is not None]
        return resplit_evidence(
            np.array([e.difference for e in known]),
            test_share=self.test_share,
            rows=self._labels[task],
            groups=self._groups[task],
            classes=max(classes) if classes else None,
            fewest=max(fewest) if fewest else None,
            unit=float(np.mean([e.unit for e in known])),
        )

    @cached_property
    def _labels(self) -> dict[str, int]:
        """Different labelled test rows of all splits."""
        splits = range(self.num_splits)
        return {t: len(np.unique(np.concatenate([self.judged(t, k).rows for k in splits]))) for t in self.tasks}

    @cached_property
    def _groups(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for task in self.tasks:
            groups = [g for k in range(self.num_splits) if (g := self.judged(task, k).groups) is not None]
            found[task] = len(np.unique(np.concatenate(groups))) if groups else None
        return found
