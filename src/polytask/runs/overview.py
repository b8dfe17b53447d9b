"""A Run at a glance: its tasks, their scores on validation rows, their parameters."""

from collections.abc import Mapping
from typing import Any

from polytask.feature import InputSpec
from polytask.model import Blueprint, Model, count_parameters
from polytask.wording import counted


def overview(model: Model, blueprint: Blueprint, head: Mapping[str, Any], validation: Mapping[str, Any]) -> str:
    """How long it trained, what it reads, its parameters, and a line a task."""
    shared, total = count_parameters(model.shared_parameters()), count_parameters(model.parameters())
    spec = blueprint.spec
    epochs = counted(head["epochs"], "epoch")
    lines = [
        f"trained {epochs} in {head['seconds']:,.0f} s; weights of epoch {head['best_epoch']}",
        f"reads {_inputs(spec)}",
        f"{total:,} parameters, {shared:,} shared by at least two tasks",
        f"{'task':<24} {'kind':<15} {'own parameters':>15}  validation",
    ]
    for task in blueprint.tasks:
        metric = task.primary_metric(blueprint.fitted[task.name]).name
        score = validation[task.name][metric]
        value = "not judged" if score is None else f"{metric} {score:.4g}"
        own = count_parameters(model.task_parameters(task.name))
        lines.append(f"{task.name:<24} {task.kind:<15} {own:>15,}  {value}")
    return "\n".join(lines)


def warned(count: int) -> str:
    """The line that says how often the lint warned; nothing where it did not."""
    times = "once" if count == 1 else f"{count} times"
    return f"\nthe lint warned {times}: see Run.findings, or lint.json in its folder" if count else ""


def _inputs(spec: InputSpec) -> str:
    """How many inputs there are of each sort that there is any of."""
    found = {
        "number": spec.numbers,
        "category": spec.categories,
        "picture": spec.images,
        "vector": spec.vectors,
        "sequence": spec.sequences,
    }
    many = {"category": "categories"}
    return ", ".join(counted(len(names), noun, many.get(noun)) for noun, names in found.items() if names)
