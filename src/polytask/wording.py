"""Types and values in plain words, for the sentences of errors."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from polytask.errors import nearest

#: Type -> (one of it, many of it).
WORDS: dict[Any, tuple[str, str]] = {
    bool: ("true or false", "true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "text"),
    Path: ("a path", "paths"),
    NoneType: ("null", "null"),
    None: ("null", "null"),
    Any: ("anything", "anything"),
    type: ("a class", "classes"),
    Callable: ("a function", "functions"),
}


def shown(value: Any, most: int = 80) -> str:
    """The value as Python writes it, cut short where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 2]} …"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a row, the first few of many.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b, … 1 more'
    """
    return ", ".join(names[:most]) + (f", … {len(names) - most} more" if len(names) > most else "")


def counted(number: int, noun: str, many: str | None = None) -> str:
    """A number and what it counts.

    Example:
        >>> counted(1, "epoch"), counted(2_000, "epoch"), counted(2, "category", "categories")
        ('1 epoch', '2,000 epochs', '2 categories')
    """
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def reason(error: Exception) -> str:
    """The first line of an error from elsewhere, without the addresses of objects in memory; its class, if it is mute.

    Example:
        >>> reason(OSError("cannot identify image file <_io.BytesIO object at 0x7f2a10>"))
        'cannot identify image file'
    """
    first = (str(error).splitlines() or [""])[0]
    return re.sub(r"\s*<[^<>]* object at 0x[0-9a-f]+>", "", first).removesuffix(".") or type(error).__name__


def wanted(kind: Any, *, many: bool = False) -> str:
    """An annotation in words.

    Example:
        >>> wanted(tuple[int, ...] | None)
        'a list of whole numbers or null'
        >>> wanted(dict[str, float])
        'a mapping of text to numbers'
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return wanted(args[0], many=many)
    if origin in (Union, UnionType):
        # "or null" reads best at the end.
        branches = sorted(args, key=lambda branch: branch is NoneType)
        return _either([wanted(branch, many=many) for branch in branches])
    if origin is Literal:
        return _either([repr(choice) for choice in args])
    base = origin or kind
    if base in WORDS:
        return WORDS[base][many]
    if is_dataclass(base):
        keys = [f"{f.name}:" for f in fields(base) if f.init]
        return f"{'mappings' if many else 'a mapping'} ({', '.join(keys[:6])}{', …' if len(keys) > 6 else ''})"
    if isinstance(base, type) and issubclass(base, Mapping):
        of = f" of {wanted(args[0], many=True)} to {wanted(args[1], many=True)}" if args else ""
        return f"{'mappings' if many else 'a mapping'}{of}"
    if isinstance(base, type) and base.__module__ in ("builtins", "collections.abc", "typing"):
        return _list(args, many=many)
    name = getattr(base, "__name__", str(base))
    return f"objects of class {name}" if many else f"an object of class {name}"


def _list(args: tuple[Any, ...], *, many: bool) -> str:
    word = "lists" if many else "a list"
    if not args:
        return word
    if len(args) == 1 or args[-1] is Ellipsis:
        return f"{word} of {wanted(args[0], many=True)}"
    return f"{word} of exactly {len(args)} ({', '.join(wanted(arg) for arg in args)})"


def _either(words: list[str]) -> str:
    different = list(dict.fromkeys(words))
    return different[0] if len(different) == 1 else f"{', '.join(different[:-1])} or {different[-1]}"


def hint(kind: Any, value: Any) -> str:
    """What to write instead, where that can be told; it begins with its punctuation, or is empty."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return hint(args[0], value)
    if origin in (Union, UnionType):
        return next((text for text in (hint(branch, value) for branch in args) if text), "")
    if origin is Literal:
        guess = nearest(value, args) if isinstance(value, str) else ""
        return f"; {guess}" if guess.startswith("did") else ""
    if kind in (int, float) and isinstance(value, str):
        return f": write {value.strip()} without quotes" if _reads_as(kind, value) else ""
    if kind is int and isinstance(value, float) and value.is_integer():
        return f": write {int(value)}"
    if kind is bool and isinstance(value, str) and value.lower() in ("yes", "on", "no", "off", "true", "false"):
        return f": write {'true' if value.lower() in ('yes', 'on', 'true') else 'false'}"
    if kind is str and isinstance(value, bool | int | float):
        return f": write '{value}' in quotes"
    is_list = origin in (tuple, list) and bool(args) and (len(args) == 1 or args[-1] is Ellipsis)
    if is_list and not isinstance(value, bool | Mapping) and _could_be(value, args[0]):
        return f": write [{value}]"
    return ""


def _could_be(value: Any, kind: Any) -> bool:
    return kind is Any or (isinstance(kind, type) and isinstance(value, kind))


def _reads_as(kind: type[int] | type[float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
