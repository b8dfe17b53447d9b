"""Writes benchmarks/RESULTS.md from benchmarks/results/*.json: questions, targets met or missed, the main rows.

python benchmarks/write_results.py
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
OPENING = """# Benchmarks

What was asked, on what machine, and what came out: wins and losses alike. Written by
`python benchmarks/write_results.py` from the files in [results](results), which hold every row; each script says in its
first lines what exactly it measures.
"""


def text_of(value: Any) -> str:
    """A cell: numbers to three digits or a whole number, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return " / ".join(text_of(part) for part in value)
    return str(value).replace("|", "\\|")


def table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Markdown; columns of numbers to the right."""
    lines = list(lines)
    is_number = [any(isinstance(line[k], (int, float)) for line in lines) for k in range(len(head))]
    ruler = ["---:" if right else "---" for right in is_number]
    return "\n".join("| " + " | ".join(text_of(cell) for cell in line) + " |" for line in [head, ruler, *lines])


def columns(rows: list[dict[str, Any]], *keys: str) -> str:
    """Some keys of every row; those that no row has are left out."""
    kept = [key for key in keys if any(key in row for row in rows)]
    return table([key.replace("_", " ") for key in kept], ([row.get(key) for key in kept] for row in rows))


def pivot(rows: list[dict[str, Any]], down: Sequence[str], across: Sequence[str], value: str, pick: Callable) -> str:
    """A line for each value of `down`, a column for each of `across`; `pick` settles cells of several rows."""
    cells: dict[tuple, dict[tuple, list[float]]] = {}
    heads = list(dict.fromkeys(tuple(row[key] for key in across) for row in rows))
    for row in rows:
        line = cells.setdefault(tuple(row[key] for key in down), {})
        if row[value] is not None:
            line.setdefault(tuple(row[key] for key in across), []).append(row[value])
    found = [[*key, *(pick(line[head]) if head in line else None for head in heads)] for key, line in cells.items()]
    return table([*down, *(" ".join(str(part) for part in head) for head in heads)], found)


def step_cost(result: dict[str, Any]) -> list[str]:
    rows = result["rows"]
    at = {key: result["costs"][key] for key in ("model", "tasks", "batch")}
    own = [row for row in rows if row["implementation"] == "polytask"]
    everywhere = {(row["method"], row["way"]) for row in own if {key: row[key] for key in at} != at}
    compact = [
        r for r in rows if r["implementation"] != "polytask" or not everywhere or (r["method"], r["way"]) in everywhere
    ]
    peers = [row for row in rows if row["difference"] is not None]
    parts = [
        "A step, times the plain sum's (model, tasks, rows of a batch):",
        pivot(compact, ("implementation", "way", "method"), ("model", "tasks", "batch"), "times_sum", max),
        f"Every balancer at {at['model']}, {at['tasks']} tasks, {at['batch']} rows:",
        columns(
            [row for row in own if {key: row[key] for key in at} == at], "method", "way", "milliseconds", "times_sum"
        ),
    ]
    if peers:
        parts += [
            "How far the direction of the peers' shared gradient is from ours in the first step, at most:",
            pivot(peers, ("implementation", "way", "method"), ("model", "tasks"), "difference", max),
        ]
    return parts


def sharing_cost(result: dict[str, Any]) -> list[str]:
    rows = [row for row in result["rows"] if row["kind"] == "step"]
    everywhere = {row["model"] for row in rows if row["way"] == "default" and row["method"] != "hard"}
    schemes = [row for row in rows if row["way"] == "default" and row["model"] in everywhere]
    peers = [row for row in rows if row["way"] != "default" or row["method"] == "hard"]
    parts = [
        "Every scheme with default settings: a step, times hard sharing's (model, tasks):",
        pivot(schemes, ("method",), ("model", "tasks"), "times_hard", max),
        "Its parameters, times hard sharing's:",
        pivot(schemes, ("method",), ("model", "tasks"), "parameters_times_hard", max),
        "Parameters that serving one task takes:",
        pivot(schemes, ("method",), ("model", "tasks"), "parameters_of_one_task", max),
    ]
    if any(row["implementation"] != "polytask" for row in rows):
        parts += ["Beside the peers, milliseconds:"]
        parts += [pivot(peers, ("method", "implementation", "way"), ("model", "tasks"), "milliseconds", max)]
        parts += ["What is alike and what is not:\n\n```text\n" + "\n".join(result["peers"]).strip() + "\n```"]
    if result["refused"]:
        parts += ["What refuses a setup:", columns(result["refused"], "scheme", "way", "model", "sentence")]
    experts = [row for row in result["rows"] if row["kind"] == "experts"]
    keys = ("device", "layers", "experts", "width", "batch", "runs_together")
    times = ("loop_milliseconds", "milliseconds", "times_loop")
    return [
        *parts,
        "A mixture's experts as we run them, times a Python loop over them:",
        columns(experts, *keys, *times),
    ]


def step_memory(result: dict[str, Any]) -> list[str]:
    keys = ("implementation", "way", "method", "megabytes", "times_sum", "above_start", "above_start_times_sum")
    return [columns(result["rows"], *keys)]


def toy_problem(result: dict[str, Any]) -> list[str]:
    keys = ("method", "scale", "steps", "reached", "reached_in_35k")
    return [
        "Steps to the front from each of the five starts; a dash: not within the budget.",
        columns(result["rows"], *keys),
    ]


def solver_time(result: dict[str, Any]) -> list[str]:
    rows = result["rows"]
    return [
        "Milliseconds, the slowest kind of gradients, by number of tasks:",
        pivot(rows, ("solver",), ("tasks",), "milliseconds", max),
        "Largest error, likewise:",
        pivot(rows, ("solver",), ("tasks",), "error", max),
    ]


def verdict_simulation(result: dict[str, Any]) -> list[str]:
    return [result["table"]]


def verdicts(result: dict[str, Any]) -> list[str]:
    keys = ("data", "task", "metric", "shared", "alone", "trees", "linear", "difference_in_skill", "verdict")
    return [columns(result["rows"], *keys)]


def real_data(result: dict[str, Any]) -> list[str]:
    keys = ("data", "task", "metric", "method", "mean", "sd", "mlp", "baseline", "baseline_method")
    return [columns(result["rows"], *keys)]


def task_relatedness(result: dict[str, Any]) -> list[str]:
    return [
        "Error as a share of the variance, by cosine of the two tasks:",
        pivot(result["rows"], ("setting", "scheme"), ("cosine",), "error", max),
        "Slope of the error against the cosine, and by how much that of hard sharing is above it:",
        columns(result["tests"], "setting", "what", "scheme", "value", "interval", "adjusted_p"),
    ]


def sharing_findings(result: dict[str, Any]) -> list[str]:
    keys = ("data", "scheme", "learning_rate", "skill", "difference", "interval", "word")
    return [columns(result["rows"], *keys, "parameters_times_hard", "seconds_times_hard")]


def every_row(result: dict[str, Any]) -> list[str]:
    return [columns(result["rows"], *dict.fromkeys(key for row in result["rows"] for key in row))]


MAIN_ROWS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "step_cost": step_cost,
    "sharing_cost": sharing_cost,
    "step_memory": step_memory,
    "toy_problem": toy_problem,
    "solver_time": solver_time,
    "verdict_simulation": verdict_simulation,
    "verdicts": verdicts,
    "real_data": real_data,
    "task_relatedness": task_relatedness,
    "sharing_findings": sharing_findings,
}


def score(result: dict[str, Any]) -> str:
    targets = result["targets"]
    return f"{sum(t['met'] for t in targets)} of {len(targets)}" if targets else "none set"


def section(name: str, result: dict[str, Any]) -> str:
    """Question, circumstances, targets, main rows."""
    versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
    threads = f"{result['threads']} thread{'s' * (result['threads'] != 1)}"
    circumstances = f"{versions}; {result['hardware']}, {threads}; {result['seconds']:,.0f} s."
    parts = [f"## {name}", result["question"], f"`{result['command']}`\n\n{circumstances}"]
    if result.get("missing"):
        parts.append(f"Not installed, so not beside it: {', '.join(result['missing'])}.")
    if result["targets"]:
        limit = {"lower": "≤", "higher": "≥"}
        lines = [
            (t["name"], t["value"], f"{limit[t['better']]} {text_of(t['target'])}", "met" if t["met"] else "**missed**")
            for t in result["targets"]
        ]
        parts.append(table(("target", "value", "wanted", ""), lines))
    return "\n\n".join([*parts, *MAIN_ROWS.get(name, every_row)(result)])


def document(folder: Path = FOLDER / "results") -> str:
    """All of RESULTS.md."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    overview = table(
        ("benchmark", "question", "targets met"),
        ((f"[{name}](#{name})", result["question"], score(result)) for name, result in results.items()),
    )
    return "\n\n".join([OPENING.strip(), overview, *(section(*found) for found in results.items())]) + "\n"


if __name__ == "__main__":
    (FOLDER / "RESULTS.md").write_text(document(), encoding="utf-8")
