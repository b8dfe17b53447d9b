"""One demo from its table to its test scores."""

from collections.abc import Callable
from pathlib import Path

from polytask.data import Table
from polytask.demos.demo import DEMOS
from polytask.errors import ConfigError, nearest
from polytask.experiment import experiment_from, run
from polytask.runs import Run, TaskScores


def run_demo(
    name: str = "digits",
    *,
    folder: str | Path | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> tuple[Run, dict[str, TaskScores]]:
    """Trains the demo's model and opens its test part.

    Args:
        name: of the demo.
        folder: of the Run; `runs/demo-<name>` where not given. A finished one is not trained again.
        quiet: show no progress.
        say: takes notices.

    Raises:
        ConfigError: there is no such demo; names the nearest.
        MissingExtraError: the package with the data is not installed.
    """
    if name not in DEMOS:
        raise ConfigError(f"there is no demo {name!r}; {nearest(name, DEMOS)}")
    demo = DEMOS[name]
    say(f"{name}: {demo.summary}")
    table = Table.of(demo.table())
    experiment = experiment_from(demo.tasks(), **demo.settings())
    trained = run(experiment, data=table, folder=folder or Path("runs") / f"demo-{name}", quiet=quiet, say=say)
    return trained, trained.evaluate()
