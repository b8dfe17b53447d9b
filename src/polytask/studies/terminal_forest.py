"""The forest plot of a study: what stands in it, in the terminal and on the page, and how characters draw it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from polytask.studies.terminal_text import is_number
from polytask.studies.verdict import NO_VERDICT

#: The row that stands for all tasks.
MEAN = "mean of tasks"


@dataclass(frozen=True)
class Forest:
    """What stands in a forest plot.

    Attributes:
        verdicts: task -> its verdict, in the tasks' order; the mean of tasks last.
        regions: task -> half of its practically-equal region; none where there is no verdict.
        bound: it reaches from minus this to this, in skill: room for all intervals, unless one would dwarf the others.
    """

    verdicts: Mapping[str, Mapping[str, Any]]
    regions: Mapping[str, float]
    bound: float

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> "Forest":
        """That of a study, from its results.json."""
        verdict = results["verdict"]
        verdicts = {task["name"]: verdict["tasks"][task["name"]] for task in results["tasks"]}
        regions = {
            task["name"]: task["region"]
            for task in results["tasks"]
            if is_number(task["region"]) and verdicts[task["name"]]["word"] != NO_VERDICT
        }
        if of_mean := verdict.get("mean"):
            verdicts[MEAN] = of_mean
            region = of_mean.get("region")
            region = mean(regions.values()) if not is_number(region) and regions else region
            if is_number(region) and of_mean["word"] != NO_VERDICT:
                regions[MEAN] = region
        reach = [max(map(abs, numbers_of(found)), default=0.0) for found in verdicts.values()]
        usual = median([r for r in reach if r] or [0.0])
        bound = max(min(max(reach, default=0.0), 8 * usual), 2 * max(regions.values(), default=0.0), 1e-6)
        return cls(verdicts, regions, bound)


def numbers_of(verdict: Mapping[str, Any]) -> list[float]:
    """All that a row draws: the difference and the ends of both intervals."""
    ends = (*(verdict["interval"] or ()), *(verdict["adjusted_interval"] or ()))
    return [value for value in (verdict["difference"], *ends) if is_number(value)]


@dataclass(frozen=True)
class Scale:
    """From differences in skill to characters; zero is the middle one of this odd number."""

    bound: float
    width: int

    def at(self, value: float) -> int:
        """The character of a value; outside 0 to width − 1 where it is out of the picture."""
        half = self.width // 2
        return half + math.floor(value / self.bound * half + 0.5)

    def line(self, verdict: Mapping[str, Any], region: float | None, marks: Mapping[str, str]) -> str:
        """One row of the forest plot; what has no verdict gets a small point, so that it looks like no result."""
        cells = [" "] * self.width

        def fill(ends: Sequence[float | None] | None, mark: str) -> None:
            low, high = ends or (None, None)
            if is_number(low) and is_number(high):
                for place in range(max(self.at(low), 0), min(self.at(high), self.width - 1) + 1):
                    cells[place] = mark

        if region is not None:
            fill((-region, region), marks["region"])
        cells[self.at(0.0)] = marks["zero"]
        fill(verdict["adjusted_interval"], marks["thin"])
        fill(verdict["interval"], marks["wide"])
        difference = verdict["difference"]
        if is_number(difference):
            point = marks["none" if verdict["word"] == NO_VERDICT else "point"]
            cells[min(max(self.at(difference), 0), self.width - 1)] = point
        numbers = numbers_of(verdict)
        if any(self.at(number) < 0 for number in numbers):
            cells[0] = marks["left"]
        if any(self.at(number) >= self.width for number in numbers):
            cells[-1] = marks["right"]
        return "".join(cells)

    def axis(self) -> str:
        """The ends of the scale and its zero."""
        ends = [f"{sign * self.bound:+.2g}" for sign in (-1, 1)]
        middle = self.width // 2
        return f"{ends[0]:<{middle}}0{ends[1]:>{self.width - middle - 1}}"
