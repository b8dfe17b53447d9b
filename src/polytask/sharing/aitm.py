"""AITM: tasks in an order, each taking up what the one before it has found."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder, OutputSpec
from polytask.sharing.base import Sharing
from polytask.sharing.calibrator import excess
from polytask.sharing.drawn_linear import drawn_linear
from polytask.sharing.order import checked_order


class Transfer(nn.Module):
    """z_t = Σ_u softmax_u(⟨Ku, Qu⟩/√d) Vu over u in {q_t, relu(G z_{t−1})}."""

    def __init__(self, before: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.info = drawn_linear(before, width, generator)
        self.key, self.query, self.value = (drawn_linear(width, width, generator, bias=False) for _ in range(3))

    def forward(
        self, own: Float[Tensor, "batch channels"], previous: Float[Tensor, "batch before"]
    ) -> Float[Tensor, "batch channels"]:
        """z_t of q_t and z_{t−1}."""
        both = torch.stack([own, self.info(previous).relu()], dim=1)
        scores = (self.key(both) * self.query(both)).sum(dim=2) / math.sqrt(own.shape[1])
        return (scores.softmax(dim=1).unsqueeze(2) * self.value(both)).sum(dim=1)


class AITM(Sharing):
    """Tasks in an order, as steps of one path (click, then purchase): each sees what the step before it found.

    The first `split` stages are shared; each task runs the rest on its own copy to q_t, pooled at the deepest stage
    that its head reads. The first task reads q_1; a later one z_t = Σ_u softmax_u(⟨Ku, Qu⟩/√d) Vu over u in
    {q_t, relu(G z_{t−1})}, `[B, C]`, in that stage's place. A task is served by running all before it too.

    Penalty in training, over neighbours among the tasks of two classes: calibrator · mean max(p_t − p_{t−1}, 0).

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for the first weights of K, Q, V and G.
        order: every task once, the first step first; as the tasks are listed where not given.
        split: how many stages are shared, 0 to the number of stages.
        calibrator: weight of the penalty, >= 0.

    Raises:
        ValueError: `order` does not name every task once, `split` beyond the encoder's stages, a weight below 0.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> tasks = {"click": (-1,), "purchase": (-1,)}
        >>> sharing = AITM(lambda copy: MLP(InputSpec(numbers=("a",)), widths=(4,)), tasks, torch.Generator())
        >>> sharing({NUMBERS: torch.ones(3, 1)}, ["purchase"])["purchase"][-1].values.shape
        torch.Size([3, 4])

    Paper: Xi et al., Modeling the Sequential Dependence among Audience Multi-step Conversions with Multi-task Learning
    in Targeted Display Advertising, KDD 2021, arXiv 2105.08489.

    Deviates: the calibrator is a mean over rows, where the paper's is a sum, so that its weight does not grow with the
    batch. (The authors' PyTorch code scores ⟨Qu, Vu⟩ by mistake; here it is ⟨Ku, Qu⟩, as in the paper.)
    """

    paper: ClassVar[str] = "xi2021"
    use_when: ClassVar[str] = "tasks are steps that follow each other, later ones rarer: impression, click, purchase"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        order: Sequence[str] | None = None,
        split: int = 1,
        calibrator: float = 0.6,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        self.order = checked_order("aitm", order, self.tasks)
        if not 0 <= calibrator < float("inf"):
            raise ValueError(f"aitm: calibrator={calibrator}, a number from 0 is wanted, such as 0.6")
        self.calibrator = calibrator
        trunk = make_encoder(0)
        self.widths = tuple(trunk.widths)
        num_stages = len(self.widths)
        if not 0 <= split <= num_stages:
            raise ValueError(f"aitm: split={split}, but the encoder has {num_stages} stages: 0 to {num_stages}")
        self.split = split
        self.trunk = trunk.stages[: max(self._shared_depth(task) for task in self.order)]
        self.tails, self.transfers = nn.ModuleDict(), nn.ModuleDict()
        for task in self.order:
            self.tails[f"task_{task}"] = make_encoder(0).stages[split : self.depth(task)]
        for before, task in pairwise(self.order):
            given, own = (self.widths[self.depth(name) - 1] for name in (before, task))
            self.transfers[f"task_{task}"] = Transfer(given, own, generator)
        #: The tasks of two classes, in order.
        self._binary: tuple[str, ...] = ()

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage of these tasks, for which all before them in the order are run."""
        needed = self.order[: max(self.order.index(task) for task in tasks) + 1]
        shared = run_stages(self.trunk[: max(self._shared_depth(task) for task in needed)], inputs)
        found: dict[str, list[Feature]] = {}
        for before, task in zip((None, *needed), needed, strict=False):
            start = shared[self.split - 1] if self._tail(task) and self.split else inputs
            features = shared[: self._shared_depth(task)] + run_stages(self._tail(task), start)
            if before is not None:
                previous, own = found[before][-1].pooled(), features[-1].pooled()
                features[-1] = Feature(self.transfers[f"task_{task}"](own, previous))
            found[task] = features
        return {task: found[task] for task in tasks}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """Of the last task: what it alone runs. Every other task's part is reached by those after it."""
        if task != self.order[-1]:
            return iter(())
        others = max((self._shared_depth(other) for other in self.order[:-1]), default=0)
        transfer = self.transfers[f"task_{task}"].parameters() if len(self.order) > 1 else iter(())
        shared = self.trunk[others : self._shared_depth(task)].parameters()
        return chain(shared, self._tail(task).parameters(), transfer)

    def expect_outputs(self, outputs: Mapping[str, OutputSpec]) -> None:
        """Finds the tasks of two classes, which the calibrator is for."""
        self._binary = tuple(task for task in self.order if outputs[task].is_binary)

    def output_penalties(self, outputs: Mapping[str, Float[Tensor, "batch ..."]]) -> dict[str, Float[Tensor, ""]]:
        """The calibrator's, where two tasks of two classes are present."""
        logits = {task: output for task, output in outputs.items() if task in self._binary}
        found = excess(logits, self._binary) if self.calibrator else None
        return {} if found is None else {"calibrator": self.calibrator * found}

    def _shared_depth(self, task: str) -> int:
        return min(self.depth(task), self.split)

    def _tail(self, task: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.tails[f"task_{task}"])
