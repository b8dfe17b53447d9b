"""The layers: who may import whom, held against the source of every module.

Read the tables below as the rule; everything after them is how it is checked. Imports are read from the
syntax tree, so those inside functions count like those at the top.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "polytask"

#: From the ground up, a line a level. A package imports from the levels below its own: never from above,
#: never from its neighbours in the same line.
LEVELS = [
    "errors",
    "wording",
    "conversion",
    "config",
    "yaml_file papers feature sparse_rows random_state",
    "ragged",
    "tasks encoders gradients",
    "data sharing balance",
    "regularizers",
    "model",
    "runs",
    "train",
    "experiment",
    "studies combine",
    "report export serve",
    "demos",
    "catalogue",
    "cli",
    "__main__",
]

#: Never, whatever the levels say: package -> (what it may not import, why).
NEVER = {
    "balance": ("model data train torch.optim", "a balancer sees signals: no model, no batch, no optimiser"),
    "gradients": ("tasks encoders", "the engine knows no task"),
    "report": ("train", "it reads a Run folder"),
    "export": ("train", "it reads a Run folder"),
    "serve": ("train", "it reads a Run folder"),
}

#: All that may be imported from the top package: the rest of it is the door for users.
TOP = {"__version__"}

LEVEL = {name: level for level, line in enumerate(LEVELS) for name in line.split()}


@dataclass(frozen=True)
class Import:
    """One imported name: `module` with `name` out of it ("" for a plain `import module`)."""

    line: int
    module: str
    name: str = ""


def imports_of(tree: ast.Module) -> Iterator[Import]:
    """Every import of a module, wherever it stands; `polytask.x` used after `import polytask` counts too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(node.lineno, "." * node.level + (node.module or ""), alias.name)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("polytask", "torch")
        ):
            yield Import(node.lineno, node.value.id, node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and str(argument.value).startswith("polytask"):
                    yield Import(node.lineno, str(argument.value))


def unit_of(module: str) -> str:
    """`polytask.tasks.base` -> `tasks`."""
    return module.split(".")[1]


def problem_of(found: Import, importer: str, root: Path) -> str:
    """What is wrong with an import of `importer` (a dotted module of ours), or nothing."""
    unit = unit_of(importer)
    forbidden, why = NEVER.get(unit, ("", ""))
    if found.module.startswith("."):
        return "relative import; write the whole name"
    full = f"{found.module}.{found.name}" if found.name else found.module
    if any(f"{full}.".startswith(f"{name}.") for name in forbidden.split()):
        return f"{unit} never imports {full}: {why}"
    if found.module.split(".")[0] != "polytask":
        return ""
    module, name = found.module, found.name
    if module == "polytask":
        if name in TOP or not name:
            return ""
        if name not in LEVEL:
            return f"polytask.{name} is the users' door; import it from its package"
        module, name = f"polytask.{name}", ""
    target = unit_of(module)
    if target == unit:
        return ""
    if target in forbidden.split():
        return f"{unit} never imports {target}: {why}"
    if target not in LEVEL:
        return f"{target} stands on no level; add it to LEVELS"
    if LEVEL[target] >= LEVEL[unit]:
        direction = "sideways" if LEVEL[target] == LEVEL[unit] else "upwards"
        return f"{direction}: {unit} may not import {target}"
    if module.count(".") > 1 or (name and is_module(root, target, name)):
        return f"past the door: import it from polytask.{target}, not from a module inside"
    if name.startswith("_"):
        return f"{name} is private to {target}"
    return ""


def is_module(root: Path, package: str, name: str) -> bool:
    """Whether `name` is a module inside the package, and its `__init__` has nothing else of that name."""
    folder = root / package
    if not ((folder / f"{name}.py").is_file() or (folder / name).is_dir()):
        return False
    door = folder / "__init__.py"
    defined = {found.name for found in imports_of(ast.parse(door.read_text()))} if door.is_file() else set()
    return name not in defined


def violations(root: Path) -> list[str]:
    """Every import under `root` that breaks the rule, as `file:line what is wrong`."""
    problems = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts == ("__init__",):
            continue
        importer = ".".join(["polytask", *parts])
        if unit_of(importer) not in LEVEL:
            problems.append(f"{path.relative_to(root)}: {unit_of(importer)} stands on no level; add it to LEVELS")
            continue
        for found in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
            problem = problem_of(found, importer, root)
            if problem:
                problems.append(f"{path.relative_to(root)}:{found.line} {problem}")
    return problems


def test_every_import_goes_down_and_through_the_door():
    assert violations(SOURCE) == []


def test_every_name_has_one_level():
    names = " ".join(LEVELS).split()
    assert len(names) == len(set(names))
    assert set(NEVER) <= set(names)


GOOD = {
    "tasks/__init__.py": "from polytask.tasks.base import Task",
    "tasks/base.py": "from polytask.errors import SchemaError\nfrom polytask.tasks import kinds",
    "tasks/kinds.py": "import torch",
    "train/loop.py": "from polytask import __version__\nimport polytask\nprint(polytask.__version__)",
    "train/step.py": "def f():\n    from polytask.tasks import Task",
    "balance/base.py": "from polytask.gradients import Signals",
    "demos/__init__.py": "from polytask.demos.run_demo import run_demo",
    "demos/run_demo.py": "",
    "cli/app.py": "from polytask.demos import run_demo\nfrom polytask import papers",
}

PLANTED = {
    "upwards": (
        "tasks/x.py",
        "from polytask.data import Table",
        "tasks/x.py:1 upwards: tasks may not import data",
    ),
    "sideways": ("tasks/x.py", "import polytask.encoders", "sideways: tasks may not import encoders"),
    "lazy": (
        "model.py",
        "def f():\n    from polytask.train import fit",
        "model.py:2 upwards: model may not import",
    ),
    "guarded": ("runs/x.py", "if TYPE_CHECKING:\n    from polytask.train import a", "runs/x.py:2 upwards"),
    "by name": ("runs/x.py", "import_module('polytask.train')", "upwards: runs may not import train"),
    "inner module": (
        "data/x.py",
        "from polytask.tasks.base import Task",
        "past the door: import it from polytask.tasks",
    ),
    "module through the door": ("data/x.py", "from polytask.tasks import base", "past the door"),
    "inner plain": ("data/x.py", "import polytask.tasks.base", "past the door"),
    "private": ("data/x.py", "from polytask.config import _differs", "_differs is private to config"),
    "top": ("runs/x.py", "from polytask import fit", "polytask.fit is the users' door"),
    "top by attribute": (
        "runs/x.py",
        "import polytask\nprint(polytask.fit)",
        "runs/x.py:2 polytask.fit is the users'",
    ),
    "package of the top": ("runs/x.py", "from polytask import train", "upwards: runs may not import train"),
    "relative": ("tasks/x.py", "from .base import Task", "relative import"),
    "balance and data": ("balance/x.py", "from polytask.data import Batch", "balance never imports data"),
    "balance and model": ("balance/x.py", "from polytask.model import Model", "balance never imports model"),
    "balance and optimisers": ("balance/x.py", "import torch.optim", "balance never imports torch.optim"),
    "optimiser by name": (
        "balance/x.py",
        "from torch.optim import SGD",
        "balance never imports torch.optim.SGD",
    ),
    "optimiser of torch": ("balance/x.py", "from torch import optim", "balance never imports torch.optim"),
    "optimiser by attribute": (
        "balance/x.py",
        "import torch\ntorch.optim.SGD",
        "x.py:2 balance never imports",
    ),
    "engine and tasks": (
        "gradients/x.py",
        "from polytask.tasks import Task",
        "gradients never imports tasks",
    ),
    "report and train": ("report/x.py", "from polytask.train import fit", "report never imports train"),
    "serve and train": ("serve/x.py", "import polytask.train", "serve never imports train"),
    "unknown package": ("helpers/x.py", "", "helpers stands on no level"),
    "unknown target": ("cli/x.py", "from polytask.helpers import a", "helpers stands on no level"),
}


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_what_is_allowed_is_not_reported(tmp_path):
    plant(tmp_path, GOOD)
    assert violations(tmp_path) == []


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_found(tmp_path, case):
    name, text, expected = PLANTED[case]
    plant(tmp_path, GOOD | {name: text})
    found = violations(tmp_path)
    assert len(found) == 1
    assert expected in found[0]


def catalogue_members() -> list[tuple[str, str, type]]:
    from polytask.catalogue import CATALOGUES

    return [(catalogue, name, cls) for catalogue, members in CATALOGUES.items() for name, cls in members.items()]


def test_every_member_of_a_catalogue_is_documented():
    from polytask import papers

    members = [found for found in catalogue_members() if found[2].__module__.startswith("polytask.")]
    assert members
    for catalogue, name, cls in members:
        assert cls.__dict__.get("__doc__"), f"{catalogue}: {name} ({cls.__name__}) has no docstring of its own"
        paper = getattr(cls, "paper", None)
        if paper is not None:
            assert papers.bibtex([paper]).startswith("@"), f"{catalogue}: {name} names the paper {paper!r}"


def test_every_member_of_a_catalogue_is_public_and_named_in_small_letters():
    for catalogue, name, cls in catalogue_members():
        assert not cls.__name__.startswith("_"), f"{catalogue}: {name} is the private {cls.__name__}"
        assert name == name.lower(), f"{catalogue}: {name}"
        assert name.replace("_", "").isalnum(), f"{catalogue}: {name}"
