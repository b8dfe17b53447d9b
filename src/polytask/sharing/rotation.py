"""A rotation of channels that is learnt."""

from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polytask.sharing.channels import mapped


class Rotation(nn.Module):
    """R z with R = exp(S − Sᵀ) in SO(channels), the identity at the start; what is rotated does not move S.

    Outside training R is a buffer, computed when training ends or a state is saved: matrix exponentials cost, and few
    formats of exported models know them.

    Args:
        width: channels.
    """

    matrix: Tensor
    moment: Tensor
    is_told: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        #: S: what is on and above the diagonal has no effect.
        self.skew = nn.Parameter(torch.zeros(width, width))
        self.register_buffer("matrix", torch.eye(width))
        #: Σ_n g_n v_nᵀ of the last step: g the gradients behind R, v where they should point in front of it.
        self.register_buffer("moment", torch.zeros(width, width))
        #: Whether there is a moment: saved in the buffer; Python's own, so that no step waits for a device.
        self.register_buffer("is_told", torch.tensor(False))
        self._is_told = False
        self.register_load_state_dict_post_hook(_read_told)

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The channels of every position, rotated."""
        if self.training:
            self.refresh()
        matrix = self.matrix
        return mapped(lambda rows: nn.functional.linear(rows, matrix), values)

    def learnt(self) -> Float[Tensor, "channels channels"]:
        """R, with a graph to S."""
        lower = self.skew.tril(-1)
        # One rounding of R in single precision is what keeps it orthogonal; half would not.
        with torch.autocast(lower.device.type, enabled=False):
            return torch.matrix_exp(lower - lower.T)

    def disagreement(self) -> Float[Tensor, ""] | None:
        """−⟨R, moment⟩: least where the rotated gradients point where they should; None without a moment.

        Not 0: a gradient of 0 would let the optimiser's momentum turn what no gradient asks to be turned.
        """
        if not self._is_told:
            return None
        return -(self.learnt() * self.moment).sum()

    def keep(self, moment: Tensor | None) -> None:
        """Sets the moment; None: no gradient arrived, nothing to learn."""
        # A new tensor, since a penalty that waits for its backward pass may hold the old one.
        self.moment = torch.zeros_like(self.moment) if moment is None else moment.to(self.moment)
        self._is_told = moment is not None
        self.is_told.fill_(self._is_told)

    @torch.no_grad()
    def refresh(self) -> None:
        """R as S now has it; a new tensor, since a graph that waits for its backward pass may hold the old one."""
        self.matrix = self.learnt()

    def train(self, mode: bool = True) -> Self:
        """As every module's; R is then that of S."""
        self.refresh()
        return super().train(mode)


def _read_told(rotation: nn.Module, _: Any) -> None:
    assert isinstance(rotation, Rotation)
    rotation._is_told = bool(rotation.is_told)
