"""What each task asks of the shared weights: J, one row a task, and its Gramian G = J Jᵀ.

The loop of `torch.autograd.grad` is exact for any graph: convolutions, sparse embeddings, tied weights, tasks
that reach only some of the parameters. One pass a task gives its gradient on shared and on own parameters
alike.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from polytask.gradients.checks import check_losses, trainable_parameters


@dataclass(frozen=True)
class Engine:
    """How gradients are taken; the same for every method.

    Args:
        chunk: coordinates of J that are turned to float64 at once when the Gramian is summed; it bounds the
            extra memory by 8 · tasks · chunk bytes.

    Raises:
        ValueError: a chunk below 1.
    """

    chunk: int = 2**16

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"chunk={self.chunk}, but at least one coordinate is summed at once: chunk=65536")


@dataclass(frozen=True)
class TaskGradients:
    """The gradients of one step, not yet combined.

    Attributes:
        names: tasks, in the order of the rows.
        shared: the trainable shared parameters, each once.
        jacobian: one row a task over all of `shared`, flattened; zero where a task does not reach a
            parameter.
        reached: whether any task reaches each of `shared`.
        own: everything else the losses reach (heads, own stages), with the plain sum of the tasks' gradients.
    """

    names: tuple[str, ...]
    shared: tuple[Tensor, ...]
    jacobian: Float[Tensor, "tasks params"]
    reached: tuple[bool, ...]
    own: tuple[tuple[Tensor, Tensor], ...]

    @torch.no_grad()
    def accumulate(self, weights: Float[Tensor, " tasks"]) -> None:
        """Adds Jᵀw to `.grad` of the shared parameters and the own gradients, unweighted, to `.grad` of the
        rest.

        A parameter that no task reached keeps its `.grad` (None, not zero, after `zero_grad`).
        """
        # A weight beyond float32 belongs to a gradient near its other end: taken in two factors.
        excess = max(1.0, float(weights.abs().max()) / 1e30)
        update = (weights / excess).to(self.jacobian) @ self.jacobian
        if excess > 1:
            update *= excess
        pieces = update.split([p.numel() for p in self.shared])
        for parameter, piece, is_reached in zip(self.shared, pieces, self.reached, strict=True):
            if is_reached:
                _add_gradient(parameter, piece.view(parameter.shape).to(parameter.dtype))
        for parameter, gradient in self.own:
            _add_gradient(parameter, gradient)


def task_gradients(
    losses: Mapping[str, Tensor],
    shared: Iterable[nn.Parameter],
    *,
    retain_graph: bool = False,
    with_own: bool = True,
    allow_unreached: bool = False,
) -> TaskGradients:
    """Differentiates each loss once, with respect to everything it reaches; changes no `.grad`.

    Args:
        losses: task -> its scalar loss. One that is not finite gives a row that is not finite.
        shared: the parameters the tasks share. Frozen ones are left out; repeated ones count once.
        retain_graph: keep the graph for another backward pass.
        with_own: also the gradients of parameters that are not in `shared`.
        allow_unreached: whether the losses may reach none of `shared`; J is then zero.

    Raises:
        ValueError: a loss that cannot be differentiated, or shared parameters none of which any loss reaches
            (unless allowed); names the task or the parameter.

    Example:
        >>> w = nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> task_gradients({"a": w.sum(), "b": w[0] ** 2}, [w]).jacobian
        tensor([[1., 1.],
                [2., 0.]])
    """
    check_losses(losses)
    trainable = trainable_parameters(shared)
    known = {id(p) for p in trainable}
    own = [leaf for leaf in _leaves(losses.values()) if id(leaf) not in known] if with_own else []
    sizes = [p.numel() for p in trainable]
    jacobian = _empty_jacobian(len(losses), trainable, next(iter(losses.values())))
    reached = [False] * len(trainable)
    sums: dict[int, Tensor] = {}
    for row, loss in enumerate(losses.values()):
        keep = retain_graph or row < len(losses) - 1
        gradients = _gradients(loss, [*trainable, *own], retain_graph=keep)
        pieces = jacobian[row].split(sizes)
        for k, (piece, gradient) in enumerate(zip(pieces, gradients, strict=False)):
            if gradient is not None:
                reached[k] = True
                piece.copy_(_dense(gradient).reshape(-1))
        for k, gradient in enumerate(gradients[len(trainable) :]):
            if gradient is not None:
                _sum_into(sums, k, gradient)
    if not allow_unreached:
        _check_reached(trainable, reached)
    pairs = tuple((own[k], sums[k]) for k in sorted(sums))
    return TaskGradients(tuple(losses), tuple(trainable), jacobian, tuple(reached), pairs)


def gramian(jacobian: Float[Tensor, "tasks params"], chunk: int = Engine.chunk) -> Float[Tensor, "tasks tasks"]:
    """G = J Jᵀ in float64 on the CPU, summed over blocks of `chunk` coordinates.

    A float32 product over a million coordinates is wrong by 1e-4, and squares below 1e-38 vanish; both matter
    to methods that divide by them.
    """
    # Apple's GPUs have no float64.
    device = torch.device("cpu") if jacobian.device.type == "mps" else jacobian.device
    total = torch.zeros(len(jacobian), len(jacobian), dtype=torch.float64, device=device)
    for block in jacobian.split(chunk, dim=1):
        rows = block.to(device).to(torch.float64)
        total += rows @ rows.T
    total = total.cpu()
    return (total + total.T) / 2


def cosines(gramian: Float[Tensor, "tasks tasks"]) -> Float[Tensor, "tasks tasks"]:
    """Cosines between the tasks' gradients, G_ij / (‖g_i‖ ‖g_j‖); NaN where a gradient is zero."""
    norms = gramian.diagonal().sqrt()
    return (gramian / norms[:, None] / norms[None, :]).clamp(-1, 1)


def _leaves(losses: Iterable[Tensor]) -> Iterator[Tensor]:
    """The leaves of the losses' graphs, each once; every node is visited once, without recursion."""
    nodes = [get_gradient_edge(loss).node for loss in losses]
    seen = set(nodes)  # holding a node keeps its Python object, and so its identity, alive
    while nodes:
        node = nodes.pop()
        if (leaf := getattr(node, "variable", None)) is not None:
            yield leaf
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                nodes.append(below)


def _gradients(loss: Tensor, inputs: list[Tensor], *, retain_graph: bool) -> tuple[Tensor | None, ...]:
    if not inputs:
        return ()
    return torch.autograd.grad(loss, inputs, retain_graph=retain_graph, allow_unused=True)


def _empty_jacobian(num_tasks: int, parameters: list[Tensor], loss: Tensor) -> Float[Tensor, "tasks params"]:
    # bfloat16 rows would lose the weights' precision in Jᵀw, so float32 is the least.
    dtype = torch.float32
    for parameter in parameters:
        dtype = torch.promote_types(dtype, parameter.dtype)
    device = parameters[0].device if parameters else loss.device
    return torch.zeros(num_tasks, sum(p.numel() for p in parameters), dtype=dtype, device=device)


def _check_reached(parameters: list[Tensor], reached: list[bool]) -> None:
    if parameters and not any(reached):
        shapes = ", ".join(f"shared[{k}] {list(p.shape)}" for k, p in enumerate(parameters[:3]))
        more = f", … ({len(parameters)} in all)" if len(parameters) > 3 else ""
        raise ValueError(f"no loss reaches any of the shared parameters ({shapes}{more}): are they the trunk's?")


def _dense(gradient: Tensor) -> Tensor:
    return gradient.to_dense() if gradient.is_sparse else gradient


def _sum_into(sums: dict[int, Tensor], key: int, gradient: Tensor) -> None:
    # autograd.grad may hand out one tensor for several inputs, or an expanded one: the first is copied.
    if key in sums:
        sums[key] = sums[key] + gradient
    else:
        sums[key] = gradient.clone() if gradient.is_sparse else gradient.clone(memory_format=torch.contiguous_format)


def _add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    if parameter.grad is None:
        parameter.grad = gradient
    elif parameter.grad.is_sparse:
        parameter.grad = parameter.grad + gradient
    else:
        parameter.grad.add_(gradient)
