"""One step that several processes take together, each on its own rows of one global batch."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.errors import ProcessError
from polytask.gradients.checks import check_losses, check_names, check_penalty
from polytask.gradients.collectives import Collectives, Group, attempt
from polytask.gradients.graph import leaves
from polytask.gradients.task_gradients import add_gradient, dense, row_dtype


@dataclass(frozen=True)
class Met:
    """The tasks of a step, whichever process has them.

    Attributes:
        names: of the tasks that some process has a loss of.
        values: their losses, added up over the processes.
        num_penalties: how many processes have a penalty.
    """

    names: tuple[str, ...]
    values: Float[Tensor, " present"]
    num_penalties: int


class Shares(dict[str, Tensor]):
    """This process's shares of the tasks' mean losses over the global batch, to be differentiated: task -> scalar.

    Attributes:
        means: the mean losses themselves, without a graph, of every task that some process has a label of.
    """

    def __init__(self, shares: Mapping[str, Tensor], means: Mapping[str, Tensor]) -> None:
        super().__init__(shares)
        self.means = dict(means)


class Processes:
    """The processes of one training: adds up what each of them knows from its rows, so that all hold the same numbers.

    Every process builds it and takes every step, whether or not its rows have a label; none of its methods may be
    called by some processes only. Gradients are those of the global batch: a step costs three collectives, the label
    counts (`shares`), the tasks present and their losses, and one flat sum of all gradients (J and the tasks' own).

    Args:
        parameters: all trainable parameters that any loss reaches, in the same order in every process.
        tasks: names of all tasks, in the same order in every process, which is that of the tasks in a step.
        group: of the processes; all where not given.

    Attributes:
        rank: of this process in the group.
        size: how many processes there are.

    Raises:
        ValueError: no process group was started; no tasks, or parameters on several devices.
        ProcessError: the processes' parameters differ in number, shape or value.
    """

    def __init__(self, parameters: Iterable[Tensor], tasks: Sequence[str], group: Group = None) -> None:
        self._given = list({id(p): p for p in parameters}.values())
        self.parameters = [p for p in self._given if p.requires_grad]
        self.tasks = tuple(tasks)
        if not self.parameters or not self.tasks or isinstance(tasks, str):
            wanted = "all trainable parameters and the names of all tasks are wanted: model.parameters(), ['a', 'b']"
            raise ValueError(f"processes: {len(self.parameters)} parameters and tasks={tasks!r}: {wanted}")
        if len(devices := {str(p.device) for p in self.parameters}) > 1:
            raise ValueError(
                f"processes: parameters on {' and '.join(sorted(devices))}: one device a process is wanted"
            )
        self._collectives = Collectives(self.parameters[0].device, group)
        self.rank, self.size = self._collectives.rank, self._collectives.size
        self.dtype = row_dtype(self.parameters)
        self._known = {id(p) for p in self.parameters}
        self._followed: set[tuple[tuple[str, ...], int]] = set()
        self._check_alike()
        self.check_equal()

    def shares(self, sums: Mapping[str, tuple[Tensor, Tensor]]) -> Shares:
        """This process's shares of the tasks' mean losses over the global batch: sum ÷ labels of all processes.

        Args:
            sums: task -> the sum of its losses over this process's rows, and the number (or weight) of its labels
                there; a task without one may be left out.

        Raises:
            ValueError: an unknown task.
            ProcessError: another process has failed, or has ended.
        """
        _, failure = attempt(lambda: self.check_names(sums))
        columns = zip(*(sums.get(name, (None, None)) for name in self.tasks), strict=True)
        found = self._numbers([number for column in columns for number in column], failure)
        totals, counts = found.split(len(self.tasks))
        labels = dict(zip(self.tasks, counts.tolist(), strict=True))
        means = {n: total / labels[n] for n, total in zip(self.tasks, totals, strict=True) if labels[n] > 0}
        return Shares({name: total / labels[name] for name, (total, _) in sums.items() if name in means}, means)

    def meet(self, losses: Mapping[str, Tensor], penalty: Tensor | None = None) -> Met:
        """Which tasks this step has, and their losses.

        Raises:
            ValueError: no process has a loss; one that cannot be differentiated; parameters that it reaches and
                that are not among `parameters`.
            ProcessError: another process has failed, or has ended.
        """
        _, failure = attempt(lambda: self._check_losses(losses, penalty))
        held = [losses.get(name) for name in self.tasks] if failure is None else []
        one = torch.ones(())
        marks = [None if loss is None else one for loss in held]
        found = self._numbers([*held, *marks, None if penalty is None else one], failure, 2 * len(self.tasks) + 1)
        values, present, penalties = found.split([len(self.tasks), len(self.tasks), 1])
        places = present.nonzero().flatten()
        if not len(places):
            raise ValueError("losses is empty in every process: a step needs the loss of at least one task")
        return Met(tuple(self.tasks[k] for k in places.tolist()), values[places], round(float(penalties)))

    def added_up(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sum of every task's losses over the processes that have one, without a graph."""
        _, failure = attempt(lambda: self.check_names(losses))
        one = torch.ones(())
        held = [losses.get(name) for name in self.tasks]
        found = self._numbers([*held, *(None if loss is None else one for loss in held)], failure)
        values, present = found.split(len(self.tasks))
        return {name: values[k] for k, name in enumerate(self.tasks) if present[k] > 0}

    def summed(self, pieces: Sequence[Tensor | None], failure: Exception | None = None) -> list[Tensor | None]:
        """A gradient of every parameter, added up; None where no process has one. Sparse ones become dense."""
        sizes = [p.numel() for p in self.parameters]
        reached = torch.tensor([float(piece is not None) for piece in pieces])
        found = self.sum([*(None if g is None else dense(g) for g in pieces), reached], [*sizes, len(sizes)], failure)
        *flat, flags = found.split([*sizes, len(sizes)])
        return [
            piece.view(p.shape).to(p.device, p.dtype) if flag else None
            for p, piece, flag in zip(self.parameters, flat, (flags > 0).tolist(), strict=True)
        ]

    def sum(
        self,
        pieces: Sequence[Tensor | None],
        sizes: Sequence[int],
        failure: Exception | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """As `Collectives.sum`, in the widest type of the parameters."""
        return self._collectives.sum(pieces, sizes, dtype or self.dtype, failure)

    @contextmanager
    def adding_up(self) -> Iterator[None]:
        """What backward passes within it add to `.grad` is added up over the processes; what was there stays as it is.

        Raises:
            ProcessError: another process has failed, or has ended.
        """
        before = [p.grad for p in self.parameters]
        for p in self.parameters:
            p.grad = None
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        found = [p.grad for p in self.parameters]
        for p, gradient in zip(self.parameters, before, strict=True):
            p.grad = gradient
        for p, piece in zip(self.parameters, self.summed(found, failure), strict=True):
            if piece is not None:
                add_gradient(p, piece)

    def check_equal(self) -> None:
        """Whether all processes hold the same parameters, bit for bit.

        Raises:
            ProcessError: names the first parameter that differs.
        """
        first, *others = self._collectives.gather(torch.stack([_bits(p) for p in self.parameters]))
        for rank, other in enumerate(others, start=1):
            if differing := (first != other).nonzero().flatten().tolist():
                k = differing[0]
                raise ProcessError(
                    f"parameter {k} (shape {list(self.parameters[k].shape)}) has other values in process {rank} than "
                    "in process 0: seed all processes alike before the model is built, or load one file in all"
                )

    def check_names(self, names: Iterable[str]) -> None:
        """Raises ValueError that names an unknown task."""
        check_names(names, self.tasks)

    def check_shared(self, shared: Iterable[Tensor]) -> None:
        """Raises ValueError that names a parameter that is not among all parameters."""
        for k, parameter in enumerate(shared):
            if parameter.requires_grad and id(parameter) not in self._known:
                raise ValueError(
                    f"shared[{k}] {list(parameter.shape)} is not among the parameters that processes add up: "
                    "Processes(all parameters that a loss reaches, tasks)"
                )

    def _check_losses(self, losses: Mapping[str, Tensor], penalty: Tensor | None) -> None:
        check_penalty(penalty)
        if losses:
            check_losses(losses)
        self.check_names(losses)
        # What was frozen when this was built and is not any more would train on this process's rows alone.
        followed = (tuple(losses), sum(p.requires_grad for p in self._given))
        if followed in self._followed:
            return
        for leaf in leaves(losses.values()):
            if id(leaf) not in self._known:
                raise ValueError(
                    f"a loss reaches a parameter of shape {list(leaf.shape)} that is not among those that processes "
                    "add up, and would train on this process's rows alone: Processes(all parameters, tasks)"
                )
        self._followed.add(followed)

    def _numbers(
        self, numbers: Sequence[Tensor | None], failure: Exception | None, count: int | None = None
    ) -> Float[Tensor, " numbers"]:
        sizes = [1] * (len(numbers) if count is None else count)
        return self.sum(numbers, sizes, failure, torch.float64).cpu()

    def _check_alike(self) -> None:
        marks = [hashlib.sha256(f"{list(p.shape)} {p.dtype}".encode()).digest()[:7] for p in self.parameters]
        names = hashlib.sha256("\0".join(self.tasks).encode()).digest()[:7]
        numbers = [torch.tensor([len(marks), int.from_bytes(names, "big")]), torch.tensor([*map(_number, marks)])]
        counts = self._collectives.gather(numbers[0])
        for rank, count in enumerate(counts):
            if not torch.equal(count, counts[0]):
                what = "tasks, or in another order," if count[0] == counts[0][0] else f"{int(count[0])} parameters"
                there = f"in process 0 ({int(counts[0][0])} parameters)"
                raise ProcessError(f"process {rank} has other {what} than {there}: build the same model in all")
        first, *others = self._collectives.gather(numbers[1])
        for rank, other in enumerate(others, start=1):
            if differing := (first != other).nonzero().flatten().tolist():
                shape = list(self.parameters[differing[0]].shape)
                raise ProcessError(
                    f"parameter {differing[0]} has another shape or type in process {rank} than in process 0 (here "
                    f"{shape}): build the same model in all, its parameters in the same order"
                )


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "big")


def _bits(parameter: Tensor) -> Tensor:
    """A number that all bits of the values go into; NaN counts like any other."""
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    flat = parameter.detach().reshape(-1)
    return flat.view(kinds[flat.element_size()]).sum(dtype=torch.int64)
