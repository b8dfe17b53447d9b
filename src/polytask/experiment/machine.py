"""What a training leaves as it was: torch's random states and number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from polytask.runs import random_state, restore_random_state


@contextmanager
def own_state(threads: int | None) -> Iterator[None]:
    """Leaves torch's global random states, of every device, and its number of threads as they were."""
    before, drawn = torch.get_num_threads(), random_state()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        restore_random_state(drawn)
        torch.set_num_threads(before)
