"""What a training leaves as it was: torch's random states and number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from polytask.random_state import drawing_from


@contextmanager
def own_state(threads: int | None) -> Iterator[None]:
    """Leaves torch's global random states, of every device, and its number of threads as they were."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        with drawing_from():
            yield
    finally:
        torch.set_num_threads(before)
