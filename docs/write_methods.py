"""Writes docs/methods.md, and the costs that `polytask list` shows, from the catalogue and the benchmarks.

    python docs/write_methods.py

What it says of a method, its settings included, stands in the method's class; costs of balancers are those of
benchmarks/results/step_cost.json, costs of sharing schemes those of sharing_cost.json beside it.
"""

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polytask import papers
from polytask.catalogue import CATALOGUES, Entry, costs, entries, sharing_costs
from polytask.config import settings_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "methods.md"
COSTS = ROOT / "src" / "polytask" / "balance" / "costs.json"
MEASURED = ROOT / "benchmarks" / "results" / "step_cost.json"
SHARING_COSTS = ROOT / "src" / "polytask" / "sharing" / "costs.json"
SHARING_MEASURED = ROOT / "benchmarks" / "results" / "sharing_cost.json"
#: The rows of the benchmark that are shown.
SHOWN = {"implementation": "polytask", "model": "mlp", "tasks": 8, "batch": 256}
#: The encoders of the benchmarks, in words.
MODELS = {"mlp": "an MLP", "mlp_bn": "an MLP with batch norm"}
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

Every balancer, the optimisers that take the place of one, every [sharing scheme](#sharing-schemes) and every
[regularizer](#regularizers), each with its settings and their defaults. This page is written by `docs/write_methods.py`
from the classes themselves; `polytask list balancers` shows the first table, with `--json` all of it.
[choosing.md](choosing.md) is a guide to them, [concepts.md](concepts.md) says what a balancer is.

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

REGULARIZERS_INTRODUCTION = """## Regularizers

Penalties on the tasks' heads and on what they give, beside any sharing scheme: a list, as
`regularizers: [{ordered_outputs: {order: [clicked, bought]}}]`. `polytask list regularizers` shows them.
"""

SHARINGS_INTRODUCTION = """## Sharing schemes

Who runs which part of the encoder with whom; `polytask list sharings` shows this table, with `--json` all of it.

- **× parameters**: the parameters of the whole model over those with `hard`.
- **× hard**: the time of a training step over that of the same step with `hard`; the balancer is `sum`.

{measured}
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


def measured_sharing_costs(result: Mapping[str, Any] | None) -> dict[str, dict[str, float]]:
    """Scheme -> "time" and "parameters", times those of `hard`, in the catalogue's order; empty without a benchmark."""
    if result is None:
        return {}
    time, parameters = result["costs"]["times_hard"], result["costs"]["parameters_times_hard"]
    return {
        name: {"time": round(time[name], 2), "parameters": round(parameters[name], 2)}
        for name in CATALOGUES["sharings"]
        if name in time
    }


def measured_on(result: Mapping[str, Any], shown: Mapping[str, Any] = SHOWN) -> str:
    """What the costs were measured on, in words."""
    threads = "one thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return (
        f"{MODELS[shown['model']]}, {shown['tasks']} tasks, {shown['batch']} rows, {threads} of {result['hardware']}, "
        f"torch {result['versions']['torch']}"
    )


def page(result: Mapping[str, Any], sharing_result: Mapping[str, Any] | None) -> str:
    """The whole page."""
    methods = [entry for name in ("balancers", "optimizers") for entry in entries(name) if entry.traits]
    parts = [INTRODUCTION.format(measured=measured_on(result)), "## At a glance\n\n" + at_a_glance(methods)]
    for heading, module in SECTIONS.items():
        members = [entry for entry in methods if class_of(entry).__module__.startswith(module)]
        parts += [f"## {heading}\n", *(section(entry) for entry in members)]
    return "\n".join([*parts, *sharing_schemes(sharing_result), *regularizers()])


def sharing_schemes(result: Mapping[str, Any] | None) -> list[str]:
    """The table of all schemes, and what is true of each."""
    empty = "An empty cell was not measured."
    if result is None:
        measured = "Not measured yet."
    else:
        where = measured_on(result, result["costs"])
        others = "".join(f"; `{name}` on {MODELS[model]}" for name, model in result["costs"]["elsewhere"].items())
        measured = (
            f"Measured with default settings, or the few that a scheme cannot do without, on {where}{others}. {empty}"
        )
    schemes = entries("sharings")
    lines = ["| scheme | × parameters | × hard | when to use it |", "| --- | ---: | ---: | --- |"]
    for entry in schemes:
        cells = (f"[`{entry.name}`](#{entry.name})", parameters(entry), cost(entry), entry.traits.use_when)
        lines.append("| " + " | ".join(cells) + " |")
    table = "\n".join(lines) + "\n"
    return [SHARINGS_INTRODUCTION.format(measured=measured), table, *(scheme_section(entry) for entry in schemes)]


def scheme_section(entry: Entry) -> str:
    """What is true of one scheme."""
    costs_text = f"× parameters: {parameters(entry) or 'not measured'}; × hard: {cost(entry) or 'not measured'}"
    lines = [
        f"### `{entry.name}`\n",
        f"{entry.summary}.\n",
        f"**When:** {entry.traits.use_when}\n",
        f"- {costs_text}",
        *settings_and_paper(entry),
    ]
    return "\n".join(lines) + "\n"


def regularizers() -> list[str]:
    """What is true of each regularizer."""
    return [REGULARIZERS_INTRODUCTION, *(regularizer_section(entry) for entry in entries("regularizers"))]


def regularizer_section(entry: Entry) -> str:
    """What is true of one regularizer."""
    use_when = getattr(class_of(entry), "use_when", "")
    lines = [f"### `{entry.name}`\n", f"{entry.summary}.\n"]
    if use_when:
        lines.append(f"**When:** {use_when}\n")
    return "\n".join([*lines, *settings_and_paper(entry)]) + "\n"


def parameters(entry: Entry) -> str:
    """How many times the parameters of `hard`; empty where it was not measured."""
    return "" if entry.traits.parameters is None else f"{entry.traits.parameters:.2f}"


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
        *settings_and_paper(entry),
    ]
    return "\n".join(lines) + "\n"


def settings_and_paper(entry: Entry) -> list[str]:
    """The last lines of a section."""
    lines = []
    if explained := explained_settings(class_of(entry)):
        lines += ["- settings:", *(f"  {line}" for line in explained)]
    text = papers.reference(entry.paper) if entry.paper else None
    if text:
        title = f"[{text.title}]({text.link})" if text.link else text.title
        lines.append(f"- paper: {', '.join(text.authors)}: {title}, {text.venue} {text.year}")
    return lines


def explained_settings(cls: type) -> list[str]:
    """A line for every setting that the class's documentation has an entry for."""
    texts = documented_arguments(cls)
    return [
        f"- `{name}` ({default_of(parameter)}): {texts[name]}"
        for name, parameter in settings_of(cls).items()
        if name in texts
    ]


def documented_arguments(cls: type) -> dict[str, str]:
    """Name -> text, of the entries under `Args:`; lines that are indented further go on with the entry before."""
    found: dict[str, str] = {}
    block = re.search(r"^Args:\n((?: {4}.*\n?)+)", inspect.getdoc(cls) or "", flags=re.MULTILINE)
    name = ""
    for line in block[1].splitlines() if block else ():
        if start := re.match(r" {4}(\w[\w, ]*): (.*)", line):
            name, found[start[1]] = start[1], start[2]
        elif name:
            found[name] += " " + line.strip()
    return found


def default_of(parameter: inspect.Parameter) -> str:
    """A setting's default as YAML writes it."""
    if parameter.default is inspect.Parameter.empty:
        return "has to be given"
    return "not given" if parameter.default is None else f"`{json.dumps(parameter.default, ensure_ascii=False)}`"


def reads(entry: Entry) -> str:
    """What a method reads, in words."""
    return ", ".join(entry.reads) or "nothing"


def cost(entry: Entry) -> str:
    """How many times the time of `sum`, or of `hard`; empty where it was not measured."""
    return "" if entry.traits.cost is None else f"{entry.traits.cost:.2f}"


def class_of(entry: Entry) -> type:
    """The class behind a line of the catalogue."""
    shown = ("balancers", "optimizers", "sharings", "regularizers")
    return next(CATALOGUES[name][entry.name] for name in shown if entry.name in CATALOGUES[name])


def read(path: Path) -> dict[str, Any] | None:
    """A benchmark's results; None where it has not been run."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def main() -> None:
    """Writes all files."""
    result, sharing_result = json.loads(MEASURED.read_text(encoding="utf-8")), read(SHARING_MEASURED)
    for path, found in ((COSTS, measured_costs(result)), (SHARING_COSTS, measured_sharing_costs(sharing_result))):
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    costs.cache_clear()
    sharing_costs.cache_clear()
    PAGE.write_text(page(result, sharing_result), encoding="utf-8")


if __name__ == "__main__":
    main()
