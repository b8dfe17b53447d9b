"""A row for every task whose length only the first step tells."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class TaskRows(nn.Module):
    """A [tasks, width] buffer for methods with a memory of gradients; its width, type and place are those of its
    first use.

    It starts as [tasks, 0] and grows when it is first read. A saved state of any width loads into a fresh object,
    bit for bit; where it then lies is where it is next used. A task that never had a row has zeros.

    Args:
        num_tasks: number of rows.
        method: whose memory it is, for the error.
        what: a row holds one of, in the plural, for the error.

    Example:
        >>> memory = TaskRows(3, "moco")
        >>> memory.read(torch.tensor([0, 2]), torch.ones(2, 4))
        tensor([[0., 0., 0., 0.],
                [0., 0., 0., 0.]])
        >>> memory.write(torch.tensor([0, 2]), torch.ones(2, 4))
        >>> memory.rows[:, 0]
        tensor([1., 0., 1.])
    """

    rows: Tensor

    def __init__(self, num_tasks: int, method: str, what: str = "shared coordinates") -> None:
        super().__init__()
        self.method, self.what = method, what
        self.register_buffer("rows", torch.zeros(num_tasks, 0))

    def read(
        self, index: Int[Tensor, " present"], like: Float[Tensor, "present width"]
    ) -> Float[Tensor, "present width"]:
        """The rows at `index`, in the type and place of `like`; not to be written to.

        Raises:
            ValueError: rows of another width than before.
        """
        width = like.shape[1]
        if not self.rows.shape[1]:
            self.rows = torch.zeros(len(self.rows), width, dtype=like.dtype, device=like.device)
        elif self.rows.shape[1] != width:
            raise ValueError(
                f"{self.method}: there are {width} {self.what}, and its memory is of {self.rows.shape[1]}: "
                "pass the same shared parameters in every step, or start with a new balancer"
            )
        self.rows = self.rows.to(like)
        return self.rows if self._is_everyone(index) else self.rows[index.to(like.device)]

    def write(self, index: Int[Tensor, " present"], rows: Float[Tensor, "present width"]) -> None:
        """Stores the rows at `index`, which then belong to the memory; all others stay as they are."""
        if self._is_everyone(index):
            self.rows = rows
        else:
            self.rows[index.to(rows.device)] = rows

    def _is_everyone(self, index: Int[Tensor, " present"]) -> bool:
        """Then nothing has to be copied."""
        return torch.equal(index, torch.arange(len(self.rows)))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Takes the saved width, type and place for its own before the values are copied."""
        saved = state_dict.get(f"{prefix}rows")
        if isinstance(saved, Tensor) and saved.ndim == 2 and len(saved) == len(self.rows):
            self.rows = torch.empty_like(saved)
        super()._load_from_state_dict(state_dict, prefix, *rest)
