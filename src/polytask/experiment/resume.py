"""Whether a folder's Run may be gone on with: the same settings, on the same data."""

from collections.abc import Callable, Mapping
from typing import Any

from polytask.errors import RunError
from polytask.experiment.choices import Experiment
from polytask.experiment.given import Given
from polytask.experiment.sources import Source
from polytask.runs import RunFolder
from polytask.yaml_file import read_yaml


def check_same(
    experiment: Experiment, sources: Mapping[str, Source], folder: RunFolder, given: Given | None = None
) -> None:
    """Refuses to go on with a Run that was started with other settings or other data, or for another study.

    Raises:
        RunError: names the first setting, or the table, that differs.
    """
    before, _ = read_yaml(folder / "config.yaml")
    different = first_difference(without_path(before), without_path(experiment.written()))
    if different:
        key, old, new = different
        raise RunError(
            f"{folder.path} holds a Run with other settings: {key} is {old!r} there and {new!r} now; "
            f"choose another folder, or the same settings"
        )
    head = folder.read_json("run.json")
    if head.get("given") != (given.mark if given else None):
        raise RunError(f"{folder.path} holds a Run of another study, or of none; choose another folder, or remove it")
    for name, record in head["tables"].items():
        if name not in sources or sources[name].whole.fingerprint() != record["fingerprint"]:
            raise RunError(f"{folder.path} holds a Run on other data (table {name!r}); choose another folder")


def record_environment(folder: RunFolder, now: dict[str, Any], say: Callable[[str], None]) -> None:
    """Writes down what a Run is trained with; a Run that goes on with something else is told so, and keeps both."""
    if not (folder / "environment.json").exists():
        folder.write_json("environment.json", now)
        return
    begun = folder.read_json("environment.json")
    versions = {"polytask": "polytask", "python": "Python", "device": "device"}
    changes = [f"{word} {begun[key]} -> {now[key]}" for key, word in versions.items() if begun[key] != now[key]]
    changes += [
        f"{p} {begun['packages'].get(p)} -> {v}" for p, v in now["packages"].items() if begun["packages"].get(p) != v
    ]
    if changes:
        say(f"warning: this Run was begun with something else ({', '.join(changes)}); its last digits may differ")
        folder.write_json("environment.json", begun | {"resumed_with": now})


def without_path(values: Mapping[str, Any]) -> dict[str, Any]:
    """A written experiment but for where its data are and who decodes them: what makes two Runs the same."""
    aside = ("path", "workers", "cache")
    return {**values, "data": {k: v for k, v in (values.get("data") or {}).items() if k not in aside}}


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first key of nested values that differs, and both its values; None where there is none."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(k for k in new if k not in old)]:
            found = first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
            if found:
                return found
        return None
    return None if old == new else (path, old, new)
