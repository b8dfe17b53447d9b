"""The made-up tasks of the paper on MMoE, and the nets of many seeds that learn them side by side.

Paper: Ma, Zhao, Yi, Chen, Hong, Chi: Modeling Task Relationships in Multi-task Learning with Multi-gate
Mixture-of-Experts, KDD 2018, section 3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from polytask.encoders import MLP
from polytask.feature import NUMBERS, Feature, InputSpec
from polytask.model import Model, count_parameters, seed_of
from polytask.sharing import SHARINGS

COSINES = (1.0, 0.9, 0.5, 0.0)
TASKS = ("first", "second")
#: Of the paper's experiment: inputs, units of an expert and of a tower, deviation of the noise.
INPUTS, UNITS, TOWER, NOISE = 100, 16, 8, 0.01
#: Eight experts and two towers, without biases and gates: 100·16·8 + 16·8·2.
PARAMETERS = INPUTS * UNITS * 8 + UNITS * TOWER * len(TASKS)
SCHEMES: dict[str, dict[str, Any]] = {
    "independent": {},
    "hard": {},
    "mmoe": {"experts": 8},
    "ple": {"experts": 4, "task_experts": 2},
}
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How much there is to learn, and from how many rows; without `rows` every step sees new ones."""

    name: str
    sinusoids: int
    rows: int | None
    steps: int

    def curve(self, z: Tensor) -> Tensor:
        """The sum z + Σ sin(i z + (i−1)²), standardised for z ~ N(0, 1)."""
        at = torch.linspace(-6, 6, 20_001, dtype=torch.float64)
        density = torch.softmax(-(at**2) / 2, dim=0)
        mean = (density * self._raw(at)).sum()
        sd = (density * (self._raw(at) - mean) ** 2).sum().sqrt()
        return (self._raw(z) - float(mean)) / float(sd)

    def _raw(self, z: Tensor) -> Tensor:
        return z + sum(torch.sin(i * z + (i - 1) ** 2) for i in range(1, self.sinusoids + 1))


class Tower(nn.Module):
    """A task's head: one hidden layer on the last feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, TOWER), nn.ReLU(), nn.Linear(TOWER, 1))

    def forward(self, features: Sequence[Feature]) -> Tensor:
        """`[B, width]` to `[B]`."""
        return self.layers(features[-1].values).squeeze(-1)


def make_model(scheme: str, units: int, seed: int) -> Model:
    """The scheme over one hidden layer; parts of equal names start equal under every scheme."""
    spec = InputSpec(numbers=tuple(f"x{k}" for k in range(INPUTS)))

    def make_encoder(copy: int | str) -> MLP:
        torch.manual_seed(seed_of(seed, "encoder", copy))
        return MLP(spec, widths=(units,), dropout=0.0)

    generator = torch.Generator().manual_seed(seed_of(seed, "sharing"))
    sharing = SHARINGS[scheme](make_encoder, dict.fromkeys(TASKS, (-1,)), generator, **SCHEMES[scheme])
    heads = {}
    for task in TASKS:
        torch.manual_seed(seed_of(seed, "head", task))
        heads[task] = Tower(sharing.widths_of(task)[-1])
    return Model(sharing, heads)


def units_of(scheme: str) -> int:
    """Units of the hidden layer (of each expert) that bring the scheme nearest to `PARAMETERS`."""

    def distance(units: int) -> int:
        return abs(count_parameters(make_model(scheme, units, 0).parameters()) - PARAMETERS)

    return min(range(4, 150), key=distance)


@dataclass
class Rows:
    """Made-up rows of several seeds: inputs `[seeds, rows, inputs]`, targets `[seeds, cosines, rows, tasks]`."""

    inputs: Tensor
    targets: Tensor


class Source:
    """Rows of the setting, each seed with weights of its own; the same at every call with the same seeds."""

    def __init__(self, setting: Setting, seeds: Sequence[int]) -> None:
        self.setting = setting
        self.generator = torch.Generator().manual_seed(seed_of(seeds[0], "rows", setting.name))
        normal = torch.randn(len(seeds), INPUTS, 2, generator=self.generator)
        self.directions = torch.linalg.qr(normal)[0]

    def draw(self, num_rows: int) -> Rows:
        """New rows."""
        seeds = len(self.directions)
        inputs = torch.randn(seeds, num_rows, INPUTS, generator=self.generator)
        along = inputs @ self.directions
        noise = NOISE * torch.randn(seeds, len(COSINES), num_rows, len(TASKS), generator=self.generator)
        second = [p * along[..., 0] + (1 - p**2) ** 0.5 * along[..., 1] for p in COSINES]
        z = torch.stack([torch.stack([along[..., 0], other], dim=-1) for other in second], dim=1)
        return Rows(inputs, self.setting.curve(z) + noise)

    def batches(self) -> Iterator[Rows]:
        """As many as there are steps: of new rows, or of the same in a new order each epoch."""
        if self.setting.rows is None:
            for _ in range(self.setting.steps):
                yield self.draw(BATCH)
            return
        rows, order = self.draw(self.setting.rows), torch.empty(0, dtype=torch.long)
        for _ in range(self.setting.steps):
            if len(order) < BATCH:
                order = torch.randperm(self.setting.rows, generator=self.generator)
            batch, order = order[:BATCH], order[BATCH:]
            yield Rows(rows.inputs[:, batch], rows.targets[:, :, batch])


class Nets:
    """The scheme's models of all seeds, cosines and learning rates, trained side by side by Adam."""

    def __init__(self, scheme: str, seeds: Sequence[int], rates: Tensor) -> None:
        units, (_, self.num_rates) = units_of(scheme), rates.shape
        models = [make_model(scheme, units, seed) for seed in seeds]
        parameters, self.buffers = stack_module_state(models)
        self.base = models[0].to("meta")
        copies = len(COSINES) * self.num_rates
        self.parameters = {
            name: p.detach().repeat_interleave(copies, dim=0).requires_grad_() for name, p in parameters.items()
        }
        self.buffers = {name: b.repeat_interleave(copies, dim=0) for name, b in self.buffers.items()}
        self.rates = rates.flatten().repeat(len(seeds))
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.parameters.items()}
        self.steps = 0

    def errors(self, rows: Rows) -> Tensor:
        """Mean squared errors `[seeds · cosines · rates, tasks]`."""
        copies = len(COSINES) * self.num_rates
        inputs = rows.inputs.repeat_interleave(copies, dim=0)
        targets = rows.targets.repeat_interleave(self.num_rates, dim=1).flatten(0, 1)

        def outputs(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            found = functional_call(self.base, (parameters, buffers), ({NUMBERS: x},))
            return torch.stack([found[task] for task in TASKS], dim=-1)

        found = vmap(outputs, randomness="different")(self.parameters, self.buffers, inputs)
        return ((found - targets) ** 2).mean(dim=1)

    def step(self, rows: Rows) -> None:
        """One step of Adam on the sum of the tasks' losses, each model by its own learning rate."""
        gradients = torch.autograd.grad(self.errors(rows).sum(), list(self.parameters.values()))
        self.steps += 1
        first_share, second_share = 1 - 0.9**self.steps, 1 - 0.999**self.steps
        with torch.no_grad():
            for (name, p), g in zip(self.parameters.items(), gradients, strict=True):
                first, second = self.moments[name]
                first.lerp_(g, 0.1)
                second.lerp_(g * g, 0.001)
                rate = (self.rates / first_share).view(-1, *[1] * (p.ndim - 1))
                p -= rate * first / ((second / second_share).sqrt() + 1e-8)
