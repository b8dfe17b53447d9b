"""The processes of one training: started by torchrun, ended together, one of them the first."""

import atexit
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from polytask.data import Part
from polytask.errors import ConfigError, ProcessError
from polytask.gradients import Collectives
from polytask.model import seed_of
from polytask.runs import pick_device

#: How long processes wait for the first, which prepares and judges alone.
PATIENCE = timedelta(hours=1)
#: How long a process that only heard of a failure waits for the sentence of the one that failed.
GRACE = timedelta(seconds=5)
#: How long the threads of a process group have at the program's end.
SETTLING_SECONDS = 0.3


@dataclass(frozen=True)
class Team:
    """The processes that train one Run together: one alone, or those of torch's process group.

    The first process writes the Run folder, judges the validation rows and speaks; all of them take every step.

    Attributes:
        rank: of this process, counted from 0.
        size: how many there are.
        name: of this training, under which a failure is noted.
    """

    rank: int = 0
    size: int = 1
    name: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    @property
    def part(self) -> Part:
        """Its rows of every batch."""
        return Part(self.rank, self.size)

    def by_first(self, work: Callable[[], Any]) -> Any:
        """What the first process's work gives, in all of them: plain JSON values, NaN included.

        Raises:
            Exception: the work's own, in the first process.
            ProcessError: the same sentence, in the others.
        """
        if self.size == 1:
            return work()
        if not self.is_first:
            answer = json.loads(_collectives().broadcast(b""))
            if "error" in answer:
                raise ProcessError(answer["error"])
            return answer["value"]
        try:
            value = work()
        except Exception as error:
            _collectives().broadcast(json.dumps({"error": str(error)}).encode())
            raise
        _collectives().broadcast(json.dumps({"value": value}).encode())
        return value

    def spread(self, tensors: Iterable[torch.Tensor]) -> None:
        """Sets the tensors to what the first process has."""
        if self.size > 1:
            _collectives().spread(tensors)

    def draw_apart(self, seed: int, *labels: object) -> None:
        """Lets every process draw dropout masks of its own in a step; nothing where there is one."""
        if self.size > 1:
            torch.manual_seed(seed_of(seed, "draws", self.rank, *labels))

    def device(self, name: str, setting: str) -> torch.device:
        """This process's device: its own of the machine's.

        Raises:
            ConfigError: no such device, or one device for several processes.
        """
        device = pick_device(name, setting)
        if self.size == 1 or device.type != "cuda":
            return device
        place = int(os.environ.get("LOCAL_RANK", self.rank % torch.cuda.device_count()))
        if ":" in name:
            raise ConfigError(f"{setting}: {name!r} is one device for {self.size} processes: write cuda, or auto")
        if place >= torch.cuda.device_count():
            raise ConfigError(
                f"{setting}: this machine has {torch.cuda.device_count()} CUDA devices and at least {place + 1} "
                f"processes: torchrun --nproc-per-node {torch.cuda.device_count()}, or {setting}: cpu"
            )
        return torch.device("cuda", place)


#: One process, which does everything.
ALONE = Team()


@contextmanager
def team() -> Iterator[Team]:
    """The processes of this training, until it ends: in all of them, if it ends in one.

    Where torchrun started this program, torch's process group is started too, and ends with the program; one that
    stands already is used as it is. Elsewhere a process is alone.

    Raises:
        ProcessError: another process has failed, or has ended; `is_echo` where its own error has said why.
    """
    if not dist.is_available():
        yield ALONE
        return
    if not dist.is_initialized() and dist.is_torchelastic_launched() and _world_size() > 1:
        _start()
    if not dist.is_initialized() or dist.get_world_size() == 1:
        yield ALONE
        return
    name = _collectives().broadcast(str(time.time_ns()).encode()).decode()
    found = Team(dist.get_rank(), dist.get_world_size(), name)
    try:
        yield found
    except Exception as error:
        raise _told(found, error) from error.__cause__
    found.by_first(lambda: None)  # none leaves while another still waits for it


def refuse_several(what: str) -> None:
    """Raises ConfigError where several processes would each do what one process does for all."""
    if not dist.is_available():
        return
    size = _world_size() if dist.is_torchelastic_launched() else 1
    if (dist.get_world_size() if dist.is_initialized() else size) > 1:
        raise ConfigError(f"{what} starts worker processes of its own (jobs): start it without torchrun")


def _start() -> None:
    place = int(os.environ.get("LOCAL_RANK", 0))
    if torch.cuda.is_available() and place < torch.cuda.device_count():
        torch.cuda.set_device(place)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    # Not with the Run: a second group of the same program would meet what the first left behind in torchrun's store.
    atexit.register(_end)


def _end() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
    # A thread of gloo's takes Python's lock to let go of the last collective's tensors; one that waits for it while
    # the interpreter shuts down would abort a program that has done its work. Sleeping hands over the lock.
    time.sleep(SETTLING_SECONDS)


def _world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


def _collectives() -> Collectives:
    cuda = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else None
    # Numbers of the training itself go by the CPU where the group can.
    return Collectives(torch.device("cpu") if cuda is None or "cpu:" in dist.get_backend_config() else cuda)


def _told(team: Team, error: Exception) -> Exception:
    """The error itself in the process that says it, an echo of it in the others."""
    if isinstance(error, ProcessError) and error.is_echo:
        return error
    store, key = dist.distributed_c10d._get_default_store(), f"polytask/{team.name}/failed"
    try:
        if isinstance(error, ProcessError):  # hearsay: whoever failed has the better sentence
            _wait_for(store, key)
        if store.add(f"{key}/count", 1) == 1:
            store.set(key, str(team.rank))
            return error
    except RuntimeError:  # the store went with the process that held it, which has spoken
        return ProcessError(str(error), is_echo=True)
    return ProcessError(f"another process ended this training: {error}", is_echo=True)


def _wait_for(store: Any, key: str) -> None:
    until = time.monotonic() + GRACE.total_seconds()
    while time.monotonic() < until and not store.check([key]):
        time.sleep(0.05)
