"""How a balancer updates a number a task by itself."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

#: How far from 0 a learned logarithm may go.
LARGEST = 10


class TaskAdam(nn.Module):
    """Adam on a `[tasks]` vector where each task counts its own steps, so that an absent one stands still.

    m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², step = −η m̂ / (√v̂ + ε), with β = (0.9, 0.999), ε = 1e-8.

    Args:
        num_tasks: length of the vector.
        learning_rate: η, above 0.
        method: whose vector it is, for the error.

    Raises:
        ValueError: a learning rate that is not above 0.

    Paper: Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, 1412.6980.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, num_tasks: int, learning_rate: float, method: str) -> None:
        super().__init__()
        if not learning_rate > 0:
            raise ValueError(f"{method}: learning_rate={learning_rate}, a number above 0 is wanted, such as 0.025")
        self.learning_rate = learning_rate
        self.register_buffer("mean", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("square", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(num_tasks, dtype=torch.int64))

    def forward(self, index: Int[Tensor, " present"], gradient: Float[Tensor, " present"]) -> Float[Tensor, " present"]:
        """What to add to the entries at `index`."""
        self.count[index] += 1
        self.mean[index] = 0.9 * self.mean[index] + 0.1 * gradient
        self.square[index] = 0.999 * self.square[index] + 0.001 * gradient**2
        count = self.count[index].to(torch.float64)
        mean = self.mean[index] / (1 - 0.9**count)
        square = self.square[index] / (1 - 0.999**count)
        return -self.learning_rate * mean / (square.sqrt() + 1e-8)

    def move(
        self, values: Float[Tensor, " tasks"], index: Int[Tensor, " present"], gradient: Float[Tensor, " present"]
    ) -> None:
        """Takes the step in `values`, which stay in [−10, 10]: a loss that reaches 0 would carry them off."""
        values[index] = (values[index] + self(index, gradient)).clamp(-LARGEST, LARGEST)
