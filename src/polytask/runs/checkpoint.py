"""Checkpoints: nested state as safetensors and JSON, in a folder that appears whole or not at all.

Each checkpoint is a folder `checkpoint/<number>`, written under another name and renamed when it is complete; the one
before is removed only then. So at any moment at least one whole checkpoint exists once the first was written.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from polytask.errors import RunError
from polytask.runs.files import explained, sha256

#: Where in a checkpoint the best weights so far stand.
_WEIGHTS = "best"


def pack(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """Splits nested state (dicts, lists, numbers, strings, tensors) into plain JSON and named tensors.

    Example:
        >>> import torch
        >>> pack({"step": 3, "m": [torch.ones(2)]})[0]
        {'dict': [['step', 3], ['m', {'list': [{'tensor': '0'}]}]]}
    """
    tensors: dict[str, Tensor] = {}

    def visit(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = str(len(tensors))
            tensors[name] = value.detach().cpu().contiguous().clone()
            return {"tensor": name}
        if isinstance(value, Mapping):
            return {"dict": [[key, visit(item)] for key, item in value.items()]}
        if isinstance(value, (list, tuple)):
            return {"list" if isinstance(value, list) else "tuple": [visit(item) for item in value]}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(f"a checkpoint holds tensors, numbers, strings, dicts and lists; got {type(value).__name__}")

    return visit(state), tensors


def unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `pack` was given."""
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: unpack(item, tensors) for key, item in value}
    items = [unpack(item, tensors) for item in value]
    return tuple(items) if kind == "tuple" else items


def write_checkpoint(
    folder: Path, state: Mapping[str, Any], weights: Mapping[str, bytes] | None = None, kept: Iterable[str] = ()
) -> None:
    """Writes one checkpoint and removes the ones before it.

    Args:
        folder: of the checkpoints.
        state: nested state, as `pack` takes it.
        weights: name -> a safetensors file that goes with it.
        kept: names of such files that are the same as in the checkpoint before.

    Raises:
        RunError: it could not be written (no space, say); the one before still stands.
    """
    tree, tensors = pack(state)
    earlier = _whole(folder)
    number = int(earlier[-1].name) + 1 if earlier else 0
    staged, final = folder / "staging", folder / f"{number:09d}"
    files = {"state.safetensors": save(tensors), "state.json": json.dumps(tree).encode()}
    files |= {_file_of(name): content for name, content in (weights or {}).items()}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    with explained(folder):
        folder.mkdir(exist_ok=True)
        shutil.rmtree(staged, ignore_errors=True)
        try:
            staged.mkdir()
            for name, content in files.items():
                _flush(staged / name, content)
            if kept := [_file_of(name) for name in kept]:
                before = json.loads((earlier[-1] / "checksums.json").read_text(encoding="utf-8"))
                for name in kept:
                    _link(earlier[-1] / name, staged / name)
                    sums[name] = before[name]
            _flush(staged / "checksums.json", json.dumps(sums).encode())
            staged.rename(final)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        for old in earlier:
            shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path) -> tuple[Any, dict[str, dict[str, Tensor]]] | None:
    """The newest checkpoint's state, and the weights that go with it by name; None where there is none.

    Raises:
        RunError: it is damaged.
    """
    found = _whole(folder)
    if not found:
        return None
    newest = found[-1]
    try:
        sums = json.loads((newest / "checksums.json").read_text(encoding="utf-8"))
        for name in {"state.json", "state.safetensors", *sums}:
            if sha256(newest / name) != sums[name]:
                raise ValueError(f"the checksum of {name} differs")
        tree = json.loads((newest / "state.json").read_text(encoding="utf-8"))
        weights = {path.stem: load(path.read_bytes()) for path in (newest / _WEIGHTS).glob("*.safetensors")}
        return unpack(tree, load((newest / "state.safetensors").read_bytes())), weights
    except Exception as error:
        raise RunError(
            f"the checkpoint {newest} is damaged ({str(error) or type(error).__name__}); "
            f"remove the folder {folder} to train this Run from its beginning"
        ) from error


def _file_of(name: str) -> str:
    return f"{_WEIGHTS}/{name}.safetensors"


def _link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system has no links."""
    target.parent.mkdir(exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _whole(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.name.isdigit()) if folder.is_dir() else []


def _flush(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
