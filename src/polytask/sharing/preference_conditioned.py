"""COSMOS's network: one model for every preference among the tasks, which it reads beside its inputs."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.errors import nearest
from polytask.feature import Feature, Inputs, MakeEncoder
from polytask.sharing.base import Sharing
from polytask.sharing.channels import along_channels
from polytask.sharing.conditioned_chain import conditioned_stages


class PreferenceConditioned(Sharing):
    """One trunk for all tasks that also reads a preference among them, drawn anew in every training step.

    h <- (1 + G r) h + B r after one stage, with r ~ Dirichlet(α) over the tasks in training and a chosen r otherwise:
    after training, `prefer` moves one model along the front of compromises. G = B = 0 at the start: hard sharing, bit
    for bit. Every stage runs once. The loss has to follow the same r, as balancer `cosmos` does, and no other.

    Args:
        make_encoder: builds a fresh chain of stages.
        tasks: task -> the stages its head reads.
        generator: for the seed of the draws.
        stage: the stage whose feature the preference changes, 0 the first, -1 the last.
        alpha: α, above 0; below 1 most draws are near one task's corner, above 1 near equal preference.
        preference: task -> number of at least 0, for every task: r outside training; equal where not given.

    Raises:
        ValueError: a stage that is not there; an α or a preference that cannot be; names the task.

    Example:
        >>> from polytask.encoders import MLP
        >>> from polytask.feature import NUMBERS, InputSpec
        >>> spec = InputSpec(numbers=("area", "rooms"))
        >>> tasks = {"price": (-1,), "sold": (-1,)}
        >>> sharing = PreferenceConditioned(lambda copy: MLP(spec), tasks, torch.Generator())
        >>> sharing.prefer({"price": 3.0, "sold": 1.0})
        >>> sharing.preference
        tensor([0.7500, 0.2500])

    Paper: Ruchte and Grabocka: Scalable Pareto front approximation for deep multi-objective learning. ICDM 2021. arXiv
        2103.13392.

    Deviates: there r is appended to the inputs, which is what B r gives in front of a linear layer; G r lets it act on
        any encoder. Its α is 0.5 on tables, the default, and 1.2 on pictures.
    """

    paper: ClassVar[str] = "ruchte2021"
    use_when: ClassVar[str] = "how much each task matters is decided after training; with balancer cosmos"
    draws_preference: ClassVar[bool] = True
    preference: Tensor
    seed: Tensor
    num_draws: Tensor

    def __init__(
        self,
        make_encoder: MakeEncoder,
        tasks: Mapping[str, tuple[int, ...]],
        generator: torch.Generator,
        *,
        stage: int = 0,
        alpha: float = 0.5,
        preference: dict[str, float] | None = None,
    ) -> None:
        super().__init__(make_encoder, tasks, generator)
        if not 0 < alpha < float("inf"):
            raise ValueError(
                f"sharing 'preference_conditioned': alpha={alpha}, a number above 0 is wanted, such as 0.5"
            )
        encoder = make_encoder(0)
        self.widths = tuple(encoder.widths)
        (self.stage,) = conditioned_stages("preference_conditioned", (stage,), len(self.widths))
        self.alpha = alpha
        self.trunk = encoder.stages[: max(self.depth(task) for task in self.tasks)]
        size = self.widths[self.stage], len(self.tasks)
        is_read = self.stage < len(self.trunk)
        self.gain = nn.Parameter(torch.zeros(size)) if is_read else None
        self.shift = nn.Parameter(torch.zeros(size)) if is_read else None
        self.register_buffer("preference", torch.full((len(self.tasks),), 1 / len(self.tasks)))
        # Every draw has its number, so that a resumed run, a probe and all processes draw alike.
        self.register_buffer("seed", torch.randint(2**62, (), generator=generator))
        self.register_buffer("num_draws", torch.zeros((), dtype=torch.int64))
        if preference is not None:
            self.prefer(preference)

    def prefer(self, preference: Mapping[str, float]) -> None:
        """From now on, outside training, this is r (divided by its sum).

        Args:
            preference: task -> number of at least 0, for every task.

        Raises:
            ValueError: a task that is unknown or missing, or a number that cannot be.
        """
        _check(preference, list(self.tasks))
        chosen = torch.tensor([float(preference[task]) for task in self.tasks], dtype=torch.float64)
        self.preference.copy_(chosen / chosen.sum())

    def forward(self, inputs: Inputs, tasks: Sequence[str]) -> dict[str, list[Feature]]:
        """The features after each stage, under this step's preference; in evaluation under the chosen one."""
        ray = self._draw() if self.training else self.preference
        self.preference_of_last_forward = dict(zip(self.tasks, ray.tolist(), strict=True)) if self.training else None
        features: list[Feature] = []
        for stage, module in enumerate(self.trunk[: max(self.depth(task) for task in tasks)]):
            feature: Feature = module(features[-1] if features else inputs)
            features.append(self._conditioned(feature, ray) if stage == self.stage else feature)
        return {task: list(features) for task in tasks}

    def task_parameters(self, task: str) -> Iterator[nn.Parameter]:
        """Stages that no other task's head needs, and how the preference enters there."""
        for stage in self.own_stages(task):
            yield from self.trunk[stage].parameters()
            if stage == self.stage:
                yield from (p for p in (self.gain, self.shift) if p is not None)

    def check_rows(self, tables: Sequence[Sequence[str]], *, is_one_task_a_step: bool) -> None:
        """Refuses what leaves nothing to prefer in a step.

        Raises:
            ValueError: tasks on rows of their own, or one task a step.
        """
        if len(tables) > 1 or is_one_task_a_step:
            what = "every step trains one task alone" if is_one_task_a_step else "tasks have rows of their own"
            raise ValueError(
                f"sharing 'preference_conditioned' weighs all tasks against each other on the same rows, but {what}; "
                "one table with agenda 'joint' would work, or sharing 'hard'"
            )

    def _conditioned(self, feature: Feature, ray: Float[Tensor, " tasks"]) -> Feature:
        assert self.gain is not None and self.shift is not None, "there are some where the stage is run"  # noqa: PT018
        values, ray = feature.values, ray.to(self.gain)
        gain, shift = along_channels(self.gain @ ray, values), along_channels(self.shift @ ray, values)
        return feature._replace(values=(1 + gain) * values + shift)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _draw(self) -> Float[Tensor, " tasks"]:
        """The next ray; by the tasks' names, so that their order changes nothing."""
        generator = np.random.default_rng([int(self.seed), int(self.num_draws)])
        self.num_draws += 1
        drawn = dict(zip(sorted(self.tasks), generator.dirichlet([self.alpha] * len(self.tasks)), strict=True))
        return torch.tensor([drawn[task] for task in self.tasks], dtype=torch.float64)


def _check(preference: Mapping[str, float], tasks: Sequence[str]) -> None:
    name = "sharing 'preference_conditioned'"
    for task, number in preference.items():
        if task not in tasks:
            raise ValueError(f"{name}: a preference for the unknown task {task!r}; {nearest(task, tasks)}")
        if not (isfinite(number) and number >= 0):
            raise ValueError(f"{name}: the preference for task {task!r} is {number}, a number of at least 0 is wanted")
    if missing := [task for task in tasks if task not in preference]:
        raise ValueError(f"{name}: no preference for task {missing[0]!r}; 0 would work, or a number above it")
    if not any(preference.values()):
        raise ValueError(f"{name}: every preference is 0; one task at least is wanted above it")
