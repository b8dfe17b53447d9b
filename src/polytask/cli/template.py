"""`polytask init`: a commented run.yaml made from the data."""

import json
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from polytask.catalogue import CATALOGUES
from polytask.cli.settings import task_entry, written_task
from polytask.data import Schema, Table, infer_kind_of_task
from polytask.errors import ConfigError
from polytask.runs import RunFolder, explained
from polytask.train import Training
from polytask.yaml_file import read_value

#: Kinds of columns that can be a target.
TARGET_KINDS = ("number", "category", "boolean")
#: Names that no task can have.
RESERVED = ("mean", "all", "row", "table")


def write_template(data: Path, tasks: Sequence[str], out: Path, *, force: bool) -> None:
    """Writes the file.

    Args:
        data: a data file.
        tasks: `name[=column][:kind]`; where none is given, the last usable column stands in, to be edited.
        out: the file to write.
        force: overwrite it.

    Raises:
        ConfigError: the file exists.
    """
    table = Table.of(data)
    if out.exists() and not force:
        raise ConfigError(f"{out} exists; choose another --out, or --force to overwrite it")
    chosen = dict(task_entry(text, table) for text in tasks) or _guess(table)
    try:
        path = data.resolve().relative_to(out.resolve().parent)
    except ValueError:
        path = data.resolve()
    text = _head(out, path, table.schema) + _tasks(chosen, table, guessed=not tasks) + _choices(out.name)
    with explained(out):
        RunFolder(out.parent).write(out.name, text)


def _guess(table: Table) -> dict[str, dict[str, Any]]:
    """The last column that could be a target, under a name that a task can have."""
    usable = [c for c in table.schema.columns if c.kind in TARGET_KINDS and c.unique != 0]
    if not usable:
        raise ConfigError(
            "no column could be a target (number, category or boolean); name one with --task name=column:kind"
        )
    # A column of one value can teach nothing, and is refused as a class.
    column = ([c for c in usable if c.unique != 1] or usable)[-1].name
    safe = "".join(ch if ch.isalnum() or ch in "_-" else "_" for ch in column)[:64]
    name = safe if safe.strip("_-") and safe not in RESERVED else "target"
    return {name: written_task(name, column, infer_kind_of_task(table, column))}


def _head(out: Path, path: Path, schema: Schema) -> str:
    kinds = "".join(
        f"    #   {_on_one_line(column.name)}: {column.kind}"
        f"{f'  ({column.missing:,} missing)' if column.missing else ''}  e.g. {_on_one_line(column.example)}\n"
        for column in schema.columns
    )
    return (
        f"# polytask fit {out.name}\n"
        f"data:\n"
        f"  path: {_quoted(str(path))}\n"
        f"  ignore: []             # columns that are no inputs because they give a target away\n"
        f"  kinds: {{}}              # where a kind below is wrong: {{zip: category}}\n"
        f"  split: {{validation: 0.15, test: 0.15}}   # or by_group: column, by_time: column, column: column\n"
        f"    # {schema.num_rows:,} rows; columns and their kinds:\n{kinds}"
    )


def _tasks(chosen: dict[str, dict[str, str]], table: Table, *, guessed: bool) -> str:
    lines = ["tasks:" + ("                   # a guess: name what you want to predict" if guessed else "")]
    for name, entry in chosen.items():
        settings = ", ".join(f"{key}: {_quoted(value)}" for key, value in entry.items())
        lines.append(f"  {_quoted(name)}: {{{settings}}}")
    used = {entry.get("column", name) for name, entry in chosen.items()}
    others = [c for c in table.schema.columns if c.name not in used and c.kind in TARGET_KINDS and c.unique != 0]
    lines += [
        f"  # {_on_one_line(column.name)}: {{kind: {infer_kind_of_task(table, column.name)}}}" for column in others[:3]
    ]
    return "\n".join(lines) + "\n"


def _on_one_line(text: str) -> str:
    """For a comment: a line break in a column's name would end it."""
    return text if text.isprintable() else json.dumps(text, ensure_ascii=True)


def _quoted(text: str) -> str:
    """Text as YAML reads it back, plain where that is safe."""
    if re.fullmatch(r"[^\W\d][\w./-]*", text) and read_value(text) == text:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _choices(file: str) -> str:
    def names(catalogue: str) -> str:
        return ", ".join(CATALOGUES[catalogue])

    return f"""# encoder: mlp           # chosen by the inputs; one of: {names("encoders")}
sharing: hard            # one of: {names("sharings")}
# regularizers: []       # any of: {names("regularizers")}
balancer: sum            # one of: {names("balancers")}
agenda: joint            # one of: {names("agendas")}
train:
  epochs: 100            # at most; early stopping ends sooner
  learning_rate: 0.001
  optimizer: adamw       # any of: polytask list optimizers
  early_stopping: {{patience: 10}}
{_rest_of_training()}seed: 0
# polytask study {file}: does sharing help, task by task? Compared with single-task twins, trees and linear models.
# study:
#   candidates: [sum, uncertainty, {{cagrad: {{c: 0.4}}}}]   # balancers, or what they change above
#   seeds: 5               # at least 3 for a verdict; 10 for more than 5 tasks
#   grid: {{learning_rate: [0.001, 0.003]}}   # tried for candidates and twins alike, on validation rows
#   group: null            # a column whose rows belong together: a person, a day
#   resplits: null         # 5-fold, or a number of random splits: other training sets too
#   baselines: [trees, linear]   # and lightgbm
#   companions: []         # placebo, equal_parameters, pooled: see docs/concepts.md
#   region: 0.01           # a difference in skill below this is none in practice
"""


def _rest_of_training() -> str:
    """The other settings of training as comments, each with its default."""
    shown = {"epochs", "learning_rate", "optimizer", "early_stopping"}
    rest = {f.name: getattr(Training(), f.name) for f in fields(Training) if f.name not in shown}
    return "".join(f"  # {name}: {json.dumps(value)}\n" for name, value in rest.items())
