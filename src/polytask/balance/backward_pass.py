"""One step's losses on their way back to the parameters."""

from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from polytask.gradients import Engine, TaskGradients, gramian, task_gradients


class BackwardPass:
    """One step's losses on their way back: scaled, differentiated once, and their Gramian."""

    def __init__(
        self,
        losses: Mapping[str, Tensor],
        shared: Iterable[nn.Parameter],
        scaler: torch.amp.GradScaler | None,
        engine: Engine,
        *,
        allow_unreached: bool,
    ) -> None:
        self._scaler = scaler
        scaled = {name: self.scale(loss) for name, loss in losses.items()}
        self._differentiate = partial(task_gradients, scaled, shared, allow_unreached=allow_unreached)
        self._factor = 1.0 if scaler is None else scaler.get_scale()
        self._engine = engine
        self._gradients: TaskGradients | None = None
        self._gramian: Tensor | None = None

    def scale(self, loss: Tensor) -> Tensor:
        """The loss times the scaler's factor, where there is one."""
        return loss if self._scaler is None else self._scaler.scale(loss)

    def differentiate(self, *, retain_graph: bool) -> TaskGradients:
        """The gradients of every task, which the Gramian then is of."""
        self._gradients = self._differentiate(retain_graph=retain_graph)
        return self._gradients

    def gramian(self) -> Tensor:
        """G of the unscaled gradients; a method that scales losses still needs the graph afterwards."""
        if self._gramian is None:
            gradients = self._gradients or self._differentiate(retain_graph=True, with_own=False)
            self._gramian = gramian(gradients.jacobian, self._engine.chunk) / self._factor**2
        return self._gramian

    def has_overflowed(self) -> bool:
        """Whether the scaler's factor was too large: its own business, no error."""
        is_scaled = self._scaler is not None and self._scaler.is_enabled()
        return is_scaled and not bool(self.gramian().isfinite().all())


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float], penalty: Tensor | None) -> Tensor | None:
    """Σ w_i L_i + penalty, in the order of `losses`; a weight of 1 multiplies nothing.

    A loss of weight 0 is left out, so that what it alone reaches has no gradient, not one of zeros that weight
    decay or momentum would act beside. None where nothing is left.
    """
    terms = [loss if weights[n] == 1.0 else loss * weights[n] for n, loss in losses.items() if weights[n] != 0.0]
    if penalty is not None and penalty.requires_grad:
        terms.append(penalty)
    total: Tensor | None = None
    for term in terms:
        total = term if total is None else total + term
    return total
