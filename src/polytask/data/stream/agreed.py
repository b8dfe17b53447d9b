"""Which tasks have a label in a batch of which every process has read a part of its own."""

from collections.abc import Sequence

import torch
import torch.distributed as dist

from polytask.gradients import Collectives


def agreed_labels(tasks: Sequence[str], labelled: Sequence[str]) -> tuple[str, ...]:
    """The tasks with a label in some process's part, in all processes alike; `labelled` where there is no group."""
    if not dist.is_available() or not dist.is_initialized():
        return tuple(labelled)
    own = torch.tensor([float(name in labelled) for name in tasks])
    # A few numbers, which go by the CPU where the group can.
    cuda = torch.cuda.is_available() and "cpu:" not in dist.get_backend_config()
    device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    found = Collectives(device).sum([own], [len(tasks)], torch.float32).tolist()
    return tuple(name for name, count in zip(tasks, found, strict=True) if count)
