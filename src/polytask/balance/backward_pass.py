"""One step's losses on their way back to the parameters."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from polytask.gradients import Engine, TaskGradients, weighted_backward


class BackwardPass:
    """One step's losses on their way back: scaled, differentiated once, and their Gramian.

    Args:
        losses: task -> scalar loss.
        watched: the parameters that J is over.
        scaler: of mixed precision.
        engine: how gradients are taken.
        features: what the tasks' own parts read, for gradients at the representation.
        allow_unreached: whether the losses may reach none of them.
    """

    def __init__(
        self,
        losses: Mapping[str, Tensor],
        watched: Sequence[nn.Parameter],
        scaler: torch.amp.GradScaler | None,
        engine: Engine,
        features: Tensor | Sequence[Tensor] | None,
        *,
        allow_unreached: bool,
    ) -> None:
        self._scaler = scaler
        scaled = {name: self.scale(loss) for name, loss in losses.items()}
        self._differentiate = partial(
            engine.differentiate, scaled, watched, features=features, allow_unreached=allow_unreached
        )
        self._weigh = partial(weighted_backward, scaled, watched, allow_unreached=allow_unreached)
        self._factor = 1.0 if scaler is None else scaler.get_scale()
        self._gradients: TaskGradients | None = None
        self._gramian: Tensor | None = None

    def scale(self, loss: Tensor) -> Tensor:
        """The loss times the scaler's factor, where there is one."""
        return loss if self._scaler is None else self._scaler.scale(loss)

    def differentiate(self, *, retain_graph: bool) -> TaskGradients:
        """The gradients of every task, which the Gramian then is of."""
        self._gradients = self._differentiate(retain_graph=retain_graph)
        return self._gradients

    def accumulate_weighted(self, weights: Sequence[float], *, retain_graph: bool) -> None:
        """Jᵀw for weights that are known beforehand: one pass."""
        self._weigh(weights=weights, retain_graph=retain_graph)

    def gramian(self) -> Tensor:
        """G of the unscaled gradients."""
        if self._gramian is None:
            self._gramian = self._found().gramian() / self._factor**2
        return self._gramian

    def jacobian(self) -> Tensor:
        """J of the unscaled gradients."""
        jacobian = self._found().jacobian()
        return jacobian if self._factor == 1 else jacobian / self._factor

    def sizes(self) -> list[int]:
        """Coordinates of each parameter in J."""
        return [parameter.numel() for parameter in self._found().shared]

    def _found(self) -> TaskGradients:
        # A method that scales losses still needs the graph afterwards.
        if self._gradients is None:
            self._gradients = self._differentiate(retain_graph=True, with_own=False)
        return self._gradients

    def accumulate_update(self, update: Tensor) -> None:
        """Writes an update of the method's own, in the scaler's unit like everything else."""
        self._found().accumulate_update(update * self._factor)

    def has_overflowed(self) -> bool:
        """Whether the scaler's factor was too large: its own business, no error."""
        is_scaled = self._scaler is not None and self._scaler.is_enabled()
        return is_scaled and not bool(self.gramian().isfinite().all())


def backward_weighted_losses(
    losses: Mapping[str, Tensor],
    weights: Mapping[str, float],
    penalty: Tensor | None,
    scale: Callable[[Tensor], Tensor],
) -> None:
    """Adds the gradient of Σ w_i L_i + penalty to every `.grad`: one pass that starts with w_i at each loss.

    A loss of weight 0 is left out, so that what it alone reaches has no gradient, not one of zeros that weight
    decay or momentum would act beside.
    """
    terms = [(loss, weights[name]) for name, loss in losses.items() if weights[name] != 0.0]
    if penalty is not None and penalty.requires_grad:
        terms.append((penalty, 1.0))
    if terms:
        # A weight beyond the loss's type belongs to a loss near its other end, and the product has to be finite.
        starts = [torch.full_like(loss, weight) for loss, weight in terms]
        torch.autograd.backward([scale(loss) for loss, _ in terms], starts)
