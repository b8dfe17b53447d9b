"""The peers of the benchmark of sharing, LibMTL and torch-rechub; each is left out where it is not installed.

Alike on both sides: the batches, the sizes and kinds of the encoder's or the experts' layers, a linear head a task, how
many experts there are, torch's mse_loss, the plain sum of the losses, one backward pass, Adam over all parameters.

Not alike, of LibMTL (its architecture and its weighting EW made into one class, as its Trainer makes them):
- MMoE: an expert is the whole encoder; ours share the first stage, which on the MLP is only the numbers as they are,
  but on LeNet the first convolution: less work. The gates read the flattened raw input, ours the first stage's, pooled.
- PLE: the stem is a level too, where ours is shared: less work. There is no shared stream: the shared experts run once
  a task, on that task's stream; ours run once. Its gates read the flattened features of their level.
- Cross-stitch: a unit of one number a source, the same for every target, behind stages 1, 2 and 3; ours stand there
  too, with a number for each source and target.
- MTAN: a level's shared block is cut in two, and its masks read the first half; its refinement of a level is a block of
  two 3 x 3 convolutions with a shortcut; the stem has no masks; the channels 64 to 512 are fixed.
Where an architecture replaces the encoder, its features are pictures: the heads average them first, as ours do.

Not alike, of torch-rechub (stepped as its MTLTrainer does, less the `.item()` of each loss): every layer of its MLPs
has batch norm, the gates' too, where ours have none, and a dropout of p = 0; the numbers come as one feature of 64. Its
PLE has a level for each of the encoder's two layers, as ours has. It has no cross-stitch and no MTAN.
"""

import itertools
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

import peers
from sharing_stands import NUM_NUMBERS, PYRAMIDS, SHAPES, WIDTHS, Setup, batches_of, pyramid_stages
from stands import LEARNING_RATE, Entry

PACKAGES = {"libmtl": "LibMTL", "torch-rechub": "torch-rechub"}
#: Of a mixture, and of a progressive one: shared experts, and those of each task.
#: Models whose layers have batch norm, as torch-rechub's always have.
WITH_NORM = ("mlp_bn", "mlp_bn32")
NUM_EXPERTS, NUM_SHARED, NUM_OWN = 4, 1, 1


class PeerStand(ABC):
    """A peer's model under the plain sum and Adam."""

    model: nn.Module

    def __init__(self, setup: Setup) -> None:
        torch.manual_seed(0)
        self.names = setup.names
        self.model = self.make(setup)
        self.model.train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self.batches = itertools.cycle(batches_of(setup))

    @abstractmethod
    def make(self, setup: Setup) -> nn.Module:
        """The peer's own model."""

    @abstractmethod
    def backward(self, x: Tensor, y: Tensor) -> None:
        """Forward, losses and backward, as the peer's trainer has them."""

    def step(self) -> None:
        """One training step."""
        x, y = next(self.batches)
        self.optimizer.zero_grad()
        self.backward(x, y)
        self.optimizer.step()


class PyramidNet(nn.Module):
    """The stages of `Pyramid` under the names that LibMTL asks of a ResNet."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        stages = pyramid_stages(channels)
        self.conv1, self.bn1, self.relu, self.maxpool = stages[0]
        self.layer1, self.layer2, self.layer3, self.layer4 = stages[1:]
        self.feature_dim = channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def make_encoder(model: str) -> nn.Module:
    """The same layers as ours, in plain PyTorch."""
    if model in PYRAMIDS:
        return PyramidNet(PYRAMIDS[model])
    if model == "cnn":
        first = nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)
        second = nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        flat = nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()
        return nn.Sequential(*first, *second, *flat)
    layers: list[nn.Module] = []
    for before, after in zip((NUM_NUMBERS, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if model in WITH_NORM else []), nn.ReLU()]
    return nn.Sequential(*layers)


def make_head(model: str) -> nn.Module:
    if model in PYRAMIDS:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(PYRAMIDS[model][-1], 1))
    return nn.Linear(84 if model == "cnn" else WIDTHS[-1], 1)


class LibMTL(PeerStand):
    """One of LibMTL's architectures."""

    def __init__(self, setup: Setup, architecture: str, **settings: Any) -> None:
        self.architecture, self.settings = architecture, settings
        super().__init__(setup)

    def make(self, setup: Setup) -> nn.Module:
        library = peers.import_libmtl()

        class Made(getattr(library.architecture, self.architecture), library.weighting.EW):
            pass

        heads = nn.ModuleDict({name: make_head(setup.model) for name in setup.names})
        settings = {"img_size": SHAPES[setup.model], **self.settings}
        if self.architecture == "PLE":
            settings["num_experts"] = [NUM_SHARED, *[NUM_OWN] * setup.tasks]
        encoder = partial(make_encoder, setup.model)
        model = Made(setup.names, encoder, heads, False, False, torch.device("cpu"), **settings)
        model.init_param()
        if self.architecture == "PLE":  # it reads this of itself, and sets it for tasks on inputs of their own only
            model.encoder.forward_task = None
        return model

    def backward(self, x: Tensor, y: Tensor) -> None:
        outputs = self.model(x)
        losses = torch.zeros(len(self.names))
        for k, name in enumerate(self.names):
            losses[k] = mse_loss(outputs[name].squeeze(1), y[:, k])
        self.model.backward(losses)


class Rechub(PeerStand):
    """One of torch-rechub's multi-task models."""

    def __init__(self, setup: Setup, architecture: str) -> None:
        self.architecture = architecture
        super().__init__(setup)

    def make(self, setup: Setup) -> nn.Module:
        from torch_rechub.basic.features import DenseFeature
        from torch_rechub.models import multi_task

        settings: dict[str, Any] = {
            "SharedBottom": {"bottom_params": {"dims": list(WIDTHS)}},
            "MMOE": {"n_expert": NUM_EXPERTS, "expert_params": {"dims": list(WIDTHS)}},
            "PLE": {
                "n_level": len(WIDTHS),
                "n_expert_specific": NUM_OWN,
                "n_expert_shared": NUM_SHARED,
                "expert_params": {"dims": [WIDTHS[0]]},
            },
        }[self.architecture]
        return getattr(multi_task, self.architecture)(
            [DenseFeature("numbers", embed_dim=NUM_NUMBERS)],
            ["regression"] * setup.tasks,
            tower_params_list=[{"dims": []}] * setup.tasks,
            **settings,
        )

    def backward(self, x: Tensor, y: Tensor) -> None:
        outputs = self.model({"numbers": x})
        sum(mse_loss(outputs[:, k], y[:, k]) for k in range(len(self.names))).backward()


def entries(model: str) -> list[Entry]:
    """What the peers that are installed have for an encoder; `method` is our name of the scheme."""
    installed = peers.versions(PACKAGES)
    found: list[tuple[str, str, Any]] = []
    if "libmtl" in installed:
        found.append(("libmtl", "hard", partial(LibMTL, architecture="HPS")))
        if model in ("mlp", "cnn", *WITH_NORM):
            found.append(("libmtl", "mmoe", partial(LibMTL, architecture="MMoE", num_experts=[NUM_EXPERTS])))
        if model == "pyramid":
            found.append(("libmtl", "cross_stitch", partial(LibMTL, architecture="Cross_stitch")))
            found.append(("libmtl", "ple", partial(LibMTL, architecture="PLE")))
        if model == "pyramid64":
            found.append(("libmtl", "mtan", partial(LibMTL, architecture="MTAN")))
    if "torch-rechub" in installed and model in WITH_NORM:
        for method, architecture in (("hard", "SharedBottom"), ("mmoe", "MMOE"), ("ple", "PLE")):
            found.append(("torch-rechub", method, partial(Rechub, architecture=architecture)))
    return [Entry(implementation, method, "plain", make) for implementation, method, make in found]
