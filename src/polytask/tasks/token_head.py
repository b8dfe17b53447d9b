"""A head that gives an output for every token of a row."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.feature import Feature
from polytask.tasks.base import Task, VectorHead, masked


class TokenHead(nn.Module):
    """The layers of a `VectorHead` at every token, without pooling: `[B, L, num_outputs]`, 0 where there is none."""

    def __init__(self, task: Task, widths: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        self.task = task.name
        self.each = VectorHead(task, widths, num_outputs)

    def forward(self, features: list[Feature]) -> Float[Tensor, "batch length outputs"]:
        """Every token's outputs.

        Raises:
            ValueError: a feature without an axis of tokens.
        """
        read = [features[stage] for stage in self.each.stages]
        for stage, feature in zip(self.each.stages, read, strict=True):
            if feature.values.ndim != 3:
                raise ValueError(no_sequence(self.task, stage))
        lengths = [feature.values.shape[1] for feature in read]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"task {self.task!r} reads stages of different lengths: {lengths} tokens; name one of them"
            )
        output: Tensor = self.each.layers(torch.cat([feature.values for feature in read], dim=2))
        mask = next((feature.mask for feature in read if feature.mask is not None), None)
        return output if mask is None else masked(output, mask.unsqueeze(2))


def no_sequence(task: str, stage: int) -> str:
    """What is wrong with a stage without an axis of tokens."""
    return (
        f"task {task!r} tags tokens, but stage {stage} of the encoder gives one vector or picture a row; "
        "with the tokens as the only input (inputs: [tokens]) encoder conv1d gives a sequence in every stage; of "
        "another encoder, name a stage that does: reads"
    )
