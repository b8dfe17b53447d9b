"""The commands. Nothing heavy is imported until a command runs, so that `--help` is quick."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from polytask import __version__
from polytask.cli.options import (
    BestForOption,
    DeviceOption,
    IgnoreOption,
    JsonOption,
    QuietOption,
    SetOption,
    TaskOption,
    need_file,
    say,
)
from polytask.errors import PolytaskError, ProcessError

app = typer.Typer(
    name="polytask",
    help="Train one model for many tasks, and know whether you should.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Runs the command line; mistakes of the user end in one sentence and exit code 2."""
    try:
        app()
    except PolytaskError as error:
        if not (isinstance(error, ProcessError) and error.is_echo):  # of several processes, one says it
            print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has gone, as in `polytask list | head`
        sys.stderr.close()


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train one model for many tasks, and know whether you should."""


@app.command()
def fit(
    source: Annotated[Path, typer.Argument(help="A run.yaml, or a data file (CSV, Parquet, Arrow, JSON Lines).")],
    task: TaskOption = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the Run.")] = None,
    ignore: IgnoreOption = None,
    encoder: Annotated[str | None, typer.Option(help="See: polytask list encoders.")] = None,
    sharing: Annotated[str | None, typer.Option(help="See: polytask list sharings.")] = None,
    balancer: Annotated[str | None, typer.Option(help="See: polytask list balancers.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Read Parquet files piece by piece while training, never whole.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Of weights and order; the split has its own.")] = None,
    setting: SetOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train one model for all tasks; the same command goes on with a Run that was interrupted.

    In several processes: torchrun --nproc-per-node 2 -m polytask fit run.yaml
    """
    need_file(source)
    from polytask.cli.output import print_run
    from polytask.cli.settings import read_fit
    from polytask.experiment import run
    from polytask.train import team

    given = {
        "data.ignore": ignore,
        "encoder": encoder,
        "sharing": sharing,
        "balancer": balancer,
        "train.epochs": epochs,
        "data.stream": True if stream else None,
        "seed": seed,
    }
    with team() as processes:
        experiment, data = read_fit(
            source, task or [], setting or [], {k: v for k, v in given.items() if v is not None}
        )
        try:
            trained = run(experiment, data=data, folder=out, quiet=quiet or as_json, say=say)
        except KeyboardInterrupt:
            if processes.is_first:
                print("interrupted; start the same command again to go on", file=sys.stderr)
            raise
        if processes.is_first:
            print_run(trained, as_json=as_json)


@app.command()
def init(
    data: Annotated[Path, typer.Argument(help="A data file.")],
    task: TaskOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("run.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a commented run.yaml from the data: columns, their kinds, and every choice with its default."""
    from polytask.cli.template import write_template

    write_template(data, task or [], out, force=force)
    print(f"wrote {out}; look through it, then: polytask fit {out}")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished Run.")],
    rows: Annotated[Path, typer.Argument(help="A data file with the input columns.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=".csv, .parquet or .jsonl; CSV to the terminal.")
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", "-p", help="Add a column for every class.")] = False,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only this task; repeatable.")] = None,
    best_for: BestForOption = "mean",
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Predict every task for new rows."""
    from polytask.cli.output import print_frames, write_frames
    from polytask.runs import load

    # Rows of long Parquet files are read, predicted and written piece by piece.
    frames = load(run).predict_by_parts(
        rows, probabilities=probabilities, tasks=task or None, best_for=best_for, device=device
    )
    if out is None:
        print_frames(frames, as_json=as_json)
    else:
        count = write_frames(frames, out)
        print(json.dumps({"written": str(out), "rows": count}) if as_json else f"wrote {count:,} rows to {out}")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished Run.")],
    rows: Annotated[
        Path | None, typer.Argument(help="Labelled rows; without them the Run's own test part is opened.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only this task; repeatable.")] = None,
    best_for: BestForOption = "mean",
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Judge a Run on its test part, or on other labelled rows."""
    from polytask.cli.output import print_scores
    from polytask.runs import load

    loaded = load(run)
    scores = loaded.evaluate(rows, tasks=task or None, best_for=best_for, device=device)
    print_scores(loaded, scores, rows="test rows" if rows is None else f"the rows of {rows}", as_json=as_json)


@app.command("list")
def list_(
    catalogue: Annotated[
        str | None,
        typer.Argument(
            help="tasks, features, encoders, sharings, regularizers, balancers, agendas, optimizers, augmentations; "
            "all without it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Every name that can be chosen, one line each."""
    from polytask.catalogue import CATALOGUES
    from polytask.cli.output import print_catalogues

    print_catalogues(list(CATALOGUES) if catalogue is None else [catalogue], as_json=as_json)
