"""Looks at a step's losses from where the parameters do not stand, without a trace."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from polytask.gradients.checks import check_losses
from polytask.gradients.processes import Processes
from polytask.gradients.task_gradients import dense
from polytask.random_state import drawing_from, random_state

#: Computes losses from the parameters as they stand: task -> scalar.
ComputeLosses = Callable[[], Mapping[str, Tensor]]
#: One piece a parameter, of its shape; None where there is none.
Pieces = Sequence[Tensor | None]


class Probe:
    """Computes the losses of one step again, from where the parameters stand or from elsewhere.

    Built before the forward pass of the step, so that every look at its batch draws the dropout masks which that pass
    will draw. A look leaves parameters, buffers (batch norm's statistics), `.grad`, the random state and graphs that
    wait for their backward pass as they were, bit for bit, whatever is raised in between.

    Args:
        modules: what the losses are computed with: the model, or a list of its parts.
        losses: computes the training losses of the step's batch anew.
        validation: computes the losses of a validation batch; the same at every call in a step.
        learning_rate: of the optimiser, at least 0.
        processes: who takes the step together: `losses` and `validation` then give this process's shares, and every
            look is at the global batch, alike in all. Every process then takes every look.

    Raises:
        ValueError: modules that are none, or a learning rate that cannot be.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> x = torch.ones(4, 2)
        >>> def losses():
        ...     return {"up": model(x).mean(), "down": -model(x).mean()}
        >>> probe = Probe(model, losses=losses)
        >>> here = probe.losses()
        >>> with probe.moved([torch.ones(1, 2), None], 0.5):
        ...     there = probe.losses()
        >>> {name: round(float(there[name] - here[name]), 4) for name in there}
        {'up': 1.0, 'down': -1.0}
    """

    def __init__(
        self,
        modules: nn.Module | Iterable[nn.Module],
        *,
        losses: ComputeLosses,
        validation: ComputeLosses | None = None,
        learning_rate: float | None = None,
        processes: Processes | None = None,
    ) -> None:
        given = list(modules) if isinstance(modules, Iterable) and not isinstance(modules, nn.Module) else [modules]
        if not given or not all(isinstance(module, nn.Module) for module in given):
            kinds = ", ".join(type(module).__name__ for module in given) or "nothing"
            raise ValueError(
                f"probe: modules holds {kinds}; the modules that give the losses are wanted: [trunk, *heads]"
            )
        if learning_rate is not None and not 0 <= learning_rate < float("inf"):
            raise ValueError(f"probe: learning_rate={learning_rate}, the optimiser's is wanted, such as 0.001")
        self._modules = list({id(m): m for one in given for m in one.modules()}.values())
        self._losses = losses
        self._validation = validation
        self._learning_rate = learning_rate
        self._processes = processes
        self._parameters: list[Tensor] | None = None
        self._start = random_state()

    @property
    def parameters(self) -> Sequence[Tensor]:
        """The trainable parameters of the modules, each once."""
        if self._parameters is None:
            every = (p for m in self._modules for p in m.parameters(recurse=False) if p.requires_grad)
            self._parameters = list({id(p): p for p in every}.values())
        return self._parameters

    @property
    def learning_rate(self) -> float:
        """Of the optimiser.

        Raises:
            ValueError: none was given.
        """
        if self._learning_rate is None:
            raise ValueError("probe: a look ahead needs learning_rate, the optimiser's: Probe(…, learning_rate=0.001)")
        return self._learning_rate

    def losses(self) -> dict[str, Tensor]:
        """The training losses of the step's batch, without a graph."""
        with self._without_trace(), torch.no_grad():
            found = dict(self._losses())
        return found if self._processes is None else self._processes.added_up(found)

    def gradient(self, weights: Mapping[str, float]) -> list[Tensor | None]:
        """∇ Σ w_i L_i of the training losses, one piece a parameter.

        Raises:
            ValueError: a weight for a task that has no loss, or one that cannot be differentiated; names the task.
        """

        def terms() -> list[Tensor]:
            losses = self._losses()
            is_alone = self._processes is None
            if is_alone or losses:
                check_losses(losses)
            if is_alone and (missing := [name for name in weights if name not in losses]):
                raise ValueError(
                    f"probe: losses() gave {list(losses)} and left out task {missing[0]!r}, which is in this step: "
                    "the losses of the same batch are wanted"
                )
            return [losses[name] * weight for name, weight in weights.items() if name in losses]

        return self._differentiated(terms)

    def validation_gradient(self, tasks: Collection[str]) -> list[Tensor | None] | None:
        """∇ Σ L_i of these tasks' validation losses; None where the validation batch has none of them.

        Raises:
            ValueError: no validation losses were given, or they cannot be differentiated; names the task.
        """
        validation = self._validation
        if validation is None:
            raise ValueError("probe: a look ahead needs the losses of a validation batch: Probe(…, validation=…)")

        def terms() -> list[Tensor]:
            losses = {name: loss for name, loss in validation().items() if name in tasks}
            if losses:
                check_losses(losses)
            return list(losses.values())

        found = self._differentiated(terms)
        return None if all(piece is None for piece in found) else found

    @contextmanager
    def moved(self, direction: Pieces, by: float) -> Iterator[None]:
        """Within it the parameters stand at θ + by · direction."""
        moving = [(p, piece) for p, piece in zip(self.parameters, direction, strict=True) if piece is not None]
        kept = [p.detach().clone() for p, _ in moving]
        try:
            for p, piece in moving:
                # Through .data: the counter by which a waiting graph tells that a parameter changed stands still.
                p.data.add_(piece.to(p.dtype), alpha=by)
            torch.clear_autocast_cache()  # of half-precision copies of the parameters
            yield
        finally:
            for (p, _), before in zip(moving, kept, strict=True):
                p.data.copy_(before)
            torch.clear_autocast_cache()

    def _differentiated(self, make_terms: Callable[[], Sequence[Tensor]]) -> list[Tensor | None]:
        """The gradient of the terms' sum, of all processes'; all None where there is no term."""
        with self._without_trace(), torch.enable_grad():
            found = self._gradients(make_terms())
        if self._processes is None:
            return found
        of = {id(p): piece for p, piece in zip(self.parameters, found, strict=True)}
        summed = self._processes.summed([of.get(id(p)) for p in self._processes.parameters])
        of = {id(p): piece for p, piece in zip(self._processes.parameters, summed, strict=True)}
        return [of.get(id(p)) for p in self.parameters]

    def _gradients(self, terms: Sequence[Tensor]) -> list[Tensor | None]:
        if not terms:
            return [None] * len(self.parameters)
        total = torch.stack(list(terms)).sum()
        found = torch.autograd.grad(total, self.parameters, allow_unused=True) if self.parameters else ()
        if all(piece is None for piece in found):
            raise ValueError(
                "probe: the losses reach no trainable parameter of its modules: all that give the losses are wanted, "
                "Probe([trunk, *heads], …)"
            )
        return [None if piece is None else dense(piece).detach() for piece in found]

    @contextmanager
    def _without_trace(self) -> Iterator[None]:
        buffers = [
            (m, name, b, b.detach().clone()) for m in self._modules for name, b in m.named_buffers(recurse=False)
        ]
        try:
            with drawing_from(self._start):
                yield
        finally:
            for owner, name, buffer, before in buffers:
                buffer.data.copy_(before)
                if getattr(owner, name) is not buffer:  # a forward pass that puts a new tensor in its place
                    setattr(owner, name, buffer)


def length(pieces: Pieces) -> float:
    """The norm of all pieces together, where squares in the parameters' own precision would over- or underflow."""
    norms = []
    for piece in pieces:
        if piece is not None:
            wide = torch.float32 if piece.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
            norms.append(float(torch.linalg.vector_norm(piece, dtype=wide)))
    return math.hypot(*norms)
