"""What every balancer is: given the signals of a step, who yields."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite, nan
from typing import Any, ClassVar, Literal, Self, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polytask.balance.backward_pass import (
    BackwardPass,
    check_trainable,
    digest_of,
    meet,
    multiplied,
    parameters_of,
    preferred,
)
from polytask.config import Choice, choose
from polytask.gradients import Direction, Engine, Probe, Processes, Signals, check_is_dict, check_names

#: What a method may declare to read.
READABLE = frozenset({"losses", "gramian", "jacobian", "probe"})


class Balancer(nn.Module, ABC):
    """Weights for the tasks of a step, and the backward pass that uses them.

    A concrete balancer is built as `TheBalancer(tasks, **settings)` and defines `forward(signals) -> weights` (or
    a `Direction` of its own); what it declares in `reads` is computed when it asks for it, and nothing else can be
    read. Its state is buffers of one entry a task, made in the constructor, so that `state_dict` loads into a fresh
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

    #: What `forward` may read of a step beyond names and counters: "losses", "gramian", "jacobian", "probe".
    reads: ClassVar[frozenset[str]] = frozenset()
    #: Whether the weights scale losses (heads too) or the gradients of shared parameters only.
    scales: ClassVar[Literal["losses", "gradients"]]
    #: Key of the paper in `polytask.papers`; None where there is none.
    paper: ClassVar[str | None] = None
    #: What the weights of T tasks that are alike (equal losses, orthogonal gradients of length 1) sum to: T, 1
    #: each ("sum"); 1, 1/T each ("mean"); or neither. A "mean" needs T times the learning rate of a "sum" for
    #: steps of the same length.
    weights_like: ClassVar[Literal["sum", "mean", "neither"]] = "neither"
    #: Whether all tasks count alike unless a setting says otherwise: no main task, no weights by hand. Tasks that
    #: change places then change weights.
    is_impartial: ClassVar[bool] = True
    #: Whether it wants the losses of the same batch after the optimiser's step: `after_step(losses)` after each.
    looks_after: ClassVar[bool] = False
    #: Whether it looks ahead, at validation rows too: `backward(…, probe=Probe(…))`.
    looks_ahead: ClassVar[bool] = False
    #: Whether its weights follow the preference that the network of a step was given: `backward(…, preference=…)`.
    follows_preference: ClassVar[bool] = False
    #: Whether `forward` gives a `Direction`, not weights.
    gives_direction: ClassVar[bool] = False
    #: One honest line, at most 100 characters.
    use_when: ClassVar[str] = ""
    #: Degree of the update in the gradients: those of c · J give c^degree times the update.
    degree: float = 1.0

    #: The levels of the engine at which the method is what it says, with what it loses there told by its page.
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact", "representation"})

    step: Tensor
    kept: Tensor
    digest: Tensor

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
        given: Any = engine
        if not isinstance(given, Engine):
            wanted = "an Engine is wanted: engine=Engine(level='representation')"
            raise ValueError(f"{type(self).__name__}: engine={given!r}, {wanted}")  # noqa: TRY004
        self._check_engine(engine)
        self._check_traits()
        self.engine = engine
        if engine.every > 1:  # the last weights, for the steps between two solutions
            self.register_buffer("kept", torch.full((len(self.tasks),), nan, dtype=torch.float64))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        #: Of the tasks' names in their order, which the entries of all state are in.
        self.register_buffer("digest", torch.tensor(digest_of(self.tasks), dtype=torch.int64))

    @classmethod
    def with_(cls, **settings: Any) -> Choice[Self]:
        """The balancer with these settings as a choice, to be built later."""
        return choose(cls, **settings)

    @staticmethod
    def catalogue() -> Mapping[str, "type[Balancer]"]:
        """Every balancer by its name, for those that have one among their settings."""
        from polytask.balance import BALANCERS  # only there once all of them are

        return BALANCERS

    @abstractmethod
    def forward(self, signals: Signals) -> Float[Tensor, " present"] | Direction:
        """The weights of the tasks present, float64, or an update of the shared parameters; called once a step,
        and the place to update own state.
        """

    def watched(self, shared: Sequence[nn.Parameter], losses: Mapping[str, Tensor]) -> Sequence[nn.Parameter]:
        """The parameters that J and G are over: all shared ones, but for methods that scale losses and look at a
        part of them. `losses` have their graphs, which say what each reaches.
        """
        return shared

    def loss_factors(
        self, index: Int[Tensor, " present"], losses: Float[Tensor, " present"]
    ) -> Float[Tensor, " present"] | None:
        """What each loss is multiplied by before it is differentiated, by methods whose gradient weights go
        with loss weights; `forward` then sees the gradients of the multiplied losses. `losses` are their values,
        for a method that reads them.
        """
        return None

    def after_step(self, losses: Mapping[str, Tensor] | None) -> None:
        """Takes in what a step did to the losses of its own batch; nothing but for methods that `looks_after`.

        Args:
            losses: task -> its loss on the same batch after the optimiser's step, of the tasks that were in it; a
                graph is not needed. None: no step was taken (the scaler skipped it; gradients are still gathered).

        Raises:
            ValueError: losses missing, left over, or not finite; names the task.
        """

    def backward(
        self,
        losses: Mapping[str, Tensor],
        *,
        shared: Iterable[nn.Parameter],
        features: Tensor | Sequence[Tensor] | None = None,
        scaler: torch.amp.GradScaler | None = None,
        epoch: int | None = None,
        scores: Mapping[str, float] | None = None,
        penalty: Tensor | None = None,
        allow_unreached: bool = False,
        probe: Probe | None = None,
        processes: Processes | None = None,
        preference: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """Fills `.grad` everywhere, as `loss.backward()` would: what is there already is added to.

        Args:
            losses: task -> scalar loss, of the tasks present in this batch. A task without a label is left
                out; its state stays as it is.
            shared: the parameters that at least two tasks share. Methods that scale losses do not look at
                them.
            features: what the tasks' own parts read, at level "representation"; found where the tasks' graphs meet
                if not given. Not looked at otherwise.
            scaler: multiplies the losses before they are differentiated (float16). Weights are those of the
                unscaled gradients; when these overflow, all weights are 1, so that the scaler sees it and
                skips the step.
            epoch: for methods that compare epochs.
            scores: task -> last validation skill, for methods that read it.
            penalty: a scalar that is added as it is, seen by no balancer (of a sharing scheme).
            allow_unreached: whether the losses of this step may reach none of `shared`, as where heads read
                early features. Refused otherwise: it would be a plain sum in silence.
            probe: made before the forward pass, for methods that look ahead.
            processes: who takes this step together, each on its own rows. `losses` are then this process's shares of
                the mean losses (`processes.shares`), which add up to them; a process without a label of a task, or of
                any, leaves it out. What the balancer sees, the weights and `.grad` are those of the global batch, alike
                in every process; `penalty` is the mean of the processes' that have one.
            preference: task -> its share, where the network of this step was given one among all tasks; only for
                methods that follow it.

        Returns:
            The weights: task -> float, of every task that some process has.

        Raises:
            ValueError: an unknown task, a loss that cannot be differentiated, shared parameters that no loss
                reaches, losses or gradients that are not finite (where the method reads any: else nothing
                waits for the device); names the task or parameter.
        """
        check_is_dict(losses)
        parameters = parameters_of(shared, len(losses))
        if self.scales == "gradients" and not allow_unreached:
            check_trainable(parameters)
        self._check_processes(processes, parameters)
        met = meet(losses, penalty, processes, reads_losses=bool(self.reads))
        index = self._index(met.names)
        shares = preferred(preference, met.names, method=type(self).__name__, is_followed=self.follows_preference)
        factors = self.loss_factors(index, met.values)
        watched = self.watched(parameters, losses)
        step = BackwardPass(
            losses if factors is None else multiplied(losses, met.names, factors),
            watched,
            self.engine,
            features,
            met=met,
            penalty=penalty,
            scaler=scaler,
            processes=processes,
            allow_unreached=allow_unreached or len(watched) < len(parameters),
        )
        if self._is_between(index):
            weights, update = self.kept[index], None
            self.step += 1
        else:
            if self.scales == "gradients":
                step.differentiate()
            known = [(scores or {}).get(name, nan) for name in met.names]
            signals = step.signals(index, int(self.step), epoch, known, self.reads, probe, shares)
            weights, update = self._solved(step, signals)
        record = dict(zip(met.names, (weights if factors is None else weights * factors).tolist(), strict=True))
        if self.scales == "losses":
            step.accumulate_losses(losses, record)
        else:
            step.accumulate(weights, update)
        return record

    def _solved(
        self, step: BackwardPass, signals: Signals
    ) -> tuple[Float[Tensor, " present"], Float[Tensor, " params"] | None]:
        """This step's weights, and an update of the method's own; all 1 where the scaler's factor was too large."""
        if self.reads & {"gramian", "jacobian"} and step.has_overflowed():
            return torch.ones(len(signals.names), dtype=torch.float64), None
        found: Tensor | Direction = self(signals)
        weights = self._checked(found.weights if isinstance(found, Direction) else found, len(signals.names))
        self.step += 1
        if self.engine.every > 1:
            self.kept[signals.index] = weights
        return weights, found.update if isinstance(found, Direction) else None

    def _is_between(self, index: Int[Tensor, " present"]) -> bool:
        """Whether this step uses the last weights: none is missing, and it is not yet time for new ones."""
        every = self.engine.every
        if every == 1 or "gramian" not in self.reads or int(self.step) % every == 0:
            return False
        return not bool(self.kept[index].isnan().any())

    def _check_traits(self) -> None:
        name, scales, reads = type(self).__name__, getattr(self, "scales", None), cast(Any, self.reads)
        if scales not in ("losses", "gradients"):
            raise ValueError(f"{name}: scales={scales!r}, 'losses' or 'gradients' is wanted")
        if isinstance(reads, str) or not set(reads) <= READABLE:
            raise ValueError(f"{name}: reads={reads!r}, a frozenset out of {sorted(READABLE)} is wanted")

    def _check_engine(self, engine: Engine) -> None:
        name = type(self).__name__
        if engine.level not in self.levels:
            raise ValueError(
                f"{name}: level={engine.level!r}, but it looks at the shared parameters' gradients by layer, by "
                "number or over many steps: level='exact'"
            )
        if engine.every > 1 and "jacobian" in self.reads:
            raise ValueError(f"{name}: every={engine.every}, but it needs the gradients of every step: every=1")

    def _check_processes(self, processes: Processes | None, shared: Sequence[nn.Parameter]) -> None:
        if processes is None:
            return
        if set(processes.tasks) != set(self.tasks):
            raise ValueError(
                f"processes have the tasks {list(processes.tasks)}, {type(self).__name__} has {list(self.tasks)}: "
                "the same are wanted"
            )
        processes.check_shared(shared)

    def _index(self, names: Sequence[str]) -> Tensor:
        check_names(names, self.tasks)
        return torch.tensor([self.tasks.index(name) for name in names], dtype=torch.int64)

    def _checked(self, weights: Tensor, num_present: int) -> Tensor:
        # The numbers are read anyway; for a handful, Python is faster than a kernel.
        if weights.shape != (num_present,) or not all(map(isfinite, weights.tolist())):
            raise ValueError(
                f"{type(self).__name__} gave the weights {weights.tolist()}; {num_present} finite numbers are wanted"
            )
        return weights.detach().cpu().to(torch.float64)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """As every module's; a state of other tasks, or in another order, is refused."""
        saved = state_dict.get(f"{prefix}digest")
        if saved is not None and int(saved) != int(self.digest):
            raise ValueError(
                f"{type(self).__name__}: this state is of other tasks than {list(self.tasks)}, or has them in another "
                "order: build the balancer with the tasks it was saved with"
            )
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Balancer":
        """State stays float64 on the CPU, where weights are computed, wherever the model moves."""
        return self
