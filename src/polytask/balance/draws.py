"""Random draws that a checkpoint holds."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Draws(nn.Module):
    """A random generator whose state is a buffer, so that a resumed run draws what the unbroken one would
    have.

    Args:
        generator: where the state starts; it is copied, and left as it was. Seeded with 0 where not given.
    """

    state: Tensor

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        start = torch.Generator().manual_seed(0) if generator is None else generator
        self.register_buffer("state", start.get_state().clone())

    @contextmanager
    def drawing(self) -> Iterator[torch.Generator]:
        """A generator at the stored state; where it ends is stored again."""
        generator = torch.Generator()
        generator.set_state(self.state)
        yield generator
        self.state.copy_(generator.get_state())
