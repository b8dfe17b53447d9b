"""How the gradients of a step are taken: the settings, and the way that they choose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from polytask.gradients.by_layers import by_layers
from polytask.gradients.checks import check_losses, trainable_parameters
from polytask.gradients.cost import is_looped
from polytask.gradients.crossing import backward_weighted
from polytask.gradients.gathered import gathered
from polytask.gradients.graph import StepGraph
from polytask.gradients.loop import by_loop
from polytask.gradients.processes import Processes
from polytask.gradients.representation import at_representation
from polytask.gradients.task_gradients import TaskGradients


@dataclass(frozen=True)
class Engine:
    """How gradients are taken; the same for every method.

    Args:
        level: "exact", the gradients of the shared parameters; or "representation", those of what the tasks' own
            parts read: one backward pass through the shared parameters whatever the number of tasks is. Angles and
            lengths are then those of the representation, and so is what a method promises of them.
        every: weights are solved anew each so many steps; in between, the last ones are used.
        chunk: at level "exact", at most so many numbers of J are held at once (those of one parameter at least, and
            a quarter of a million), and taken again for the update; None for all of it. Methods that read J itself,
            and several processes, hold all of it.

    Raises:
        ValueError: an unknown level, or every or chunk below 1.
    """

    level: Literal["exact", "representation"] = "exact"
    every: int = 1
    chunk: int | None = None

    def __post_init__(self) -> None:
        if self.level not in ("exact", "representation"):
            raise ValueError(f"level={self.level!r}: 'exact' or 'representation' is wanted")
        for name in ("every", "chunk"):
            value = getattr(self, name)
            is_none = value is None and name == "chunk"
            if not is_none and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                example = (
                    "weights are solved anew each 1, 2, … steps" if name == "every" else "chunk=10_000_000, or None"
                )
                raise ValueError(f"{name}={value!r}: a whole number of at least 1 is wanted: {example}")

    def differentiate(
        self,
        losses: Mapping[str, Tensor],
        shared: Iterable[nn.Parameter],
        *,
        retain_graph: bool = False,
        with_own: bool = True,
        features: Tensor | Sequence[Tensor] | None = None,
        allow_unreached: bool = False,
        processes: Processes | None = None,
        names: Sequence[str] | None = None,
    ) -> TaskGradients:
        """The gradients of each loss with respect to everything it reaches; changes no `.grad`.

        Args:
            losses: task -> its scalar loss. One that is not finite gives a row that is not finite.
            shared: the parameters the tasks share. Frozen ones are left out; repeated ones count once.
            retain_graph: keep the graph for another backward pass.
            with_own: also the gradients of parameters that are not in `shared`.
            features: at level "representation", what the tasks' own parts read; found where the tasks' graphs meet
                if not given. Not looked at otherwise.
            allow_unreached: whether the losses may reach none of `shared`; J is then zero.
            processes: who else takes part in this step: `losses` are then this process's shares, and what comes out
                is of the global batch.
            names: of the tasks that some process has, as `processes.meet(losses)` says.

        Raises:
            ValueError: a loss that cannot be differentiated, or shared parameters none of which any loss reaches
                (unless allowed); tasks that do not read one representation (at that level); names the task or the
                parameter.

        Example:
            >>> import torch
            >>> w = nn.Parameter(torch.tensor([1.0, 2.0]))
            >>> Engine().differentiate({"a": w.sum(), "b": w[0] ** 2}, [w]).jacobian()
            tensor([[1., 1.],
                    [2., 0.]])
        """
        if processes is None:  # with others, `meet` has looked at them
            check_losses(losses)
        trainable = trainable_parameters(shared)
        present = tuple(losses) if names is None else tuple(names)
        # One task alone meets nobody; its own pass is one pass anyway.
        is_above = self.level == "representation" and len(present) > 1

        def take() -> TaskGradients:
            kept = {"retain_graph": retain_graph, "with_own": with_own}
            if is_above:
                at = _tensors(features)
                if not at and len(losses) < len(present):
                    raise ValueError(
                        f"level='representation': this process has no loss of {_first_missing(present, losses)!r}, so "
                        "where the tasks meet cannot be seen: pass the representation, features=h, or use level='exact'"
                    )
                return at_representation(losses, trainable, at, **kept)
            if is_looped(len(losses), len(losses) * sum(p.numel() for p in trainable)):
                return by_loop(losses, trainable, **kept)
            return by_layers(losses, trainable, chunk=self.chunk, **kept)

        if processes is None:
            found = take()
        else:
            found = gathered(
                take if losses else None, present, trainable, processes, at_representation=is_above, with_own=with_own
            )
        if not allow_unreached:
            _check_reached(trainable, found.reached)
        return found


def weighted_backward(
    losses: Mapping[str, Tensor],
    shared: Iterable[nn.Parameter],
    weights: Sequence[float],
    *,
    retain_graph: bool = False,
    allow_unreached: bool = False,
) -> None:
    """Adds Jᵀw to `.grad` of the shared parameters, and to that of all others their plain gradient, in one pass.

    Raises:
        ValueError: as `Engine.differentiate`.

    Example:
        >>> import torch
        >>> w, head = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(3.0))
        >>> weighted_backward({"a": w * head, "b": w**2}, [w], [10.0, 1.0])
        >>> w.grad, head.grad
        (tensor(32.), tensor(1.))
    """
    check_losses(losses)
    trainable = trainable_parameters(shared)
    graph = StepGraph(losses, trainable)
    if not allow_unreached:
        _check_reached(trainable, graph.is_reached())
    backward_weighted(graph, losses, trainable, weights, retain_graph=retain_graph)


def _tensors(features: Tensor | Sequence[Tensor] | None) -> list[Tensor]:
    if features is None:
        return []
    found = [features] if isinstance(features, Tensor) else list(features)
    for k, feature in enumerate(found):
        if not isinstance(feature, Tensor) or not feature.requires_grad:
            what = f"a {type(feature).__name__}" if not isinstance(feature, Tensor) else "a tensor without a graph"
            raise ValueError(f"features[{k}] is {what}: pass what the trunk gave, features=trunk(inputs)")
    return found


def _first_missing(names: Sequence[str], losses: Mapping[str, Tensor]) -> str:
    return next(name for name in names if name not in losses)


def _check_reached(shared: Sequence[Tensor], reached: Sequence[bool]) -> None:
    if shared and not any(reached):
        shapes = ", ".join(f"shared[{k}] {list(p.shape)}" for k, p in enumerate(shared[:3]))
        more = f", … ({len(shared)} in all)" if len(shared) > 3 else ""
        raise ValueError(f"no loss reaches any of the shared parameters ({shapes}{more}): are they the trunk's?")
