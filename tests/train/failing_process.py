"""`polytask` in which one process fails in a step: `failing_process.py how rank step fit ...`."""

import os
import signal
import sys
from typing import Any

import polytask.train.loop as loop
from polytask.cli import main
from polytask.errors import RunError


def fail_in(how: str, rank: int, step: int) -> None:
    compute, seen = loop.task_losses, []

    def failing(*given: Any) -> Any:
        seen.append(1)
        if int(os.environ.get("RANK", 0)) == rank and len(seen) == step:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RunError("no space left on the disk")
        return compute(*given)

    loop.task_losses = failing


if __name__ == "__main__":
    fail_in(sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1)))
    main()
