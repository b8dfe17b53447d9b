"""What the engine can differentiate, and the sentence that says why not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.errors import nearest


def check_is_dict(losses: Any) -> None:
    """Raises ValueError where losses are anything but a dict by task."""
    if not isinstance(losses, Mapping):
        raise ValueError(f"losses is a {type(losses).__name__}, a dict is wanted: {{'task': loss}}")  # noqa: TRY004


def check_names(names: Iterable[str], tasks: Sequence[str]) -> None:
    """Raises ValueError that names the first that is none of the tasks, and the task that is nearest to it."""
    for name in names:
        if name not in tasks:
            raise ValueError(f"unknown task {name!r} in losses; {nearest(name, tasks)}")


def check_losses(losses: Mapping[str, Any], *, needs_graph: bool = True) -> None:
    """Whether each loss can be differentiated (or only read); looks at no value, so it waits for no device.

    Raises:
        ValueError: none at all, or one that is not a scalar with a graph on the device of the others; names the task.
    """
    check_is_dict(losses)
    if not losses:
        raise ValueError("losses is empty: a step needs the loss of at least one task, {'task': loss}")
    for name, loss in losses.items():
        if not isinstance(loss, Tensor):
            raise ValueError(f"task {name!r}: its loss is a {type(loss).__name__}, a scalar tensor is wanted")  # noqa: TRY004
        if loss.ndim:
            raise ValueError(f"task {name!r}: its loss has shape {list(loss.shape)}, a scalar is wanted: take its mean")
        if needs_graph and not loss.requires_grad:
            raise ValueError(f"task {name!r}: its loss has no graph (detached, or computed under no_grad)")
    first, *_ = losses
    for name, loss in losses.items():
        if loss.device != losses[first].device:
            raise ValueError(
                f"task {name!r}: its loss is on {loss.device}, "
                f"that of task {first!r} on {losses[first].device}: move it with loss.to({str(losses[first].device)!r})"
            )


def loss_values(losses: Mapping[str, Any], *, needs_graph: bool = True) -> Float[Tensor, " tasks"]:
    """The losses as numbers (float64, CPU; one transfer for all), after every one of them was checked.

    Raises:
        ValueError: what `check_losses` refuses, or a loss that is not finite; names the task.
    """
    check_losses(losses, needs_graph=needs_graph)
    values = torch.stack([loss.detach() for loss in losses.values()]).cpu().to(torch.float64)
    for name, value, is_finite in zip(losses, values.tolist(), values.isfinite().tolist(), strict=True):
        if not is_finite:
            raise ValueError(f"task {name!r}: its loss is {value}: lower the learning rate, or look at its targets")
    return values


def check_penalty(penalty: Any) -> None:
    """Raises ValueError where a penalty is no finite scalar."""
    if penalty is None:
        return
    if not isinstance(penalty, Tensor):
        raise ValueError(f"penalty is {penalty!r}, a scalar tensor with a graph is wanted")  # noqa: TRY004
    if penalty.ndim or not bool(penalty.isfinite()):
        raise ValueError(f"penalty is {penalty.detach()}, a finite scalar is wanted")


def listed(shared: Any) -> list[Any]:
    """What is shared, as a list.

    Raises:
        ValueError: a module, a tensor, or nothing that could be gone through.
    """
    if isinstance(shared, (nn.Module, Tensor)):
        wanted = "pass its parameters, shared=trunk.parameters()"
        raise ValueError(f"shared is a {type(shared).__name__}: {wanted}")  # noqa: TRY004
    if not isinstance(shared, Iterable):
        raise ValueError(f"shared is {shared!r}, a list is wanted: shared=list(trunk.parameters())")  # noqa: TRY004
    return list(shared)


def trainable_parameters(shared: Any) -> list[Tensor]:
    """The shared parameters to differentiate: each once, frozen ones left out.

    Raises:
        ValueError: something that is not a parameter, or parameters on several devices.
    """
    found: dict[int, Tensor] = {}
    for position, given in enumerate(listed(shared)):
        if not isinstance(given, Tensor) or not given.is_leaf:
            raise ValueError(f"shared[{position}] is no parameter but {_shown(given)}: shared=trunk.parameters()")
        if given.is_complex():
            raise ValueError(f"shared[{position}] {list(given.shape)} is complex: share its real view, view_as_real")
        if given.requires_grad:
            found.setdefault(id(given), given)
    parameters = list(found.values())
    for parameter in parameters:
        if parameter.device != parameters[0].device:
            raise ValueError(
                f"shared parameters are on {parameters[0].device} and {parameter.device} (shape "
                f"{list(parameter.shape)}): a Gramian needs them on one device"
            )
    return parameters


def _shown(value: object) -> str:
    return (
        f"a computed tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
    )
