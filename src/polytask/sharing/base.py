"""What every sharing scheme is: who runs which stage with whom."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.config import choose
from polytask.feature import Feature, Inputs, MakeEncoder, OutputSpec
from polytask.sharing.record import Record

#: Stands in a task's list of features where a scheme has nothing to give and the task's head reads nothing.
UNREAD = Feature(torch.empty(0))


class Sharing(nn.Module, ABC):
    """Runs the stages for the tasks asked for.

    A concrete scheme is built as `TheSharing(make_encoder, tasks, generator, **settings)`, makes its own fresh chains
    by calling `make_encoder(copy)`, and sets `tasks` and `widths`.

    Args:
        make_encoder: builds a fresh chain of stages; equal copies start from equal weights.
        tasks: task -> the stages its head reads (0 the first, -1 the last).
        generator: for the draws of schemes that draw.

    Attributes:
        tasks: task -> the stages its head reads, in order.
        widths: channels after each stage, as heads read them.
    """

    tasks: Mapping[str, tuple[int, ...]]
    widths: Sequence[int]
    #: `TheSharing.with_(**settings)`: a choice, to be built later.
    with_: ClassVar[Any] = classmethod(choose)
    #: What the losses of initial predictions weigh (see `initial_features`); 0: there are none.
    initial_weight: float = 0.0
    #: When to use it, in a line.
    use_when: ClassVar[str] = ""
    #: Whether every training step has a preference among the tasks that the balancer has to follow.
    draws_preference: ClassVar[bool] = False
    #: Task -> its share of that preference in the last forward of training, for all tasks; None where there is none.
    preference_of_last_forward: Mapping[str, float] | None = None

    @abstractmethod
    def __init__(
        self, make_encoder: MakeEncoder, tasks: Mapping[str, tuple[int, ...]], generator: torch.Generator
    ) -> None:
        super().__init__()
        if not isinstance(tasks, Mapping) or not tasks:
            raise ValueError(f"sharing: tasks are a dict, name -> the stages its head reads, not {tasks!r}")
        self.tasks = {name: tuple(read) for name, read in tasks.items()}

    @abstractmethod
    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage for each of these tasks, running only what they need.

        A task's list goes at least to the deepest stage that its head reads. A scheme may leave `UNREAD` where it
        reads nothing.
        """

    @abstractmethod
    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The parameters that this task alone reaches."""

    def penalty_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that no task's loss reaches, only a penalty: a discriminator's, say."""
        return iter(())

    def undecayed_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that weight decay must not act on: mixing weights, whose neutral value is not 0."""
        return iter(())

    def rates(self) -> Mapping[float, Iterable[nn.Parameter]]:
        """Parameters that learn at a rate of their own: the factor on the learning rate -> these."""
        return {}

    def shared_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that at least two tasks' losses reach: all that neither a task owns nor a penalty."""
        others = {id(p) for task in self.tasks for p in self.task_parameters(task)}
        others |= {id(p) for p in self.penalty_parameters()}
        return (p for p in self.parameters() if id(p) not in others)

    def widths_of(self, task: str) -> Sequence[int]:
        """Channels after each stage as this task's head reads them: `widths`, but where tasks differ."""
        return self.widths

    def depth(self, task: str) -> int:
        """How many stages this task needs: up to the last one its head reads."""
        return max(self.reads(task)) + 1

    def reads(self, task: str) -> tuple[int, ...]:
        """The stages this task's head reads, counted from the front."""
        num_stages = len(self.widths_of(task))
        for stage in self.tasks[task]:
            if not -num_stages <= stage < num_stages:
                raise ValueError(
                    f"task {task!r} reads stage {stage}, but the encoder has {num_stages} stages: "
                    f"0 to {num_stages - 1}, or -1 for the last"
                )
        return tuple(stage % num_stages for stage in self.tasks[task])

    def own_stages(self, task: str) -> range:
        """The stages of a chain common to all tasks that no other task's head needs."""
        others = max((self.depth(other) for other in self.tasks if other != task), default=0)
        return range(min(others, self.depth(task)), self.depth(task))

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """Losses of the scheme itself from the last forward; no balancer sees them.

        The step adds them to the tasks' losses: where it has several forwards, the mean of each name over those that
        gave it.
        """
        return {}

    def initial_features(self) -> Mapping[str, list[Feature]]:
        """Of the last forward in training: task -> the features that a second head of the task predicts from.

        Asked where `initial_weight` is above 0. The second head is as the first, its loss added to the task's.
        """
        return {}

    def outputs_read_by(self, task: str) -> tuple[str, ...]:
        """The tasks whose heads' outputs this one's features are made of, those that they read in turn included.

        Where there are any, `forward` takes a third argument that asks for them, a `HeadOutput`; their heads then count
        as shared.
        """
        return ()

    @classmethod
    def encoder_alone(cls, settings: Mapping[str, Any], task: str) -> Any:
        """The encoder that this task has to itself under these settings of the scheme; None: the model's.

        A study trains the task's single-task twin with it.
        """
        return None

    def expect_outputs(self, outputs: Mapping[str, OutputSpec]) -> None:
        """Told once, before the first forward, what each task's head gives for a row."""

    def output_penalties(self, outputs: Mapping[str, Float[Tensor, "batch ..."]]) -> dict[str, Float[Tensor, ""]]:
        """Losses of the scheme on what the heads gave in a training forward, for the tasks in it: as `penalties`."""
        return {}

    def records(self) -> dict[str, Record]:
        """What the scheme has learnt about who shares what, by title: for the history and the report."""
        return {}

    def prefer(self, preference: Mapping[str, float]) -> None:
        """Sets how much each task matters from now on, for schemes that can trade tasks against each other.

        Raises:
            ValueError: a scheme that cannot; a preference that cannot be.
        """
        raise ValueError(
            f"{type(self).__name__} reads no preference among tasks, so that none can be chosen after training; train "
            "with sharing: preference_conditioned"
        )

    def notices(self) -> Iterator[str]:
        """What a user should know of these settings before training: what they cost, or that they have no effect."""
        return iter(())

    def check_rows(self, tables: Sequence[Sequence[str]], *, is_one_task_a_step: bool) -> None:
        """Refuses tasks on rows of their own where the scheme cannot serve them so, or needs just that.

        Args:
            tables: the tasks of each table: one group where all tasks are trained on the same rows.
            is_one_task_a_step: whether every step's batch is for one task alone (agenda alternating).

        Raises:
            ValueError: says why, and what would work.
        """
