"""Written values as annotated types, or one sentence that says where, what came and what is wanted.

Values from YAML, JSON and Python calls are held against the annotations of dataclasses and constructors.
The rules are strict where a silent conversion could hide a mistake: true is no number, '3' is no number,
3.0 is no whole number, NaN and infinity are refused. They are lenient where nothing can be lost: whole
numbers pass for numbers, lists for tuples, mappings for dataclasses, text for paths.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from inspect import Parameter
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from polytask.errors import ConfigError, nearest
from polytask.wording import hint, shown, wanted

T = TypeVar("T")

#: Where a value stands in a document: keys from the top.
KeyPath = tuple[str, ...]

#: The annotation of a number that may be NaN or infinite; a plain `float` may not.
AnyFloat = Annotated[float, "may be NaN or infinite"]

_SEQUENCES = (tuple, list, set, frozenset, Sequence, AbstractSet, Iterable)
_MAPPINGS = (dict, Mapping)


@dataclass(frozen=True)
class Source:
    """Where written settings came from, so that an error can say the line.

    Attributes:
        name: of the file, or of the call.
        lines: key path -> line number, from 1.
    """

    name: str = ""
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """`run.yaml, line 12, train.epochs`: as much of it as is known; positions in lists count from 0.

        Example:
            >>> Source("run.yaml", {("train",): 3}).place(("train", "widths", "1"))
            'run.yaml, line 3, train.widths[1]'
        """
        line = next((self.lines[path[:k]] for k in range(len(path), 0, -1) if path[:k] in self.lines), None)
        texts = [key if key.isprintable() else ascii(key)[1:-1] for key in path]
        keys = "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in texts).removeprefix(".")
        return ", ".join(part for part in (self.name, f"line {line}" if line else "", keys) if part)


#: The source of a value that no file holds.
NOWHERE = Source()


def check_value(kind: Any, value: Any, source: Source = NOWHERE, path: KeyPath = ()) -> Any:
    """The value as the annotated type.

    Args:
        kind: an annotation: a class, `int | None`, `tuple[int, ...]`, `Literal[...]`, `dict[str, float]`, …
        value: what was written.
        source: of the value.
        path: of the value in its source.

    Raises:
        ConfigError: it is not of that type, and cannot be made so without loss.

    Example:
        >>> check_value(tuple[float, ...], [1, 2.5])
        (1.0, 2.5)
        >>> check_value(int, "3", path=("epochs",))
        Traceback (most recent call last):
        polytask.errors.ConfigError: epochs: got '3', a whole number is wanted: write 3 without quotes
    """
    origin = get_origin(kind)
    if kind in (Any, object, Parameter.empty) or isinstance(kind, TypeVar):
        return value
    if origin is Annotated:
        if kind == AnyFloat and isinstance(value, float):
            return value
        return check_value(get_args(kind)[0], value, source, path)
    if origin in (Union, UnionType):
        return _union(kind, value, source, path)
    if origin is Literal:
        return _literal(kind, value, source, path)
    if (origin or kind) in _SEQUENCES:
        return _sequence(kind, value, source, path)
    if (origin or kind) in _MAPPINGS:
        return _mapping(kind, value, source, path)
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        return build(kind, value, source, path)
    return _single(kind, value, source, path)


def build(cls: type[T], values: Any, source: Source = NOWHERE, path: KeyPath = ()) -> T:
    """A settings dataclass from a mapping: types converted, unknown keys answered with the nearest.

    Raises:
        ConfigError: names the file, line and key.
    """
    place = source.place(path) or cls.__name__
    if isinstance(values, cls):
        return values
    if not isinstance(values, Mapping):
        raise ConfigError(f"{place}: a mapping (key: value) is wanted here, got {shown(values)}")
    known = {f.name: f for f in fields(cls) if f.init}  # type: ignore[arg-type]
    kinds = get_type_hints(cls, include_extras=True)
    for name in values:
        if name not in known:
            raise ConfigError(f"{source.place((*path, str(name)))}: unknown key {name!r}; {nearest(name, known)}")
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(f"{place}: the key {name!r} is missing")
    checked = {name: check_value(kinds[name], value, source, (*path, name)) for name, value in values.items()}
    try:
        return cls(**checked)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{place}: {error}") from error


def _wrong(kind: Any, value: Any, source: Source, path: KeyPath, why: str = "") -> ConfigError:
    place = source.place(path)
    text = f"got {shown(value)}, {wanted(kind)} is wanted{why or hint(kind, value)}"
    return ConfigError(f"{place}: {text}" if place else text)


def _single(kind: Any, value: Any, source: Source, path: KeyPath) -> Any:
    """A value that holds no others: a number, text, a path, an object of some class."""
    if kind in (None, NoneType):
        good = value is None
    elif kind is int:
        # A bool is an int to Python, and a silent mistake to whoever wrote it.
        good = isinstance(value, Integral) and not isinstance(value, bool)
        value = int(value) if good else value
    elif kind is float:
        return _number(value, source, path)
    elif kind is Path:
        good = isinstance(value, str | Path) and value != ""
        value = Path(value) if good else value
    elif get_origin(kind) is type:
        good = isinstance(value, type) and issubclass(value, get_args(kind))
    elif get_origin(kind) is Callable or kind is Callable:
        good = callable(value)
    else:
        good = _is_instance(value, get_origin(kind) or kind)
    if not good:
        raise _wrong(kind, value, source, path)
    return value


def _is_instance(value: Any, kind: Any) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol or a special form that Python cannot check
        return True


def _number(value: Any, source: Source, path: KeyPath) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong(float, value, source, path)
    try:
        number = float(value)
    except OverflowError:
        raise _wrong(float, value, source, path, " (this one is too large)") from None
    if not math.isfinite(number):
        raise _wrong(float, value, source, path, ", neither NaN nor infinite")
    if isinstance(value, Integral) and int(number) != int(value):
        raise _wrong(float, value, source, path, " (this one is too large to be kept exactly)")
    return number


def _literal(kind: Any, value: Any, source: Source, path: KeyPath) -> Any:
    allowed = get_args(kind)
    for choice in allowed:
        if type(choice) is type(value) and choice == value:
            return choice
    raise _wrong(kind, value, source, path)


def _sequence(kind: Any, value: Any, source: Source, path: KeyPath) -> Any:
    """A list, tuple or set; abstract ones become tuples, which nobody can change behind our back."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if not isinstance(value, list | tuple | AbstractSet):
        raise _wrong(kind, value, source, path)
    items = list(value)
    is_fixed = origin is tuple and bool(args) and args[-1] is not Ellipsis
    if is_fixed and len(items) != len(args):
        raise _wrong(kind, value, source, path)
    kinds = args if is_fixed else (args[0] if args else Any,) * len(items)
    checked = [
        check_value(k, item, source, (*path, str(position)))
        for position, (k, item) in enumerate(zip(kinds, items, strict=True))
    ]
    return origin(checked) if origin in (tuple, list, set, frozenset) else tuple(checked)


def _mapping(kind: Any, value: Any, source: Source, path: KeyPath) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(kind, value, source, path)
    key_kind, item_kind = get_args(kind) or (Any, Any)
    checked = {}
    for key, item in value.items():
        inner = (*path, str(key))
        # JSON knows text keys only, so a number may come back as its text; in a key, and nowhere else.
        if key_kind is int and isinstance(key, str) and key.removeprefix("-").isdecimal():
            key = int(key)
        checked[check_value(key_kind, key, source, inner)] = check_value(item_kind, item, source, inner)
    return checked


def _union(kind: Any, value: Any, source: Source, path: KeyPath) -> Any:
    """The branch that takes the value as it is, else the first one that takes it at all."""
    converted, failures = [], []
    for branch in get_args(kind):
        try:
            result = check_value(branch, value, source, path)
        except ConfigError as error:
            failures.append((branch, error))
            continue
        if type(result) is type(value) and result == value:
            return result
        converted.append(result)
    if converted:
        return converted[0]
    # If a single branch has the form of the value (list, mapping), its own error says what is wrong inside.
    alike = [error for branch, error in failures if _has_form(branch, value)]
    raise alike[0] if len(alike) == 1 else _wrong(kind, value, source, path)


def _has_form(kind: Any, value: Any) -> bool:
    base = get_origin(kind) or kind
    if isinstance(value, Mapping):
        return base in _MAPPINGS or is_dataclass(base)
    return isinstance(value, list | tuple) and base in _SEQUENCES
