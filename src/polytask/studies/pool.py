"""Worker processes of a study: each does one job at a time; one that dies takes only its own job with it."""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from polytask.errors import RunError
from polytask.runs import explained
from polytask.studies.bench import BaselineJob, Bench, Telling
from polytask.studies.live import StudyProgress
from polytask.studies.plan import Job
from polytask.studies.worker import explain

#: Seconds that a worker has to end by itself.
PATIENCE = 5.0

AnyJob = Job | BaselineJob


@dataclass
class Outcome:
    """What became of one job.

    Attributes:
        job: that was done, or not.
        reason: why it was not; "" where it was.
        cost: seconds and joules.
    """

    job: AnyJob
    reason: str
    cost: dict[str, Any]


class Pool:
    """Does jobs in worker processes, or in this one.

    Args:
        bench: what the workers need.
        size: how many workers at once; 0: in this process.
        progress: is told of everything that happens.
    """

    def __init__(self, bench: Bench, size: int, progress: StudyProgress) -> None:
        self._bench = bench
        self._size = size
        self._progress = progress
        self._workers: list[_Worker] = []

    def do(self, jobs: Sequence[AnyJob]) -> Iterator[Outcome]:
        """Does all jobs and says what became of each, as soon as it ends.

        Raises:
            RunError: a worker could not start, or a folder cannot be written or is damaged.
        """
        if not self._size:
            yield from (self._here(job) for job in jobs)
            return
        waiting = deque(jobs)
        while len(self._workers) < min(self._size, len(jobs)):
            self._workers.append(_Worker(self._bench, len(self._workers)))
        for worker in self._workers:
            self._next(worker, waiting)
        while waiting or any(worker.job for worker in self._workers):
            heard = {w.connection: w for w in self._workers if w.job or not w.is_ready}
            for connection in wait(list(heard)):
                outcome = self._hear(heard[connection], waiting)  # type: ignore[index]
                if outcome is not None:
                    yield outcome

    def close(self) -> None:
        """Ends all workers."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def _here(self, job: AnyJob) -> Outcome:
        self._progress.started(job)
        try:
            cost = self._bench.do(job, Telling(lambda *epoch: self._progress.epoch(job, *epoch)))
        except RunError:
            raise  # of the folder, not of the training
        except Exception as error:
            return self._ended(job, explain(error), {})
        return self._ended(job, "", cost)

    def _hear(self, worker: "_Worker", waiting: deque[AnyJob]) -> Outcome | None:
        """Takes one message; a job that ended becomes an outcome, and the worker gets the next."""
        job = worker.job
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if job is None:
            if kind == "refused":
                raise RunError(
                    f"a worker process could not take up its work: {content}; use jobs=0 to train in this one"
                )
            worker.is_ready = True
            self._next(worker, waiting)
            return None
        if kind == "epoch":
            self._progress.epoch(job, *content)
            return None
        if kind == "stopped":
            raise RunError(content)
        worker.job = None
        return self._ended(job, content if kind == "failed" else "", content if kind == "done" else {})

    def _next(self, worker: "_Worker", waiting: deque[AnyJob]) -> None:
        if waiting and worker.is_ready:
            worker.give(waiting.popleft())
            self._progress.started(worker.job)

    def _bury(self, worker: "_Worker") -> Outcome:
        """A process is gone: its job failed, and another one takes its place."""
        cause = worker.cause_of_death()
        if worker.job is None:
            raise RunError(f"a worker process could not start: {cause}")
        self._workers[self._workers.index(worker)] = _Worker(self._bench, worker.number)
        return self._ended(worker.job, cause, {})

    def _ended(self, job: AnyJob, reason: str, cost: dict[str, Any]) -> Outcome:
        self._progress.ended(job, reason)
        return Outcome(job, reason, cost)


class _Worker:
    """One process and the connection to it."""

    def __init__(self, bench: Bench, number: int) -> None:
        self.number = number
        self.job: Any = None
        self.is_ready = False
        self.connection, theirs = Pipe()
        self._log = bench.path / "workers" / f"{number}.log"
        with explained(self._log):
            self._log.parent.mkdir(exist_ok=True)
            handle = self._log.open("wb")
        with handle:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "polytask.studies.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path)},
            )
        theirs.close()
        self._send(bench)

    def give(self, job: AnyJob) -> None:
        self.job, self.is_ready = job, False
        self._send(job)

    def _send(self, content: Any) -> None:
        with suppress(OSError):  # a process that is gone is buried when it is listened to
            self.connection.send(content)

    def cause_of_death(self) -> str:
        """Why the process ended without a word."""
        self.connection.close()
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            hint = "; the system may be out of memory: use fewer jobs" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{hint}"
        last = _last_line(self._log)
        return f"its process ended with code {code}" + (f": {last}" if last else "")

    def end(self) -> None:
        """Asks it to end, and makes it."""
        self.connection.close()
        try:
            self._process.wait(PATIENCE if self.job is None else 0)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
    return lines[-1][:200] if lines else ""
