"""A number a task, as settings write it."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from numbers import Real
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.errors import nearest


def per_task(
    given: Any,
    tasks: Sequence[str],
    setting: str,
    method: str,
    *,
    default: float | None = None,
    least: float = -inf,
    above: float = -inf,
) -> Float[Tensor, " tasks"]:
    """A number for every task, float64, in the order of `tasks`.

    Args:
        given: task -> number, for every task; or a list in the order of `tasks`; or None.
        tasks: names of all tasks.
        setting: what the numbers are, a word in the plural, for errors.
        method: whose setting it is, for errors.
        default: of every task where nothing is given; None: something has to be.
        least: the smallest number allowed.
        above: every number has to be larger.

    Raises:
        ValueError: numbers missing, left over, or not allowed; names the task.

    Example:
        >>> per_task({"b": 2.0, "a": 1.0}, ["a", "b"], "weights", "fixed")
        tensor([1., 2.], dtype=torch.float64)
    """
    one = setting.removesuffix("s")
    example = f"{setting}={{" + ", ".join(f"{n!r}: 1.0" for n in tasks[:2]) + (", …}" if len(tasks) > 2 else "}")
    if given is None:
        if default is None:
            raise ValueError(f"{method}: it needs a {one} for every task: {example}")
        return torch.full((len(tasks),), default, dtype=torch.float64)
    if not isinstance(given, Mapping):
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ValueError(f"{method}: {setting}={given!r}, a number for every task is wanted: {example}")  # noqa: TRY004
        if len(given) != len(tasks):
            raise ValueError(f"{method}: {len(given)} {setting} for the {len(tasks)} tasks {list(tasks)}: {example}")
        given = dict(zip(tasks, given, strict=True))
    bound = f" > {above:g}" if above > -inf else f" >= {least:g}" if least > -inf else ""
    for name, number in given.items():
        if name not in tasks:
            raise ValueError(f"{method}: a {one} for the unknown task {name!r}; {nearest(name, tasks)}")
        is_number = isinstance(number, Real) and not isinstance(number, bool)
        if not (is_number and isfinite(number) and number >= least and number > above):
            raise ValueError(f"{method}: the {one} of task {name!r} is {number!r}, a finite number{bound} is wanted")
    if missing := [name for name in tasks if name not in given]:
        raise ValueError(f"{method}: no {one} for task {missing[0]!r}: {example}")
    return torch.tensor([given[name] for name in tasks], dtype=torch.float64)
