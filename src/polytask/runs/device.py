"""Devices by name."""

import torch

from polytask.errors import ConfigError


def pick_device(name: str, setting: str = "device") -> torch.device:
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
        raise ConfigError(f"{setting}: {name!r} cannot be used here ({reason}); use auto, cpu, cuda or mps") from None
    return device
