"""One step's losses on their way back to the parameters."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polytask.gradients import (
    Engine,
    Met,
    Probe,
    Processes,
    Signals,
    TaskGradients,
    check_losses,
    check_penalty,
    listed,
    loss_values,
    weighted_backward,
)


class BackwardPass:
    """One step's losses on their way back: scaled, differentiated once, weighed, written to `.grad`.

    Args:
        losses: task -> scalar loss, multiplied by what the method multiplies it by.
        watched: the parameters that J is over.
        engine: how gradients are taken.
        features: what the tasks' own parts read, for gradients at the representation.
        met: the tasks of the step, in all processes.
        penalty: a scalar that is added as it is.
        scaler: of mixed precision.
        processes: who else takes part; the gradients are then those of all.
        allow_unreached: whether the losses may reach none of the watched parameters.
    """

    def __init__(
        self,
        losses: Mapping[str, Tensor],
        watched: Sequence[nn.Parameter],
        engine: Engine,
        features: Tensor | Sequence[Tensor] | None,
        *,
        met: Met,
        penalty: Tensor | None,
        scaler: torch.amp.GradScaler | None,
        processes: Processes | None,
        allow_unreached: bool,
    ) -> None:
        self._scaler, self._processes, self._met = scaler, processes, met
        self._penalty = penalty if penalty is None or processes is None else penalty / met.num_penalties
        self._scaled = {name: self._scale(loss) for name, loss in losses.items()}
        if processes is not None and not losses:
            self._scale(processes.parameters[0].new_zeros(()))  # a scaler that has scaled nothing cannot step
        self._watched, self._allow_unreached = watched, allow_unreached or processes is not None
        self._differentiate = partial(
            engine.differentiate,
            self._scaled,
            watched,
            features=features,
            allow_unreached=allow_unreached,
            processes=processes,
            names=met.names,
        )
        self._factor = 1.0 if scaler is None else scaler.get_scale()
        self._gradients: TaskGradients | None = None
        self._gramian: Tensor | None = None

    def differentiate(self) -> None:
        """Takes the gradients of every task, on their own parameters too."""
        self._gradients = self._differentiate(retain_graph=self._penalty is not None)

    def signals(
        self,
        index: Int[Tensor, " present"],
        step: int,
        epoch: int | None,
        scores: Sequence[float],
        reads: frozenset[str],
        probe: Probe | None,
        preference: Float[Tensor, " present"] | None = None,
    ) -> Signals:
        """What a method may look at."""
        return Signals(
            names=self._met.names,
            index=index,
            step=step,
            epoch=epoch,
            scores=torch.tensor(scores, dtype=torch.float64),
            reads=reads,
            losses=self._met.values,
            gramian=self.gramian,
            jacobian=self.jacobian,
            sizes=lambda: [parameter.numel() for parameter in self._found().shared],
            probe=probe,
            preference=preference,
        )

    def accumulate_losses(self, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        """Adds the gradient of Σ w_i L_i + penalty to every `.grad`: one pass that starts with w_i at each loss.

        A loss of weight 0 is left out, so that what it alone reaches has no gradient, not one of zeros that weight
        decay or momentum would act beside.
        """
        terms = [(loss, weights[name]) for name, loss in losses.items() if weights[name] != 0.0]
        if self._penalty is not None and self._penalty.requires_grad:
            terms.append((self._penalty, 1.0))
        with self._adding_up():
            if terms:
                # A weight beyond the loss's type belongs to a loss near its other end: the product has to be finite.
                starts = [torch.full_like(loss, weight) for loss, weight in terms]
                torch.autograd.backward([self._scale(loss) for loss, _ in terms], starts)

    def accumulate(self, weights: Float[Tensor, " present"], update: Float[Tensor, " params"] | None) -> None:
        """Adds Jᵀw, or an update of the method's own, to the shared parameters; to others their plain gradient."""
        if update is not None:
            self._found().accumulate_update(update * self._factor)
        elif self._gradients is not None:
            self._gradients.accumulate(weights)
        else:
            self._accumulate_known(weights.tolist())
        if self._met.num_penalties:
            with self._adding_up():
                if self._penalty is not None and self._penalty.requires_grad:
                    self._scale(self._penalty).backward()

    def _accumulate_known(self, weights: Sequence[float]) -> None:
        """Weights that were known beforehand take one pass."""
        present = [(n, w) for n, w in zip(self._met.names, weights, strict=True) if n in self._scaled]
        with self._adding_up():
            if present:
                weighted_backward(
                    {name: self._scaled[name] for name, _ in present},
                    self._watched,
                    [weight for _, weight in present],
                    retain_graph=self._penalty is not None,
                    allow_unreached=self._allow_unreached,
                )

    def _adding_up(self) -> AbstractContextManager[None]:
        """Within it, what backward passes add to `.grad` is that of all processes."""
        return nullcontext() if self._processes is None else self._processes.adding_up()

    def _scale(self, loss: Tensor) -> Tensor:
        return loss if self._scaler is None else self._scaler.scale(loss)

    def gramian(self) -> Tensor:
        """G of the unscaled gradients."""
        if self._gramian is None:
            self._gramian = self._found().gramian() / self._factor**2
        return self._gramian

    def jacobian(self) -> Tensor:
        """J of the unscaled gradients."""
        jacobian = self._found().jacobian()
        return jacobian if self._factor == 1 else jacobian / self._factor

    def _found(self) -> TaskGradients:
        # A method that scales losses still needs the graph afterwards.
        if self._gradients is None:
            self._gradients = self._differentiate(retain_graph=True, with_own=False)
        return self._gradients

    def has_overflowed(self) -> bool:
        """Whether the scaler's factor was too large: its own business, no error."""
        is_scaled = self._scaler is not None and self._scaler.is_enabled()
        return is_scaled and not bool(self.gramian().isfinite().all())


def meet(
    losses: Mapping[str, Tensor], penalty: Tensor | None, processes: Processes | None, *, reads_losses: bool
) -> Met:
    """The tasks of a step and their losses (NaN where nobody reads them: nothing then waits for the device).

    Raises:
        ValueError: a loss that cannot be differentiated, or is not finite and read; names the task.
    """
    if processes is not None:
        met = processes.meet(losses, penalty)
        if reads_losses:
            loss_values(dict(zip(met.names, met.values, strict=True)), needs_graph=False)
        return met
    check_penalty(penalty)
    check_losses(losses)
    values = loss_values(losses) if reads_losses else torch.full((len(losses),), torch.nan, dtype=torch.float64)
    return Met(tuple(losses), values, int(penalty is not None))


def multiplied(
    losses: Mapping[str, Tensor], names: Sequence[str], factors: Float[Tensor, " present"]
) -> dict[str, Tensor]:
    """The losses times a factor for each of `names`."""
    factor_of = dict(zip(names, factors.tolist(), strict=True))
    return {name: loss * factor_of[name] for name, loss in losses.items()}


def preferred(
    preference: Mapping[str, float] | None, names: Sequence[str], *, method: str, is_followed: bool
) -> Float[Tensor, " present"] | None:
    """The shares of these tasks in a preference, summing to 1; equal where all of them are 0.

    Raises:
        ValueError: a preference for a method that follows none; one without a task of this step.
    """
    if preference is None:
        return None
    if not is_followed:
        raise ValueError(
            f"{method}: the network reads a preference that changes in every step, and this balancer follows none; "
            "COSMOS would work"
        )
    if missing := [name for name in names if name not in preference]:
        raise ValueError(f"{method}: the preference has no share for task {missing[0]!r}; a number for each is wanted")
    shares = torch.tensor([preference[name] for name in names], dtype=torch.float64)
    return shares / shares.sum() if bool(shares.any()) else torch.full_like(shares, 1 / len(names))


def digest_of(tasks: Sequence[str]) -> int:
    """A number that stands for these names in this order."""
    return int.from_bytes(hashlib.sha256("\x1f".join(tasks).encode()).digest()[:8], "little") >> 1


def check_trainable(shared: Sequence[nn.Parameter]) -> None:
    """Raises ValueError where all shared parameters are frozen: any method would be a plain sum, in silence."""
    if shared and not any(p.requires_grad for p in shared):
        raise ValueError(f"all {len(shared)} shared parameters are frozen, so nothing is balanced: pass shared=[]")


def parameters_of(shared: Iterable[nn.Parameter], num_tasks: int) -> list[nn.Parameter]:
    """Shared parameters as a list.

    Raises:
        ValueError: a module or a tensor; a generator that an earlier step used up.
    """
    found = listed(shared)
    # Left alone, it would turn any method into a plain sum, in silence.
    if isinstance(shared, Iterator) and not found and num_tasks > 1:
        raise ValueError(
            "shared is an iterator with nothing (left) in it: keep a list, "
            "shared = list(trunk.parameters()); if the tasks share nothing, shared=[]"
        )
    return found
