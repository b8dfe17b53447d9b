"""A rectangle in each picture of a batch, for what erases or pastes one."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def inside(
    rectangle: Float[Tensor, "batch 4"], height: int, width: int, device: torch.device
) -> Bool[Tensor, "batch 1 height width"]:
    """The pixels whose centre lies in the rectangle.

    Args:
        rectangle: left, top, right and bottom, in shares of the picture.
        height: of the picture, in pixels.
        width: likewise.
        device: of the result.

    Example:
        >>> inside(torch.tensor([[0.0, 0.0, 0.5, 1.0]]), 1, 4, torch.device("cpu")).tolist()
        [[[[True, True, False, False]]]]
    """
    left, top, right, bottom = rectangle.to(device).reshape(-1, 4, 1, 1).unbind(1)
    x = ((torch.arange(width, device=device) + 0.5) / width).reshape(1, 1, -1)
    y = ((torch.arange(height, device=device) + 0.5) / height).reshape(1, -1, 1)
    return ((x >= left) & (x < right) & (y >= top) & (y < bottom)).unsqueeze(1)
