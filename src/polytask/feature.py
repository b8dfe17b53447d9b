"""The values that pass between encoders, sharing and heads.

They stand below all three so that none has to import another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

#: Keys of the two blocks of a Batch's `inputs` that hold many columns each; every other key is a column's name.
NUMBERS = "<numbers>"
CATEGORIES = "<categories>"


def mask_of(column: str) -> str:
    """The key of a sequence column's mask in a Batch's `inputs`: bool `[B, L]`, true where a row has an item."""
    return f"<mask> {column}"


#: What a model reads: block or column name -> tensor whose first axis is the batch.
Inputs = dict[str, Tensor]

#: The form of a feature's values: `[B, C]`, `[B, L, C]` or `[B, C, H, W]`.
Kind = Literal["vector", "sequence", "picture"]

KINDS: dict[int, Kind] = {2: "vector", 3: "sequence", 4: "picture"}


class Feature(NamedTuple):
    """What one stage hands to the next.

    Attributes:
        values: `[B, C]`, `[B, L, C]` (sequence) or `[B, C, H, W]` (picture).
        mask: `[B, L]`, true where a sequence has a token; None elsewhere.
    """

    values: Float[Tensor, "batch ..."]
    mask: Bool[Tensor, "batch length"] | None = None

    def pooled(self) -> Float[Tensor, "batch channels"]:
        """The mean over all axes but batch and channels; masked positions do not count."""
        values = self.values
        if values.ndim == 4:
            return values.mean(dim=(2, 3))
        if values.ndim == 3:
            if self.mask is None:
                return values.mean(dim=1)
            weight = self.mask.unsqueeze(-1).to(values.dtype)
            return (values * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
        return values


@dataclass(frozen=True)
class SequenceSpec:
    """What a column gives at each of a row's places.

    Attributes:
        channels: numbers a place, float32 `[B, L, channels]`; 0 for tokens.
        num_codes: of tokens, int64 `[B, L]`; 0 for numbers. Code 0 is padding, 1 a token not seen in training.
    """

    channels: int = 0
    num_codes: int = 0


@dataclass(frozen=True)
class InputSpec:
    """What an encoder will be given, as fitted on the training rows.

    Attributes:
        numbers: names of the columns of the `NUMBERS` block, in order (missing-value indicators included).
        categories: name and number of codes of each column of the `CATEGORIES` block, in order.
            Code 0 means missing, 1 means not seen in training.
        images: column name -> (channels, height, width).
        vectors: column name -> its width: float32 `[B, width]`.
        sequences: column name -> what it gives at each place; beside it stands its mask (see `mask_of`).
    """

    numbers: tuple[str, ...] = ()
    categories: tuple[tuple[str, int], ...] = ()
    images: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    vectors: dict[str, int] = field(default_factory=dict)
    sequences: dict[str, SequenceSpec] = field(default_factory=dict)

    @property
    def has_table(self) -> bool:
        """Whether there is anything that a row holds as single numbers: number, category or vector columns."""
        return bool(self.numbers or self.categories or self.vectors)

    def __add__(self, other: "InputSpec") -> "InputSpec":
        """Both, this one's columns first."""
        return InputSpec(
            self.numbers + other.numbers,
            self.categories + other.categories,
            self.images | other.images,
            self.vectors | other.vectors,
            self.sequences | other.sequences,
        )

    @property
    def table(self) -> "InputSpec":
        """The part that a table's encoder reads."""
        return InputSpec(self.numbers, self.categories, vectors=self.vectors)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "InputSpec":
        """What `dataclasses.asdict` gave, after a journey through JSON."""
        return cls(
            numbers=tuple(values["numbers"]),
            categories=tuple((name, size) for name, size in values["categories"]),
            images={name: (c, h, w) for name, (c, h, w) in values["images"].items()},
            vectors=dict(values.get("vectors", {})),
            sequences={name: SequenceSpec(**each) for name, each in values.get("sequences", {}).items()},
        )

    def example(self, rows: int = 2) -> Inputs:
        """Made-up inputs of this kind, all zeros: for finding out what an encoder gives.

        Example:
            >>> InputSpec(numbers=("age",), categories=(("job", 5),)).example()
            {'<numbers>': tensor([[0.], [0.]]), '<categories>': tensor([[0], [0]])}
        """
        found: Inputs = {column: torch.zeros(rows, *shape) for column, shape in self.images.items()}
        found |= {column: torch.zeros(rows, width) for column, width in self.vectors.items()}
        for column, each in self.sequences.items():
            length = 4
            tokens = torch.zeros(rows, length, dtype=torch.long)
            found[column] = tokens if each.num_codes else torch.zeros(rows, length, each.channels)
            found[mask_of(column)] = torch.ones(rows, length, dtype=torch.bool)
        if self.numbers:
            found[NUMBERS] = torch.zeros(rows, len(self.numbers))
        if self.categories:
            found[CATEGORIES] = torch.zeros(rows, len(self.categories), dtype=torch.long)
        return found


@dataclass(frozen=True)
class OutputSpec:
    """What a task's head gives for a row.

    Attributes:
        shape: of a row's output; `()`: one number.
        link: "softmax": logits of classes, or in one number the logit of the second of two; "sigmoid": a logit in every
            number; "identity": numbers that stand for themselves.
        classes: what the classes are, as text; empty where there are none.
    """

    shape: tuple[int, ...] = ()
    link: Literal["softmax", "sigmoid", "identity"] = "identity"
    classes: tuple[str, ...] = ()

    @property
    def is_binary(self) -> bool:
        """Whether it is one logit, of the second of two classes."""
        return self.link == "softmax" and self.shape == ()

    def probabilities(self, output: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The output behind its link; classes lie on the last axis, or before a picture's."""
        if self.link == "identity":
            return output
        if self.link == "sigmoid" or self.is_binary:
            return output.sigmoid()
        return output.softmax(dim=1 if output.ndim == 4 else output.ndim - 1)


@runtime_checkable
class Chain(Protocol):
    """What a Sharing needs of an encoder."""

    @property
    def stages(self) -> nn.ModuleList:
        """Each maps a Feature to a Feature; the first takes the dict of inputs."""

    @property
    def widths(self) -> Sequence[int]:
        """Channels after each stage."""

    def kinds(self) -> Sequence[Kind]:
        """What each stage gives: a vector, a sequence or a picture."""


#: Runs a task's head: task, its features -> output. For schemes in which one task reads another's output.
HeadOutput = Callable[[str, list[Feature]], Float[Tensor, "batch ..."]]


@runtime_checkable
class MakeEncoder(Protocol):
    """Builds a fresh chain of stages.

    Equal copies start from equal weights, so that a twin trained alone and a member of a multi-task model can start
    equal, and experts can start different. `copy` is a number, or text where a task's name is in it.
    """

    def __call__(self, copy: int | str, encoder: Any = None, /) -> Chain:
        """A chain of the model's encoder, or of another that is chosen: its name, `{name: settings}` or a `Choice`.

        A scheme that names no other encoder calls it with `copy` alone.
        """
