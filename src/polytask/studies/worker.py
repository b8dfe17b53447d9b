"""A worker process of a study: `python -m polytask.studies.worker DESCRIPTOR`, started by the pool.

It takes a Bench and then jobs through an inherited connection, one at a time, and answers each with what became of
it; a training also reports its epochs. It ends when the other side closes, or dies.
"""

import os
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection

from polytask.errors import PolytaskError, RunError
from polytask.studies.bench import Bench, Telling

#: Seconds between two looks at whether the parent still lives.
HEARTBEAT = 0.5


def main(descriptor: int) -> None:
    """Works until there is nothing more to do."""
    connection = Connection(descriptor)
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    tell = Telling(lambda *epoch: connection.send(("epoch", epoch)))
    try:
        bench: Bench = connection.recv()
        bench.enter()
    except Exception as error:  # a class of the user's that cannot be loaded here
        connection.send(("refused", explain(error)))
        return
    while True:
        connection.send(("ready", None))
        try:
            job = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("done", bench.do(job, tell)))
        except Exception as error:
            traceback.print_exc()
            connection.send(("stopped" if isinstance(error, RunError) else "failed", explain(error)))


def explain(error: Exception) -> str:
    """One sentence: ours as they are, others with their kind."""
    text = " ".join(str(error).split()) or "no more is known"
    return text if isinstance(error, PolytaskError) else f"{type(error).__name__}: {text}"


def _watch_parent(parent: int) -> None:
    """Ends this process when the study's is killed: else it would go on training, and hold the Run's folder."""
    while os.getppid() == parent:
        time.sleep(HEARTBEAT)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
