"""What a Run was made with: versions, machine, threads."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

import polytask


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and machine, as plain values. Names of users and hosts are left out."""
    packages = ["torch", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "torchmetrics", "safetensors"]
    return {
        "polytask": polytask.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "packages": {name: found for name in packages if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
