"""The tasks' gradients of a step that several processes take together."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.gradients.collectives import attempt
from polytask.gradients.loop import Rows
from polytask.gradients.processes import Processes
from polytask.gradients.representation import AtRepresentation
from polytask.gradients.task_gradients import TaskGradients, dense


class RepresentationOfAll(TaskGradients):
    """Gradients at the representation of all processes' rows.

    Every process has the rows of Z of its own examples, so that G = Z Zᵀ is the sum of theirs, with no product between
    processes left out; the update is the sum of the passes through the shared part.

    Args:
        names: tasks that some process has.
        local: of the tasks that this process has; None where it has none.
        failure: why this process has none.
        shared: the trainable shared parameters.
        processes: who takes part.
    """

    def __init__(
        self,
        names: Sequence[str],
        local: AtRepresentation | None,
        failure: Exception | None,
        shared: Sequence[Tensor],
        processes: Processes,
    ) -> None:
        count, flags = len(names), len(shared)
        self._places = [] if local is None else [tuple(names).index(name) for name in local.names]
        here = torch.zeros(count, count, dtype=torch.float64)
        reached = torch.zeros(flags)
        if local is not None:
            product, failure = attempt(local.gramian)
            if product is not None:
                here[torch.tensor(self._places)[:, None], torch.tensor(self._places)] = product
            reached = torch.tensor([float(is_reached) for is_reached in local.reached])
        found = processes.sum([here, reached], [count * count, flags], failure, torch.float64).cpu()
        super().__init__(names, shared, (found[count * count :] > 0).tolist(), [])
        self._gramian = found[: count * count].view(count, count)
        self._local, self._processes = local, processes

    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """Z Zᵀ over the global batch."""
        return self._gramian

    def jacobian(self) -> Float[Tensor, "tasks params"]:
        """Not taken at this level."""
        raise ValueError("level='representation' takes no gradients of the shared parameters: use level='exact'")

    def combined(self, weights: Float[Tensor, " tasks"]) -> list[Tensor | None]:
        """Every process's pass, added up."""
        found: dict[int, Tensor | None] = {}
        if self._local is not None:
            pieces = self._local.combined(weights[self._places])
            found = {id(p): piece for p, piece in zip(self.shared, pieces, strict=True)}
        summed = self._processes.summed([found.get(id(p)) for p in self._processes.parameters])
        of = {id(p): piece for p, piece in zip(self._processes.parameters, summed, strict=True)}
        return [of[id(p)] for p in self.shared]

    def accumulate(self, weights: Float[Tensor, " tasks"]) -> None:
        """Shared and own gradients in one sum."""
        with self._processes.adding_up():
            if self._local is not None:
                self._local.accumulate(weights[self._places])


def gathered(
    take: Callable[[], TaskGradients] | None,
    names: Sequence[str],
    shared: Sequence[Tensor],
    processes: Processes,
    *,
    at_representation: bool,
    with_own: bool,
) -> TaskGradients:
    """The gradients of all processes' rows, the same in each.

    Args:
        take: this process's gradients; None where it has no loss.
        names: of the tasks that some process has.
        shared: the trainable shared parameters.
        processes: who takes part.
        at_representation: whether the gradients are those of the representation.
        with_own: also the gradients of all other parameters.

    Raises:
        ProcessError: another process has failed, or has ended.
    """
    local, failure = (None, None) if take is None else attempt(take)
    if at_representation:
        assert local is None or isinstance(local, AtRepresentation), "as was asked for"
        return RepresentationOfAll(names, local, failure, shared, processes)
    known = {id(p) for p in shared}
    others = [p for p in processes.parameters if id(p) not in known] if with_own else []
    pieces, failure = attempt(lambda: _pieces(local, names, shared, others)) if failure is None else (None, failure)
    width = sum(p.numel() for p in shared)
    sizes = [*[width] * len(names), *(p.numel() for p in others), len(shared) + len(others)]
    found = processes.sum(pieces or [], sizes, failure).to(processes.parameters[0].device)
    rows, *flat, flags = found.split([width * len(names), *sizes[len(names) :]])
    reached = (flags > 0).tolist()
    own = [
        # Copied, so that J does not live as long as the gradients do.
        (p, piece.view(p.shape).to(p.dtype, copy=True))
        for p, piece, is_reached in zip(others, flat, reached[len(shared) :], strict=True)
        if is_reached
    ]
    return Rows(names, shared, reached[: len(shared)], own, rows.view(len(names), width))


def _pieces(
    local: TaskGradients | None, names: Sequence[str], shared: Sequence[Tensor], others: Sequence[Tensor]
) -> list[Tensor | None]:
    """Rows by task, own gradients by parameter, and who is reached; None for what this process does not have."""
    if local is None:
        return []
    rows: dict[str, Tensor] = dict(zip(local.names, local.jacobian(), strict=True))
    own = {id(p): gradient for p, gradient in local.own}
    flags = [*local.reached, *(id(p) in own for p in others)]
    found: list[Tensor | None] = [rows.get(name) for name in names]
    found += [dense(own[id(p)]) if id(p) in own else None for p in others]
    return [*found, torch.tensor([float(flag) for flag in flags])]
