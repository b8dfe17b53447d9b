"""What the benchmark of sharing trains: a scheme on an encoder, stepped as `train` steps it, and the tasks' batches.

The tasks are regressions that all rows have a label of, on one table; every head is linear, every loss torch's
mse_loss (the peers' is; polytask's own has masks and weights for missing labels). Encoders, by the name a setup gives
them:

- mlp: 64 numbers, two layers of 256 with ReLU;
- mlp_bn: the same with batch norm before each ReLU; mlp_bn32: that with 32 rows a step;
- cnn: LeNet on pictures of 28 x 28;
- pyramid, pyramid64: a stem and four stages of two 3 x 3 convolutions with batch norm, on pictures of 3 x 32 x 32; the
  first stage has 16 channels or 64, each further one twice as many. It is an Encoder of the benchmark's own.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from polytask import Regression
from polytask.balance import BALANCERS, Balancer
from polytask.config import Choice
from polytask.data import Batch
from polytask.encoders import MLP, Encoder, LeNet
from polytask.feature import NUMBERS, Feature, Inputs, InputSpec
from polytask.model import Blueprint, Model
from polytask.sharing import SHARINGS, Sharing
from polytask.train import task_losses, training_step
from stands import LEARNING_RATE, NUM_BATCHES

NUM_NUMBERS = 64
WIDTHS = (256, 256)
PICTURE = "picture"
#: Model -> the shape of a row of its inputs.
SHAPES = {
    "mlp": (NUM_NUMBERS,),
    "mlp_bn": (NUM_NUMBERS,),
    "mlp_bn32": (NUM_NUMBERS,),
    "cnn": (1, 28, 28),
    "pyramid": (3, 32, 32),
    "pyramid64": (3, 32, 32),
}
#: Channels after the stem and after each of the four stages.
PYRAMIDS = {"pyramid": (16, 16, 32, 64, 128), "pyramid64": (64, 64, 128, 256, 512)}


@dataclass(frozen=True)
class Setup:
    """What is trained: an encoder's name, how many tasks, how many rows a step."""

    model: str
    tasks: int
    rows: int

    @property
    def names(self) -> list[str]:
        return [f"t{k}" for k in range(self.tasks)]

    @property
    def spec(self) -> InputSpec:
        """What the encoder reads."""
        shape = SHAPES[self.model]
        if len(shape) == 3:
            return InputSpec(images={PICTURE: shape})
        return InputSpec(numbers=tuple(f"x{k}" for k in range(shape[0])))

    @property
    def encoder(self) -> Choice[Encoder]:
        if self.model in PYRAMIDS:
            return Pyramid.with_(channels=PYRAMIDS[self.model])
        if self.model == "cnn":
            return LeNet.with_()
        return MLP.with_(widths=WIDTHS, dropout=0.0, batch_norm=self.model.startswith("mlp_bn"))

    def inputs(self, x: Tensor) -> Inputs:
        """Rows as our encoders read them."""
        return {PICTURE if x.ndim == 4 else NUMBERS: x}


def conv_block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def pyramid_stages(channels: Sequence[int]) -> list[nn.Sequential]:
    """A stem (32 pixels to 8) and four stages of two convolutions; the second and the third halve the picture."""
    stem = nn.Sequential(*conv_block(3, channels[0], 2), nn.MaxPool2d(2))
    strides = (1, 2, 2, 1)
    return [
        stem,
        *(
            nn.Sequential(conv_block(before, after, stride), conv_block(after, after))
            for before, after, stride in zip(channels, channels[1:], strides, strict=False)
        ),
    ]


class PictureStage(nn.Module):
    """Layers on a picture; the first stage of a chain reads the inputs."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, source: Inputs | Feature) -> Feature:
        return Feature(self.layers(source.values if isinstance(source, Feature) else source[PICTURE]))


class Pyramid(Encoder):
    """A user's own encoder: the stages that LibMTL's cross-stitch, MTAN and PLE ask of a ResNet."""

    def __init__(self, spec: InputSpec, *, channels: tuple[int, ...]) -> None:
        super().__init__(spec)
        self.widths = channels
        self.stages = nn.ModuleList(PictureStage(layers) for layers in pyramid_stages(channels))


@lru_cache(maxsize=1)
def batches_of(setup: Setup) -> list[tuple[Tensor, Tensor]]:
    """Inputs and targets, the same for all stands."""
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(setup.rows, *SHAPES[setup.model], generator=generator),
            torch.randn(setup.rows, setup.tasks, generator=generator),
        )
        for _ in range(NUM_BATCHES)
    ]


class AllLabelled(Regression):
    """A regression that every row has a label of."""

    def loss(self, output: Tensor, target: Tensor, present: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return mse_loss(output, target), torch.ones(())


def build(setup: Setup, name: str, settings: dict[str, Any]) -> tuple[Model, list[AllLabelled]]:
    """A scheme's model, its weights drawn as a run draws them.

    Raises:
        ValueError: the scheme refuses the encoder, the settings, or tasks that are trained together on one table.
    """
    tasks = [AllLabelled(task) for task in setup.names]
    sharing: Choice[Sharing] = SHARINGS[name].with_(**settings)
    model = Blueprint(
        tasks=tuple(tasks),
        fitted={task: {"mean": 0.0, "sd": 1.0, "median": 0.0} for task in setup.names},
        encoder=setup.encoder,
        sharing=sharing,
        spec=setup.spec,
        seed=0,
    ).build()
    model.sharing.check_rows([setup.names], is_one_task_a_step=False)
    return model, tasks


class Shared:
    """A scheme of the catalogue, balanced by the plain sum, moved by Adam."""

    def __init__(self, setup: Setup, name: str, settings: dict[str, Any]) -> None:
        self.model, tasks = build(setup, name, settings)
        self.model.train()
        self.tasks = {task.name: task for task in tasks}
        self.shared = list(self.model.shared_parameters())
        self.balancer: Balancer = BALANCERS["sum"](setup.names, torch.Generator().manual_seed(0))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self.steps = itertools.cycle([[(tuple(setup.names), batch)] for batch in labelled(setup)])

    def step(self) -> None:
        """One training step, by the two functions that the training loop calls."""
        losses, penalty = task_losses(self.model, next(self.steps), self.tasks, nullcontext)
        training_step(losses, self.shared, self.balancer, self.optimizer, penalty=penalty)


def labelled(setup: Setup) -> list[Batch]:
    """The batches as training has them: every row has every label, of weight 1."""
    found = []
    for x, y in batches_of(setup):
        targets = {name: y[:, k].contiguous() for k, name in enumerate(setup.names)}
        found.append(
            Batch(
                inputs=setup.inputs(x),
                targets=targets,
                present={name: torch.ones(setup.rows, dtype=torch.bool) for name in targets},
                weight={name: torch.ones(setup.rows) for name in targets},
                labelled=tuple(targets),
                num_global_rows=setup.rows,
            )
        )
    return found


def parameters_of_one_task(model: nn.Module, run: Callable[[], Tensor]) -> int:
    """How many numbers must be kept to serve what `run` gives: those that show in it when they are not a number.

    So detached ones count too, and those of a network that only training needs do not. A check that stops at such a
    number has read it.
    """
    was_training, needed = model.training, 0
    with torch.no_grad():
        for parameter in model.parameters():
            kept = parameter.clone()
            parameter.fill_(torch.nan)
            try:
                model.train().eval()  # what is computed from parameters when training ends
                is_read = not run().isfinite().all()
            except (ValueError, RuntimeError):
                is_read = True
            parameter.copy_(kept)
            needed += parameter.numel() * is_read
    model.train(was_training)
    return needed
