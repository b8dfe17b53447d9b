"""What every encoder is: one modality in, a chain of stages out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import nn

from polytask.config import Choice, choose
from polytask.feature import KINDS, Feature, Inputs, InputSpec, Kind


class Encoder(nn.Module, ABC):
    """A chain of stages that a Sharing may copy, mix or split.

    A concrete encoder is built as `TheEncoder(spec, **settings)` and fills `stages` and `widths` in its
    constructor. Layers draw their initial weights from torch's global random state, which the builder seeds.

    Attributes:
        stages: each maps a `Feature` to a `Feature`; the first one takes the dict of inputs instead.
        widths: `widths[l]` is the number of channels after stage `l`.
    """

    #: Settings that are widths (a number, or several) or encoders that have some: what is scaled to a wanted size.
    width_settings: ClassVar[tuple[str, ...]] = ()

    stages: nn.ModuleList
    widths: Sequence[int]

    @abstractmethod
    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.spec = spec

    @classmethod
    def with_(cls, **settings: Any) -> Choice[Self]:
        """The encoder with these settings as a choice, to be built later."""
        return choose(cls, **settings)

    @staticmethod
    def catalogue() -> "Mapping[str, type[Encoder]]":
        """Every encoder by its name, for those that have one among their settings."""
        from polytask.encoders import ENCODERS  # only there once all of them are

        return ENCODERS

    def forward(self, inputs: Inputs) -> list[Feature]:
        """The feature after each stage."""
        return run_stages(self.stages, inputs)

    def kinds(self) -> Sequence[Kind]:
        """What each stage gives: a vector, a sequence or a picture.

        Found by running it once on made-up rows, in evaluation, so that nothing is drawn and no statistic moves.

        Raises:
            ValueError: a stage cannot take what the one before it gives, or gives other than `widths` says.
        """
        modes = [(module, module.training) for module in self.modules()]
        device = next((p.device for p in self.parameters()), None)
        inputs = {name: values.to(device) for name, values in self.spec.example().items()}
        self.eval()
        try:
            with torch.no_grad():
                return self._kinds_on(inputs)
        finally:
            for module, mode in modes:
                module.training = mode

    def _kinds_on(self, inputs: Inputs) -> tuple[Kind, ...]:
        name, found = type(self).__name__, list[Kind]()
        if len(self.stages) != len(self.widths):
            raise ValueError(f"encoder {name}: {len(self.stages)} stages, but widths has {len(self.widths)} numbers")
        source: Inputs | Feature = inputs
        for place, (stage, width) in enumerate(zip(self.stages, self.widths, strict=True)):
            given = f"what stage {place - 1} gives ({_shape(source)})" if isinstance(source, Feature) else "the inputs"
            try:
                source = stage(source)
            except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
                why = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ValueError(f"encoder {name}: stage {place} cannot take {given}: {why}") from error
            kind = _kind_of(source, f"encoder {name}: stage {place} gives", width)
            found.append(kind)
        return tuple(found)


def _kind_of(given: object, says: str, width: int) -> Kind:
    """The kind of what a stage gives; refuses what is no feature of this many channels."""
    kind = KINDS.get(given.values.ndim) if isinstance(given, Feature) else None
    if not isinstance(given, Feature) or kind is None:
        what = _shape(given) if isinstance(given, Feature) else type(given).__name__
        raise ValueError(f"{says} {what}; a Feature of [B, C], [B, L, C] or [B, C, H, W] is wanted")
    channels = given.values.shape[1 if kind == "picture" else -1]
    if channels != width:
        raise ValueError(f"{says} {channels} channels, but widths says {width}")
    return kind


def _shape(feature: Feature) -> str:
    return f"[B, {', '.join(map(str, feature.values.shape[1:]))}]"


def run_stages(stages: nn.ModuleList, start: Inputs | Feature) -> list[Feature]:
    """Runs a chain of stages and keeps what each of them gave."""
    features: list[Feature] = []
    for stage in stages:
        features.append(stage(features[-1] if features else start))
    return features
