"""Shared and private: every task reads a chain of all tasks beside one of its own, and the two are kept apart."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polytask.encoders import run_stages
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import UNREAD, Sharing
from polytask.sharing.joining import joined
from polytask.sharing.last import LastForward
from polytask.sharing.starts import copy_of

#: Task, stage, pooled s, pooled p.
Seen = tuple[str, int, Tensor, Tensor]


class ReversedGradient(torch.autograd.Function):
    """The value as it is; its gradient with the other sign."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """The same values."""
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Who wanted less of something gives more of it."""
        return -gradient


class SharedPrivate(Sharing):
    """A chain s for all tasks and a private one p_t for each: f_t = [s(x) ; p_t(x)] at every stage that a head reads.

    Two penalties in training keep what is shared apart from what is private:

    - adversarial: λ CE(D(s(x)), t), D linear on the pooled s. D learns to tell the tasks apart; behind a reversed
      gradient, s unlearns what tells them. Each stage that two tasks or more read has its own D, over these tasks.
    - orthogonality: γ mean((SᵀP)²), S and P [B, C] the pooled s and p_t, centred over the batch, rows of length 1.

    Either is a mean over the stages read and the tasks present. D belongs to no task; it needs rows with one task
    each. 0 and 0 leave the joined chains.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: as for every `Sharing`.
        adversarial: λ >= 0.
        orthogonality: γ >= 0.

    Raises:
        ValueError: a weight below 0; in training, several tasks at once while λ > 0.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = SharedPrivate(lambda copy: MLP(InputSpec(numbers=("a",)), widths=(4,)), tasks, torch.Generator())
        >>> sharing({NUMBERS: torch.ones(3, 1)}, ["price"])["price"][-1].values.shape
        torch.Size([3, 8])
        >>> sorted(sharing.penalties())
        ['adversarial', 'orthogonality']

    Paper: Liu, Qiu and Huang, Adversarial Multi-task Learning for Text Classification, ACL 2017, arXiv 1704.05742.

    Deviates: the paper's orthogonality is ‖SᵀP‖² of the features as they are, which grows with the batch and falls when
    features shrink; ours is the authors' code's. Their D is drawn, ours starts at 0: at chance.
    """

    paper: ClassVar[str] = "liup2017"
    use_when: ClassVar[str] = "tasks with rows of their own (domains, languages) that have some of their features alike"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        adversarial: float = 0.05,
        orthogonality: float = 0.01,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        for name, weight in (("adversarial", adversarial), ("orthogonality", orthogonality)):
            if not 0 <= weight < float("inf"):
                raise ValueError(f"shared_private: {name}={weight}, a number from 0 is wanted, such as 0.01")
        self.adversarial, self.orthogonality = adversarial, orthogonality
        trunk = make_encoder(0)
        one_chain = tuple(trunk.widths)
        self.widths = tuple(2 * width for width in one_chain)
        self.trunk = trunk.stages[: max(self.depth(task) for task in self.tasks)]
        self.private = nn.ModuleDict()
        for task in sorted(self.tasks):
            self.private[f"task_{task}"] = make_encoder(copy_of(task, "own")).stages[: self.depth(task)]
        #: Stage -> the tasks that its discriminator tells apart.
        self._told_apart = self._readers() if adversarial else {}
        self.discriminators = nn.ModuleDict()
        for stage, names in self._told_apart.items():
            self.discriminators[f"stage_{stage}"] = nn.Linear(one_chain[stage], len(names))
        for parameter in self.discriminators.parameters():
            nn.init.zeros_(parameter)
        #: Of the last forward in training.
        self._last = LastForward()

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """Both chains' features, joined, at the stages that each head reads."""
        seen: list[Seen] = []
        self._last.values = {"seen": seen}
        if self.training and self.adversarial and len(tasks) > 1:
            raise ValueError(f"shared_private: got rows for {len(tasks)} tasks at once, while {_WANTED}")
        shared = run_stages(self.trunk[: max(self.depth(task) for task in tasks)], inputs)
        found = {}
        for task in tasks:
            own, reads = run_stages(self._chain(task), inputs), set(self.reads(task))
            found[task] = [joined([shared[k], own[k]]) if k in reads else UNREAD for k in range(len(own))]
            if self.training and (self.adversarial or self.orthogonality):
                seen += [(task, k, shared[k].pooled(), own[k].pooled()) for k in sorted(reads)]
        return found

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The private chain, and shared stages that no other task's head needs."""
        own = self.own_stages(task)
        return chain(self._chain(task).parameters(), self.trunk[own.start : own.stop].parameters())

    def penalty_parameters(self) -> Iterator[nn.Parameter]:
        """The discriminators'."""
        return self.discriminators.parameters()

    def penalties(self) -> dict[str, Float[Tensor, ""]]:
        """Of the last forward in training; those of weight 0 are left out."""
        found: dict[str, Tensor] = {}
        seen: list[Seen] = self._last.values.get("seen", [])
        told = [self._told(task, stage, shared) for task, stage, shared, _ in seen if self._tells(task, stage)]
        if told:
            found["adversarial"] = self.adversarial * torch.stack(told).mean()
        if seen and self.orthogonality:
            overlaps = torch.stack([overlap(shared, private) for _, _, shared, private in seen])
            found["orthogonality"] = self.orthogonality * overlaps.mean()
        return found

    def check_rows(self, tables: Sequence[Sequence[str]], *, is_one_task_a_step: bool) -> None:
        """Refuses rows that several tasks have in common while a discriminator has to name the task of each."""
        if self.adversarial and not is_one_task_a_step and any(len(tasks) > 1 for tasks in tables):
            raise ValueError(f"shared_private: a step trains several tasks on the same rows, while {_WANTED}")

    def _readers(self) -> dict[int, list[str]]:
        """Stage -> the tasks whose heads read it, where there are two or more."""
        stages = sorted({stage for task in self.tasks for stage in self.reads(task)})
        readers = {stage: sorted(task for task in self.tasks if stage in self.reads(task)) for stage in stages}
        return {stage: names for stage, names in readers.items() if len(names) > 1}

    def _tells(self, task: str, stage: int) -> bool:
        return task in self._told_apart.get(stage, ())

    def _told(self, task: str, stage: int, shared: Tensor) -> Tensor:
        """How far the discriminator of a stage is from naming the task of these rows."""
        discriminator = cast(nn.Linear, self.discriminators[f"stage_{stage}"])
        told = discriminator(ReversedGradient.apply(shared).to(discriminator.weight.dtype))
        place = self._told_apart[stage].index(task)
        return functional.cross_entropy(_wide(told), torch.full((len(told),), place, device=told.device))

    def _chain(self, task: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.private[f"task_{task}"])


def overlap(shared: Float[Tensor, "batch shared"], private: Float[Tensor, "batch private"]) -> Float[Tensor, ""]:
    """mean((SᵀP)²), both centred over the batch, rows of length 1."""
    s, p = (functional.normalize(_wide(values) - _wide(values).mean(dim=0), dim=1) for values in (shared, private))
    return (s.T @ p).square().mean()


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


_WANTED = (
    "its discriminator wants one task a row: adversarial: 0, agenda: alternating, or a table for each task "
    "(in a loop of one's own: one task a forward)"
)
