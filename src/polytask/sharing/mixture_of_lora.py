"""A mixture of LoRA experts: tasks share changes of low rank, each in shares of its own."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import sqrt
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.conditioned_chain import conditioned_stages, run_conditioned
from polytask.sharing.low_rank import check_rank, drawn, matrices, run_changed, with_matrices
from polytask.sharing.record import Record

#: Standard deviation of A at the start, as the authors' code has it.
START = 0.01


class LowRankExperts(nn.Module):
    """scale · Σ_i ω_i B_i A_i beside every weight matrix of a stage, B = 0 at the start.

    Args:
        shapes: name of a matrix -> its (rows, columns).
        num_experts: how many.
        rank: of each.
        scale: of the sum.
        generator: for the start of A.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        num_experts: int,
        rank: int,
        scale: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.names, self.scale = tuple(shapes), scale
        ranks = [min(rank, *shape) for shape in shapes.values()]
        sizes = [(r, *shape) for r, shape in zip(ranks, shapes.values(), strict=True)]
        self.a = nn.ParameterList(
            drawn(num_experts, r, columns, std=START, generator=generator) for r, _, columns in sizes
        )
        self.b = nn.ParameterList(torch.zeros(num_experts, rows, r) for r, rows, _ in sizes)

    def forward(self, stage: nn.Module, source: Inputs | Feature, shares: Float[Tensor, " experts"]) -> Feature:
        """Runs the stage with the weights changed by these shares of the experts."""
        changes = {
            name: self.scale * torch.einsum("e,eor,erc->oc", shares, b, a)
            for name, a, b in zip(self.names, self.a, self.b, strict=True)
        }
        return run_changed(stage, changes, source)


class MixtureOfLoRA(Sharing):
    """One trunk for all tasks, and experts of low rank beside its weights that all tasks share, each in its own shares.

    W_t = W + (α/r) Σ_i ω_ti B_i A_i for the weights of linear layers and convolutions, ω_t = softmax(G e_t): A_i has
    r/N of the r rows, e_t is an embedding of the task and G one gate for all stages. B = 0 at the start: hard sharing,
    bit for bit. What lies before the first conditioned stage runs once, all else once a task asked for.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for the start of A, G and e.
        stages: the conditioned stages, 0 the first, -1 the last; all but the first where not given.
        experts: N, at least 1.
        rank: r of all experts together, a multiple of N; an expert's share of it is at most the matrix's shorter side.
        alpha: α, above 0.
        embedding_dim: numbers in e_t, at least 1.

    Raises:
        ValueError: stages that the encoder does not have, or none with a weight matrix; a setting that cannot be.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = MixtureOfLoRA(lambda copy: MLP(spec), tasks, torch.Generator(), embedding_dim=3)
        >>> [tuple(p.shape) for p in sharing.task_parameters("sold")]
        [(3,)]

    Paper: Liu, Wu, Zhao, Zhu, Xu, Tian, Zheng: When MOE meets LLMs: parameter efficient fine-tuning for multi-task
        medical applications. SIGIR 2024. arXiv 2310.18339 (there MOELoRA).

    Deviates: the trunk trains too, where there it is a frozen language model; no dropout before A. The defaults of
        experts, rank, α and embedding are those of the authors' code.
    """

    paper: ClassVar[str] = "liuqidong2024"
    use_when: ClassVar[str] = "as lora, with many tasks or few rows for some: they borrow from one another"

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        stages: tuple[int, ...] | None = None,
        experts: int = 8,
        rank: int = 16,
        alpha: float = 32.0,
        embedding_dim: int = 64,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        _check(experts, rank, alpha, embedding_dim)
        encoder = make_encoder(0)
        self.widths = tuple(encoder.widths)
        self.num_experts = experts
        conditioned = conditioned_stages("mixture_of_lora", stages, len(self.widths))
        conditioned = with_matrices("mixture_of_lora", conditioned, encoder.stages)
        self.first = min(conditioned)
        deepest = max(self.depth(task) for task in self.tasks)
        self.trunk = encoder.stages[:deepest]
        self.experts = nn.ModuleDict()
        for stage in (s for s in conditioned if s < deepest):
            shapes = matrices(self.trunk[stage])
            self.experts[f"stage_{stage}"] = LowRankExperts(shapes, experts, rank // experts, alpha / rank, generator)
        # By name, so that their order changes nothing; who reads no conditioned stage has no gate.
        gated = [task for task in sorted(self.tasks) if self.depth(task) > self.first]
        found = {task: nn.Parameter(drawn(embedding_dim, std=1.0, generator=generator)) for task in gated}
        self.embeddings = nn.ParameterDict({f"task_{task}": found[task] for task in self.tasks if task in found})
        std = 1 / sqrt(embedding_dim)
        self.gate = nn.Parameter(drawn(experts, embedding_dim, std=std, generator=generator)) if gated else None

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage, by each task's own mixture of the experts."""
        depths = {task: self.depth(task) for task in tasks}
        return run_conditioned(self.trunk, inputs, depths, self.first, self._run_stage)

    def shares(self, task: str) -> Float[Tensor, " experts"]:
        """ω of a task: above 0, summing to 1."""
        assert self.gate is not None, "only a task that reads a conditioned stage is asked for"
        return (self.gate @ self.embeddings[f"task_{task}"]).softmax(dim=0)

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """The task's embedding; stages, experts and the gate where no other task reads them."""
        own = self.own_stages(task)
        if f"task_{task}" in self.embeddings:
            yield self.embeddings[f"task_{task}"]
        yield from chain.from_iterable(self.trunk[stage].parameters() for stage in own)
        keys = [f"stage_{stage}" for stage in own]
        yield from chain.from_iterable(self.experts[key].parameters() for key in keys if key in self.experts)
        if self.gate is not None and self.first in own:
            yield self.gate

    def records(self) -> dict[str, Record]:
        """Every task's shares of the experts."""
        gated = [task for task in self.tasks if f"task_{task}" in self.embeddings]
        with torch.no_grad():
            values = [self.shares(task).tolist() for task in gated]
        columns = [f"expert {k + 1}" for k in range(self.num_experts)]
        return {"Shares of the experts": Record("shares", gated, columns, values)} if gated else {}

    def _run_stage(self, task: str, stage: int, source: Inputs | Feature) -> Feature:
        key = f"stage_{stage}"
        if key not in self.experts:
            plain: Feature = self.trunk[stage](source)
            return plain
        found: Feature = self.experts[key](self.trunk[stage], source, self.shares(task))
        return found


def _check(experts: int, rank: int, alpha: float, embedding_dim: int) -> None:
    check_rank("mixture_of_lora", rank, alpha)
    if experts < 1 or embedding_dim < 1:
        raise ValueError(
            "sharing 'mixture_of_lora': experts and embedding_dim are 1 or more, "
            f"got experts={experts} and embedding_dim={embedding_dim}"
        )
    if rank % experts:
        raise ValueError(
            f"sharing 'mixture_of_lora': rank={rank} cannot be divided among {experts} experts; a multiple of it "
            f"would work, such as {2 * experts}"
        )
