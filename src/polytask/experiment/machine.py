"""Where a training runs: the device, the threads, and the random state that it leaves as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from polytask.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """The device that a setting names; `"auto"`: CUDA, then MPS, then CPU.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"train.device: {name!r} cannot be used here ({reason}); use auto, cpu, cuda or mps"
        ) from None
    return device


@contextmanager
def own_state(threads: int | None, device: torch.device) -> Iterator[None]:
    """Leaves torch's global random state and number of threads as they were."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(before)
