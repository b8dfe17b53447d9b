"""Torch's global random states, which layers such as dropout draw from: read, set, and left as they were."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state() -> dict[str, Tensor]:
    """The state of torch's global generators, of every device."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state |= {f"cuda{k}": s for k, s in enumerate(torch.cuda.get_rng_state_all())}
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_random_state(state: Mapping[str, Tensor]) -> None:
    """Sets torch's global generators to a saved state."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available():
        for k in range(torch.cuda.device_count()):
            if f"cuda{k}" in state:
                torch.cuda.set_rng_state(state[f"cuda{k}"], k)
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


@contextmanager
def drawing_from(state: Mapping[str, Tensor] | None = None) -> Iterator[None]:
    """Draws from a saved state (from where the generators stand, if none is given); afterwards they stand where they
    stood.

    Example:
        >>> start = random_state()
        >>> with drawing_from(start):
        ...     first = torch.rand(3)
        >>> torch.equal(torch.rand(3), first)
        True
    """
    before = random_state()
    try:
        if state is not None:
            restore_random_state(state)
        yield
    finally:
        restore_random_state(before)
