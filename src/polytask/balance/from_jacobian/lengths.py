"""Lengths of gradients, exact whatever their size."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def lengths(rows: Float[Tensor, "tasks params"], sizes: Sequence[int]) -> Float[Tensor, "tasks parts"]:
    """‖·‖ of every part of every row, float64 on the CPU: float32 squares vanish below 1e-19, and overflow.

    Example:
        >>> lengths(torch.tensor([[3.0, 4.0, 1e-30]]), [2, 1])
        tensor([[5.0000e+00, 1.0000e-30]], dtype=torch.float64)
    """
    # Apple's GPUs have no float64.
    device = torch.device("cpu") if rows.device.type == "mps" else rows.device
    parts = rows.to(device).split(list(sizes), dim=1)
    return torch.stack([torch.linalg.vector_norm(part, dim=1, dtype=torch.float64) for part in parts], dim=1).cpu()
