"""Writes docs/methods.md, and the costs that `polytask list balancers` shows, from the catalogue and the benchmark.

    python docs/write_methods.py

What it says of a method stands in the method's class; costs are those of benchmarks/results/step_cost.json.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polytask.catalogue import CATALOGUES, Entry, costs, entries

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "methods.md"
COSTS = ROOT / "src" / "polytask" / "balance" / "costs.json"
MEASURED = ROOT / "benchmarks" / "results" / "step_cost.json"
#: The rows of the benchmark that are shown.
SHOWN = {"implementation": "polytask", "model": "mlp", "tasks": 8, "batch": 256}
#: Ways of taking gradients that the settings of the engine choose; shown is how a method goes without them.
SHORT_WAYS = ("representation", "every=10")
#: A section's heading, and the module its methods are in.
SECTIONS = {
    "From losses": "polytask.balance.from_losses",
    "From the Gramian": "polytask.balance.from_gramian",
    "From the gradients themselves": "polytask.balance.from_jacobian",
    "From probes": "polytask.balance.from_probes",
    "Around another balancer": "polytask.balance.smooth",
    "Optimisers in a balancer's place": "polytask.train",
}
INTRODUCTION = """# Methods

Every balancer, and the optimisers that take the place of one. This page is written by `docs/write_methods.py` from the
classes themselves; `polytask list balancers` shows the first table, with `--json` all of it. [choosing.md](choosing.md)
is a guide to them, [concepts.md](concepts.md) says what a balancer is.

- **reads**: what it sees of a step beyond the tasks' names, which is its cost class. `losses` are there anyway; the
  `gramian` (inner products of the tasks' gradients) and the `jacobian` (these gradients) take a backward pass a task; a
  `probe` computes losses again. `dtp` and `achievement` also see the last validation skill of each task.
- **extra passes**: what a step takes beyond one forward and one backward pass, for T tasks at level `exact`.
- **× sum**: the time of a training step over that of the same step with `sum`; empty where it was not measured.
  Measured on {measured}.
- **weights**: whether they scale *losses* (heads included) or *gradients* (of shared parameters; heads keep their own,
  but for `imtl` and `db_mtl`, which multiply the losses too),
  and what they are where tasks are alike: 1 each, as of a *sum*; 1/T each, as of a *mean*, which under plain SGD takes
  T times the learning rate for the same step; or *neither*.
- **levels**: of the gradient engine (`gradients: {{level: representation}}`). At `representation` gradients are those
  of what the tasks' own parts read, and one backward pass goes through the shared parameters whatever T is. Angles and
  lengths are then those of the representation, and so are all promises: that no task is hurt, equal progress, the
  shortest mix hold there, and need not hold for the parameters. It needs one representation that all tasks read.
  Methods that keep gradients over steps, or look at single coordinates or tensors, are `exact` only.
- **every=k**: whether weights may be solved anew each k steps only (`gradients: {{every: 10}}`). What hangs on the
  signs of *this* batch's gradients is then gone: no method promises of a step with older weights that it hurts no task.
  Weights that drift slowly (`nash_mtl`, `fairgrad`, `aligned_mtl`, normalised `mgda`) lose least. Methods that need
  every step's gradients refuse it; where no gradients are read there is nothing to keep.
- **impartial**: whether all tasks count alike unless a setting says otherwise; else there is a main task, or weights by
  hand.
"""


def measured_costs(result: Mapping[str, Any]) -> dict[str, float]:
    """Method -> times `sum`, from the benchmark's rows of the shown kind, in the catalogue's order."""
    found = {
        row["method"]: float(row["times_sum"])
        for row in result["rows"]
        if all(row.get(key) == value for key, value in SHOWN.items()) and row.get("way") not in SHORT_WAYS
    }
    names = [*CATALOGUES["balancers"], *CATALOGUES["optimizers"]]
    return {name: round(found[name], 2) for name in names if name in found}


def measured_on(result: Mapping[str, Any]) -> str:
    """What the costs were measured on, in words."""
    threads = "one thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return (
        f"an MLP, {SHOWN['tasks']} tasks, {SHOWN['batch']} rows, {threads} of {result['hardware']}, "
        f"torch {result['versions']['torch']}"
    )


def page(result: Mapping[str, Any]) -> str:
    """The whole page."""
    methods = [entry for name in ("balancers", "optimizers") for entry in entries(name) if entry.traits]
    parts = [INTRODUCTION.format(measured=measured_on(result)), "## At a glance\n\n" + at_a_glance(methods)]
    for heading, module in SECTIONS.items():
        members = [entry for entry in methods if class_of(entry).__module__.startswith(module)]
        parts += [f"## {heading}\n", *(section(entry) for entry in members)]
    return "\n".join(parts)


def at_a_glance(methods: Iterable[Entry]) -> str:
    """The table of all methods."""
    lines = ["| method | reads | × sum | when to use it |", "| --- | --- | ---: | --- |"]
    for entry in methods:
        cells = (f"[`{entry.name}`](#{entry.name})", reads(entry), cost(entry), entry.traits.use_when)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def section(entry: Entry) -> str:
    """What is true of one method."""
    traits = entry.traits
    likes = {"sum": "like a sum's", "mean": "like a mean's", "neither": "like neither a sum's nor a mean's"}
    like = likes.get(traits.weights_like, traits.weights_like)
    reads_gradients = {"gramian", "jacobian"} & {*entry.reads}
    levels = ", ".join(f"`{level}`" for level in traits.levels) if reads_gradients else "no difference"
    lines = [
        f"### `{entry.name}`\n",
        f"{entry.summary}.\n",
        f"**When:** {traits.use_when}\n",
        f"- reads: {reads(entry)}; extra passes: {traits.extra_passes}; × sum: {cost(entry) or 'not measured'}",
        f"- weights: scale {traits.scales}, {like}; impartial: {'yes' if traits.is_impartial else 'no'}",
        f"- levels: {levels}; every=k: {traits.every}",
    ]
    if entry.settings:
        lines.append("- settings: " + ", ".join(f"`{name}`" for name in entry.settings))
    if traits.reference:
        text = traits.reference
        lines.append(f"- paper: {', '.join(text.authors)}: [{text.title}]({text.link}), {text.venue} {text.year}")
    return "\n".join(lines) + "\n"


def reads(entry: Entry) -> str:
    """What a method reads, in words."""
    return ", ".join(entry.reads) or "nothing"


def cost(entry: Entry) -> str:
    """How many times the time of `sum`; empty where it was not measured."""
    return "" if entry.traits.cost is None else f"{entry.traits.cost:.2f}"


def class_of(entry: Entry) -> type:
    """The class behind a line of the catalogue."""
    return CATALOGUES["balancers"].get(entry.name) or CATALOGUES["optimizers"][entry.name]


def main() -> None:
    """Writes both files."""
    result = json.loads(MEASURED.read_text(encoding="utf-8"))
    COSTS.write_text(json.dumps(measured_costs(result), indent=1) + "\n", encoding="utf-8")
    costs.cache_clear()
    PAGE.write_text(page(result), encoding="utf-8")


if __name__ == "__main__":
    main()
