"""The commands about studies and their reports. Nothing heavy is imported until one runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from polytask.cli.app import app
from polytask.cli.options import IgnoreOption, JsonOption, QuietOption, SetOption, TaskOption, need_file, say


@app.command()
def study(
    source: Annotated[Path, typer.Argument(help="A run.yaml, or a data file (CSV, Parquet, Arrow, JSON Lines).")],
    task: TaskOption = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", "-c", help="A balancer to be compared; repeatable. More in run.yaml: study:"),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="How many; at least 3 for a verdict.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Worker processes at once; 0: in this one.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the study.")] = None,
    ignore: IgnoreOption = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many.")] = None,
    setting: SetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which Runs it would make and how long they may take.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say, per task, whether sharing helps; the same command goes on with a study that was interrupted."""
    need_file(source)
    from polytask.cli.output import print_forecast, print_study
    from polytask.cli.settings import read_study
    from polytask.studies import forecast, run_study
    from polytask.yaml_file import read_value

    given = {
        "study.candidates": [read_value(text) for text in candidate or ()] or None,
        "study.seeds": seeds,
        "data.ignore": ignore,
        "train.epochs": epochs,
    }
    experiment, settings, data, place = read_study(
        source, task or [], setting or [], {key: value for key, value in given.items() if value is not None}
    )
    if dry_run:
        found = forecast(experiment, settings, data=data, folder=out, jobs=jobs, place=place, say=say)
        print_forecast(found, as_json=as_json)
        return
    try:
        done = run_study(
            experiment,
            settings,
            data=data,
            folder=out,
            jobs=jobs,
            title=None if source.suffix in (".yaml", ".yml") else source.stem,
            quiet=quiet or as_json,
            say=say,
            place=place,
        )
    except KeyboardInterrupt:
        print("interrupted; start the same command again to go on", file=sys.stderr)
        raise
    print_study(done, as_json=as_json)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a finished study or Run.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page; report.html in the folder where not given.")
    ] = None,
) -> None:
    """Write one HTML page that shows a study or a Run, to be opened without a network; a .md and a .json beside it."""
    from polytask.report import report as write_report

    path = write_report(folder, out or folder / "report.html")
    print(f"wrote {path}")


@app.command()
def demo(
    name: Annotated[str, typer.Argument(help="digits or flights.")] = "digits",
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Worker processes at once; one a core.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the study.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """The whole way on real data that comes with a Python package: train, compare, verdict, report."""
    from polytask.cli.output import print_study
    from polytask.demos import run_demo

    done, page = run_demo(name, folder=out, jobs=jobs, quiet=quiet or as_json, say=say)
    print_study(done, as_json=as_json, page=page)
