"""Sums over the processes of a group: what all of them then hold, bit for bit alike."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from polytask.errors import ProcessError

#: A process group of torch's; None for the one of all processes.
Group = Any
Made = TypeVar("Made")


def attempt(work: Callable[[], Made]) -> tuple[Made | None, Exception | None]:
    """What the work gives, or why it could not: a process that failed still has to tell the others, who wait."""
    try:
        return work(), None
    except Exception as error:
        return None, error


class Collectives:
    """Adds up numbers over the processes of a group.

    Args:
        device: where the numbers are.
        group: of the processes; all where not given.

    Raises:
        ValueError: no process group was started.
    """

    def __init__(self, device: torch.device, group: Group = None) -> None:
        if not dist.is_available() or not dist.is_initialized():
            raise ValueError(
                "no process group is there: start the program by torchrun --nproc-per-node 2, and call "
                "torch.distributed.init_process_group() first"
            )
        self.group = group
        self.rank: int = dist.get_rank(group)
        self.size: int = dist.get_world_size(group)
        has_own = f"{device.type}:" in dist.get_backend_config(group)
        #: Where numbers are when they travel.
        self.device = device if has_own else torch.device("cpu")

    def sum(
        self,
        pieces: Sequence[Tensor | None],
        sizes: Sequence[int],
        dtype: torch.dtype,
        failure: Exception | None = None,
    ) -> Tensor:
        """The pieces of all processes, added up, as one flat tensor.

        Args:
            pieces: of these sizes; None for zeros.
            sizes: the same in every process.
            dtype: of the sums.
            failure: why this process has no pieces.

        Raises:
            Exception: the failure itself, once the others know of it.
            ProcessError: another process has failed, or has ended.
        """
        # The flags of who failed travel along, so that no collective is needed for them.
        flat = torch.zeros(sum(sizes) + self.size, dtype=dtype, device=self.device)
        if failure is None:
            for place, piece in zip(flat.split([*sizes, self.size]), pieces, strict=False):
                if piece is not None:
                    place.copy_(piece.detach().reshape(-1))
        else:
            flat[len(flat) - self.size + self.rank] = 1
        self._call(dist.all_reduce, flat)
        flags = flat[len(flat) - self.size :]
        if failure is not None:
            raise failure
        if failed := flags.nonzero().flatten().tolist():
            raise ProcessError(f"process {failed[0]} could not take part in the step: its own error says why")
        return flat[: len(flat) - self.size]

    def gather(self, numbers: Tensor) -> list[Tensor]:
        """The numbers of every process; as many in each."""
        own = numbers.to(self.device)
        found = [torch.empty_like(own) for _ in range(self.size)]
        self._call(dist.all_gather, found, own)
        return [numbers.cpu() for numbers in found]

    def broadcast(self, content: bytes) -> bytes:
        """What the first process has."""
        size = torch.tensor([len(content)], device=self.device)
        self._call(dist.broadcast, size, self._first)
        mine = torch.frombuffer(bytearray(content), dtype=torch.uint8) if self.rank == 0 and content else None
        held = torch.zeros(int(size), dtype=torch.uint8) if mine is None else mine
        held = held.to(self.device)
        if len(held):
            self._call(dist.broadcast, held, self._first)
        return bytes(held.cpu().numpy().tobytes())

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Sets the tensors to what the first process has."""
        for tensor in tensors:
            held = tensor.detach().to(self.device, copy=True).contiguous()
            self._call(dist.broadcast, held, self._first)
            tensor.detach().copy_(held)

    @property
    def _first(self) -> int:
        return 0 if self.group is None else dist.get_global_rank(self.group, 0)

    def _call(self, collective: Callable[..., object], *arguments: Any) -> None:
        try:
            collective(*arguments, group=self.group)
        except RuntimeError as error:
            raise ProcessError(
                f"another process of this training has ended or does not answer ({str(error).splitlines()[0]})"
            ) from error
