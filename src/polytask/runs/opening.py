"""Opening a Run's own test part: its data are found again, and it is written down when that was."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from polytask.data import StreamedTable, Table, made_again
from polytask.errors import RunError, SchemaError
from polytask.runs.evaluation import TaskScores
from polytask.runs.files import finite, json_bytes
from polytask.runs.folder import RunFolder


def own_tables(
    folder: RunFolder, held: Mapping[str, Table | StreamedTable]
) -> dict[str, tuple[Table | StreamedTable, list[str]]]:
    """The tables a Run was trained on and the tasks of each; checked to be the same still.

    Args:
        folder: of the Run.
        held: tables by name that are at hand; the others are read from where they were.

    Raises:
        RunError: a table was in memory, is no longer where it was, or has changed.
    """
    found = {}
    made: dict[str, dict[str, Table]] = {}
    for name, record in folder.read_json("run.json")["tables"].items():
        table = held.get(name)
        if table is None and "origin" in record:
            again = _made_again(name, record["origin"], held, made)
            table = again.with_kinds(record["kinds"]) if again is not None else None
        if table is None:
            if record["source"] is None:
                raise RunError(
                    f"this Run was trained on a table in memory ({name}); give its rows to evaluate, or "
                    f"pt.load(folder, data=table)"
                )
            try:
                opened = StreamedTable if "stream" in record else Table.of
                table = opened(record["source"], kinds=record["kinds"] or None)
            except SchemaError as error:
                raise RunError(f"the data of table {name!r} cannot be read: {error}; give rows to evaluate") from error
        if table.fingerprint() != record["fingerprint"]:
            raise RunError(f"the data of table {name!r} are not those this Run was trained on; give rows to evaluate")
        found[name] = (table, record["tasks"])
    return found


def _made_again(
    name: str, origin: Mapping[str, Any], held: Mapping[str, Table | StreamedTable], made: dict[str, dict[str, Table]]
) -> Table | None:
    """A table that was made of others, and with it all that are made of the same: these are kept in `made`.

    None where it was made of what was in memory and is not at hand.
    """
    key = json.dumps({k: v for k, v in origin.items() if k != "table"}, sort_keys=True)
    if key not in made:
        whole: Any = None if not held else held.get("all", held)
        if whole is None and origin["path"] is None:
            return None
        try:
            made[key] = made_again(origin, whole)
        except SchemaError as error:
            raise RunError(f"the data of table {name!r} cannot be read: {error}; give rows to evaluate") from error
    if origin["table"] not in made[key]:
        raise RunError(f"the data of table {name!r} are no longer there; give rows to evaluate")
    return made[key][origin["table"]]


def record_opening(folder: RunFolder, scores: Mapping[str, TaskScores] | None, predictions: pd.DataFrame) -> None:
    """Writes down that test rows were read; the first opening's time stays.

    Args:
        folder: of the Run.
        scores: of every task under the usual weights; None where only a part was judged, which is not kept.
        predictions: for the test rows, kept with the scores.
    """
    metrics = folder.read_json("metrics.json")
    metrics["test_opened"] = metrics.get("test_opened") or datetime.now(UTC).isoformat(timespec="seconds")
    files = {}
    if scores is not None:
        metrics["test"] = finite(scores)
        files["predictions/test.parquet"] = predictions.to_parquet(index=False)
    files["metrics.json"] = json_bytes(metrics)
    with folder.locked():
        folder.replace(files)
