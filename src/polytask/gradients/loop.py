"""The reference: a pass of `torch.autograd.grad` for each task.

Exact for any graph: convolutions, sparse embeddings, tied weights, compiled trunks, tasks that reach only some of
the parameters. One pass a task gives its gradient on shared and on own parameters alike.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.gradients.graph import leaves
from polytask.gradients.task_gradients import Own, TaskGradients, dense, row_dtype, split

#: Coordinates of J that are turned to float64 at once when the Gramian is summed: 8 · tasks · BLOCK bytes.
BLOCK = 2**16


class Rows(TaskGradients):
    """J itself, row by row."""

    def __init__(
        self,
        names: Sequence[str],
        shared: Sequence[Tensor],
        reached: Sequence[bool],
        own: Own,
        rows: Float[Tensor, "tasks params"],
    ) -> None:
        super().__init__(names, shared, reached, own)
        self._rows = rows

    def gramian(self) -> Float[Tensor, "tasks tasks"]:
        """G, summed in float64."""
        return gramian(self._rows)

    def jacobian(self) -> Float[Tensor, "tasks params"]:
        """J as it stands."""
        return self._rows

    def combined(self, weights: Float[Tensor, " tasks"]) -> list[Tensor | None]:
        """One product."""
        pieces = split(weights.to(self._rows) @ self._rows, self.shared)
        return [piece if is_reached else None for piece, is_reached in zip(pieces, self.reached, strict=True)]


def by_loop(losses: Mapping[str, Tensor], shared: Sequence[Tensor], *, retain_graph: bool, with_own: bool) -> Rows:
    """Differentiates each loss once, with respect to everything it reaches; changes no `.grad`."""
    known = {id(p) for p in shared}
    own = [leaf for leaf in leaves(losses.values()) if id(leaf) not in known] if with_own else []
    sizes = [p.numel() for p in shared]
    device = shared[0].device if shared else next(iter(losses.values())).device
    rows = torch.zeros(len(losses), sum(sizes), dtype=row_dtype(shared), device=device)
    reached = [False] * len(shared)
    sums: dict[int, Tensor] = {}
    for row, loss in enumerate(losses.values()):
        keep = retain_graph or row < len(losses) - 1
        gradients = _gradients(loss, [*shared, *own], retain_graph=keep)
        pieces = rows[row].split(sizes)
        for k, (piece, gradient) in enumerate(zip(pieces, gradients, strict=False)):
            if gradient is not None:
                reached[k] = True
                piece.copy_(dense(gradient).reshape(-1))
        for k, gradient in enumerate(gradients[len(shared) :]):
            if gradient is not None:
                sum_into(sums, k, gradient)
    return Rows(tuple(losses), shared, reached, [(own[k], sums[k]) for k in sorted(sums)], rows)


def gramian(jacobian: Float[Tensor, "tasks params"], block: int = BLOCK) -> Float[Tensor, "tasks tasks"]:
    """G = J Jᵀ in float64 on the CPU, summed over blocks of coordinates.

    A float32 product over a million coordinates is wrong by 1e-4, and squares below 1e-38 vanish; both matter
    to methods that divide by them.
    """
    # Apple's GPUs have no float64.
    device = torch.device("cpu") if jacobian.device.type == "mps" else jacobian.device
    total = torch.zeros(len(jacobian), len(jacobian), dtype=torch.float64, device=device)
    for part in jacobian.split(block, dim=1):
        rows = part.to(device).to(torch.float64)
        total += rows @ rows.T
    total = total.cpu()
    return (total + total.T) / 2


def cosines(gramian: Float[Tensor, "tasks tasks"]) -> Float[Tensor, "tasks tasks"]:
    """Cosines between the tasks' gradients, G_ij / (‖g_i‖ ‖g_j‖); NaN where a gradient is zero."""
    norms = gramian.diagonal().sqrt()
    return (gramian / norms[:, None] / norms[None, :]).clamp(-1, 1)


def _gradients(loss: Tensor, inputs: list[Tensor], *, retain_graph: bool) -> tuple[Tensor | None, ...]:
    if not inputs:
        return ()
    return torch.autograd.grad(loss, inputs, retain_graph=retain_graph, allow_unused=True)


def sum_into(sums: dict[int, Tensor], key: int, gradient: Tensor) -> None:
    """Adds to an entry; the first is copied, since autograd may hand out one tensor for several inputs."""
    if key in sums:
        sums[key] = sums[key] + gradient
    else:
        sums[key] = gradient.clone() if gradient.is_sparse else gradient.clone(memory_format=torch.contiguous_format)
