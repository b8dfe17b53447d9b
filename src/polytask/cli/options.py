"""Options that several commands have."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from polytask.errors import ConfigError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
TaskOption = Annotated[
    list[str] | None,
    typer.Option("--task", "-t", help="name[=column][:kind], once a task; the kind is inferred where not given."),
]
BestForOption = Annotated[str, typer.Option(help="Weights: mean, or those best for one task.")]
DeviceOption = Annotated[str, typer.Option(help="Where it runs: cpu, cuda, mps, or auto.")]
IgnoreOption = Annotated[list[str] | None, typer.Option(help="A column that is no input; repeatable.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", help="Any key of run.yaml: train.learning_rate=0.01; repeatable."),
]


def say(sentence: str) -> None:
    """Notices go to the error stream, so that what is printed stays clean; `--quiet` hides progress only."""
    print(sentence, file=sys.stderr)


def need_file(path: Path) -> None:
    """Answers a path that is not there at once, before anything heavy is loaded.

    Raises:
        ConfigError: there is no such file.
    """
    if not path.exists() and "://" not in str(path):
        raise ConfigError(f"{path}: there is no such file or folder")
