"""Whole numbers followed through a forward: codes of categories and tokens, which carry no gradient."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

#: A node of autograd's graph; it lives as long as somebody holds it.
GradNode = Any


class Codes(TorchFunctionMode):
    """Follows whole numbers, which carry no gradient, to the operations that make numbers with one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int, tuple[Tensor, set[str]]] = {}
        self.used: dict[GradNode, set[str]] = {}

    def note(self, value: Tensor, names: set[str]) -> None:
        """These values are from these inputs."""
        self.names[id(value)] = value, names  # held, so that no other tensor gets its identity

    def of(self, value: Tensor) -> set[str]:
        """The inputs that these values are from."""
        return self.names[id(value)][1] if id(value) in self.names else set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation, and notes what it made of codes."""
        output = func(*args, **(kwargs or {}))
        names = set().union(*(self.of(value) for value in tensors_in((args, kwargs))))
        for value in tensors_in(output) if names else ():
            if value.grad_fn is not None:
                self.used.setdefault(value.grad_fn, set()).update(names)
            elif value.dtype != torch.bool:  # masks go with the features everywhere, and say nothing
                self.note(value, names)
        return output


def tensors_in(values: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from tensors_in(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors_in(value)
