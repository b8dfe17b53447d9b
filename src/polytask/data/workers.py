"""Processes that decode beside the one that trains: what they give comes in order, however many there are."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, forkserver, get_context, parent_process
from types import ModuleType
from typing import Any, Self, TypeVar

from polytask.errors import PolytaskError, ProcessError

Item = TypeVar("Item")
Value = TypeVar("Value")
#: Items that are worked on or wait for being taken, a worker.
AHEAD = 2


@dataclass(frozen=True)
class _Failure:
    """What a worker could not do: the error's class and sentence."""

    kind: type[PolytaskError]
    sentence: str

    def error(self) -> PolytaskError:
        """The same error on this side."""
        error = self.kind.__new__(self.kind)
        error.args = (self.sentence,)
        return error


class Workers:
    """Does work in processes of its own, a few items ahead of whoever takes what comes out.

    They are forked from a clean process (`forkserver`): a fork of this one, which has threads of torch, might wait
    forever. They end with `close`, or when this process does, however it does.

    Args:
        size: how many processes; 0: all is done in this one, when it is asked for.

    Raises:
        ValueError: a size below 0.
    """

    def __init__(self, size: int = 0) -> None:
        if size < 0:
            raise ValueError(f"workers={size}: a number of processes >= 0 is wanted")
        self.size = size
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """What the function gives for every item, in order.

        Args:
            function: can be pickled; reads nothing but its item.
            items: taken a few ahead of what is given; there may be no end to them.

        Raises:
            PolytaskError: as the function raised it.
            ProcessError: a worker has ended.
        """
        if not self.size:
            yield from map(function, items)
            return
        todo, ahead, is_over = iter(items), deque[Future[Any]](), False
        try:
            while True:
                while not is_over and len(ahead) < AHEAD * self.size:
                    try:
                        ahead.append(self._submitted(function, next(todo)))
                    except StopIteration:
                        is_over = True
                if not ahead:
                    return
                yield _result(ahead.popleft())
        finally:
            for future in ahead:
                future.cancel()

    def close(self) -> None:
        """Ends the processes; what they were to do is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _submitted(self, function: Callable[[Item], Value], item: Item) -> Future[Any]:
        try:
            if self._pool is not None:
                return self._pool.submit(_done, function, item)
            with _own_main_only(function):
                self._pool = _started(self.size)
                return self._pool.submit(_done, function, item)
        except BrokenProcessPool:
            raise _ended() from None


def _started(size: int) -> ProcessPoolExecutor:
    """A pool whose processes are all there: they start one by one with what is first given them."""
    forkserver.set_forkserver_preload(["polytask.data"])
    pool = ProcessPoolExecutor(size, mp_context=get_context("forkserver"), initializer=_begin)
    for _ in range(size):
        pool.submit(os.getpid)
    return pool


def _result(future: Future[Any]) -> Any:
    try:
        value = future.result()
    except BrokenProcessPool:
        raise _ended() from None
    if isinstance(value, _Failure):
        raise value.error()
    return value


def _ended() -> ProcessError:
    return ProcessError(
        "a worker that decodes has ended (out of memory, or killed); with fewer data.workers, or a smaller "
        "train.batch_size, less is decoded at once"
    )


def _done(function: Callable[[Any], Any], item: Any) -> Any:
    """In a worker: what the function gives, or why not."""
    try:
        return function(item)
    except PolytaskError as error:
        return _Failure(type(error), str(error))


def _begin() -> None:
    """In a worker, once: its work takes one thread, and it outlives nobody."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that trains says when it is over
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def _own_main_only(function: Any) -> Iterator[None]:
    """Keeps new processes from running the user's script again, unless what they do is defined there."""
    main = sys.modules["__main__"]
    if not getattr(getattr(function, "__self__", function), "needs_main", False):
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
