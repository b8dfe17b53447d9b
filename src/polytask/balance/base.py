"""What every balancer is: given the signals of a step, who yields."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import nan
from typing import Any, ClassVar, Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.config import Choice, choose
from polytask.errors import nearest
from polytask.gradients import Engine, Signals, TaskGradients, check_losses, gramian, loss_values, task_gradients


class Balancer(nn.Module, ABC):
    """Weights for the tasks of a step, and the backward pass that uses them.

    A concrete balancer is built as `TheBalancer(tasks, **settings)` and defines `forward(signals) ->
    weights`; what it declares in `reads` is computed when it asks for it, and nothing else can be read. Its
    state is buffers of one entry a task, made in the constructor, so that `state_dict` loads into a fresh
    object; it joins no optimiser.

    A *loss* weight scales the whole task, head included, and costs one backward pass of the weighted sum. A
    *gradient* weight settles the shared parameters only (`shared.grad += Jᵀw`); everything else keeps its own
    gradient.

    Args:
        tasks: names of all tasks that may be in a step, in any order.
        generator: for the draws of methods that draw; seeded with 0 where not given.
        engine: how gradients are taken, by methods that read them.

    Raises:
        ValueError: no tasks, or one named twice.

    Example:
        >>> from polytask.balance import PCGrad
        >>> w = nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> balancer = PCGrad(["a", "b"])
        >>> balancer.backward({"a": 3 * w[0], "b": 2 * w[1] - w[0]}, shared=[w])
        {'a': 1.333..., 'b': 1.6}
        >>> w.grad
        tensor([2.4000, 3.2000])
    """

    #: What `forward` may read of a step beyond names and counters: "losses", "gramian".
    reads: ClassVar[frozenset[str]] = frozenset()
    #: Whether the weights scale losses (heads too) or the gradients of shared parameters only.
    scales: ClassVar[Literal["losses", "gradients"]]
    #: Key of the paper in `polytask.papers`; None where there is none.
    paper: ClassVar[str | None] = None

    step: Tensor

    def __init__(
        self, tasks: Sequence[str], generator: torch.Generator | None = None, *, engine: Engine = Engine()
    ) -> None:
        super().__init__()
        if isinstance(tasks, str) or not isinstance(tasks, Iterable):
            wanted = "a list of names is wanted, ['price', 'sold']"
            raise ValueError(f"{type(self).__name__}: tasks={tasks!r}: {wanted}")  # noqa: TRY004
        self.tasks = tuple(tasks)
        repeated = [name for k, name in enumerate(self.tasks) if name in self.tasks[:k]]
        if repeated or not self.tasks:
            reason = f"{repeated[0]!r} is there twice" if repeated else "there are none"
            raise ValueError(f"{type(self).__name__}: tasks={list(self.tasks)}: {reason}; name each task once")
        self.engine = engine
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @classmethod
    def with_(cls, **settings: Any) -> Choice[Self]:
        """The balancer with these settings as a choice, to be built later."""
        return choose(cls, **settings)

    @abstractmethod
    def forward(self, signals: Signals) -> Float[Tensor, " present"]:
        """The weights of the tasks present, float64; called once a step, and the place to update own
        state.
        """

    def backward(
        self,
        losses: Mapping[str, Tensor],
        *,
        shared: Iterable[nn.Parameter],
        scaler: torch.amp.GradScaler | None = None,
        epoch: int | None = None,
        scores: Mapping[str, float] | None = None,
        penalty: Tensor | None = None,
        allow_unreached: bool = False,
    ) -> dict[str, float]:
        """Fills `.grad` everywhere, as `loss.backward()` would: what is there already is added to.

        Args:
            losses: task -> scalar loss, of the tasks present in this batch. A task without a label is left
                out; its state stays as it is.
            shared: the parameters that at least two tasks share. Methods that scale losses do not look at
                them.
            scaler: multiplies the losses before they are differentiated (float16). Weights are those of the
                unscaled gradients; when these overflow, all weights are 1, so that the scaler sees it and
                skips the step.
            epoch: for methods that compare epochs.
            scores: task -> last validation skill, for methods that read it.
            penalty: a scalar that is added as it is, seen by no balancer (of a sharing scheme).
            allow_unreached: whether the losses of this step may reach none of `shared`, as where heads read
                early features. Refused otherwise: it would be a plain sum in silence.

        Returns:
            The weights: task -> float.

        Raises:
            ValueError: an unknown task, a loss that cannot be differentiated, shared parameters that no loss
                reaches, losses or gradients that are not finite (where the method reads any: else nothing
                waits for the device); names the task or parameter.
        """
        parameters = _listed(shared, len(losses))
        _check_penalty(penalty)
        step = _Pass(losses, parameters, scaler, self.engine, allow_unreached=allow_unreached)
        values = loss_values(losses) if self.reads else torch.full((len(losses),), nan, dtype=torch.float64)
        index = self._index(losses)
        gradients = step.differentiate(retain_graph=penalty is not None) if self.scales == "gradients" else None
        weights = torch.ones_like(values)
        if not ("gramian" in self.reads and step.has_overflowed()):
            known = [(scores or {}).get(name, nan) for name in losses]
            signals = Signals(
                names=tuple(losses),
                index=index,
                step=int(self.step),
                epoch=epoch,
                scores=torch.tensor(known, dtype=torch.float64),
                reads=self.reads,
                losses=values,
                gramian=step.gramian,
            )
            weights = self._checked(self(signals), len(losses))
            self.step += 1
        record = dict(zip(losses, weights.tolist(), strict=True))
        if gradients is None:
            total = weighted_sum(losses, record, penalty)
            if total is not None:
                step.scale(total).backward()
        else:
            gradients.accumulate(weights)
            if penalty is not None and penalty.requires_grad:
                step.scale(penalty).backward()
        return record

    def _index(self, losses: Mapping[str, Tensor]) -> Tensor:
        for name in losses:
            if name not in self.tasks:
                raise ValueError(f"unknown task {name!r} in losses; {nearest(name, self.tasks)}")
        return torch.tensor([self.tasks.index(name) for name in losses], dtype=torch.int64)

    def _checked(self, weights: Tensor, num_present: int) -> Tensor:
        if weights.shape != (num_present,) or not weights.isfinite().all():
            raise ValueError(
                f"{type(self).__name__} gave the weights {weights.tolist()}; {num_present} finite numbers are wanted"
            )
        return weights.detach().cpu().to(torch.float64)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Balancer":
        """State stays float64 on the CPU, where weights are computed, wherever the model moves."""
        return self


class _Pass:
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
        check_losses(losses)
        self._scaler = scaler
        scaled = {name: self.scale(loss) for name, loss in losses.items()}
        self._differentiate = partial(task_gradients, scaled, shared, allow_unreached=allow_unreached)
        self._factor = 1.0 if scaler is None else scaler.get_scale()
        self._engine = engine
        self._gradients: TaskGradients | None = None
        self._gramian: Tensor | None = None

    def scale(self, loss: Tensor) -> Tensor:
        return loss if self._scaler is None else self._scaler.scale(loss)

    def differentiate(self, *, retain_graph: bool) -> TaskGradients:
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


def _check_penalty(penalty: Tensor | None) -> None:
    if penalty is not None and (penalty.ndim or not bool(penalty.isfinite())):
        raise ValueError(f"penalty is {penalty.detach()}, a finite scalar is wanted")


def _listed(shared: Iterable[nn.Parameter], num_tasks: int) -> Iterable[nn.Parameter]:
    """Shared parameters that can be read twice; a generator that an earlier step used up is refused."""
    if not isinstance(shared, Iterator):
        return shared
    listed = list(shared)
    # Left alone, it would turn any method into a plain sum, in silence.
    if not listed and num_tasks > 1:
        raise ValueError(
            "shared is an iterator with nothing (left) in it: keep a list, "
            "shared = list(trunk.parameters()); if the tasks share nothing, shared=[]"
        )
    return listed
