"""What every regularizer is: a penalty on the tasks' heads and outputs, whatever the sharing."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from polytask.config import choose
from polytask.errors import nearest
from polytask.feature import OutputSpec


class Regularizer(nn.Module, ABC):
    """A penalty that relates tasks: added to their losses in training, unbalanced, and seen by no balancer.

    A concrete one is built as `TheRegularizer(outputs, heads, **settings)`. What it learns lies in buffers; it has no
    parameters.

    Args:
        outputs: task -> what its head gives for a row.
        heads: task -> its head.
    """

    #: `TheRegularizer.with_(**settings)`: a choice, to be built later.
    with_: ClassVar[Any] = classmethod(choose)
    #: What its penalty is called: its name in the catalogue.
    name: ClassVar[str]
    #: When to use it, in a line.
    use_when: ClassVar[str] = ""
    #: Whether it compares the outputs of several tasks for the same rows.
    compares_outputs: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, outputs: Mapping[str, OutputSpec], heads: Mapping[str, nn.Module]) -> None:
        super().__init__()

    @abstractmethod
    def forward(
        self, outputs: Mapping[str, Float[Tensor, "batch ..."]], heads: Mapping[str, nn.Module]
    ) -> Float[Tensor, ""] | None:
        """The weighted penalty of one training forward; None: nothing.

        Args:
            outputs: task -> what its head gave, of the tasks in this forward; no other task gets a gradient.
            heads: task -> its head, of all tasks.
        """


def checked_weight(name: str, weight: float) -> float:
    """The weight.

    Raises:
        ValueError: it is below 0 or not finite.
    """
    if not 0 <= weight < float("inf"):
        raise ValueError(f"{name}: weight={weight}, a number from 0 is wanted")
    return weight


def chosen_tasks(name: str, tasks: Sequence[str] | None, known: Mapping[str, Any]) -> tuple[str, ...]:
    """The tasks named, or all.

    Raises:
        ValueError: a name that is no task, or fewer than two different ones where some are named.
    """
    if tasks is None:
        return tuple(known)
    for task in tasks:
        if task not in known:
            raise ValueError(f"{name}: {task!r} is no task; {nearest(task, known)}")
    if len(tasks) < 2 or len(set(tasks)) < len(tasks):
        raise ValueError(f"{name}: it relates two tasks or more, each named once, got {list(tasks)}")
    return tuple(tasks)
