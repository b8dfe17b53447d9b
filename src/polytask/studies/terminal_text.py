"""Characters, words and numbers of what studies show in the terminal; 80 columns are enough."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import ConsoleOptions
from rich.table import Table as Grid

#: Characters of the forest plot and of the tables.
_USES = ("wide", "thin", "zero", "region", "point", "none", "left", "right", "to", "half", "delta")
UNICODE = dict(zip(_USES, ("━", "─", "│", "░", "●", "·", "◂", "▸", "→", "±", "Δm %"), strict=True))
ASCII = dict(zip(_USES, ("=", "-", "|", ":", "o", ".", "<", ">", "->", "+-", "delta m %"), strict=True))

#: Signs of ours -> what ASCII has for them.
PLAIN = {ord("−"): "-", ord("–"): "-", ord("²"): "2"}


def plain_grid() -> Grid:
    """A table without lines."""
    return Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False)


def marks_of(options: ConsoleOptions) -> Mapping[str, str]:
    """The characters that the console can write."""
    return ASCII if options.ascii_only else UNICODE


def said(text: str, options: ConsoleOptions) -> str:
    """The text in what the console can write: plain signs for ours, "?" for what else it cannot."""
    text = text.translate(PLAIN) if options.ascii_only else text
    return text.encode(options.encoding, "replace").decode(options.encoding)


def cut(text: str, width: int) -> str:
    """At most so many characters; two dots in the middle stand for the rest, as names often differ at their ends.

    Example:
        >>> cut("sharing=mmoe, balancer=sum", 16)
        'sharing..cer=sum'
    """
    if cell_len(text) <= width:
        return text
    end = max(width - 2, 0) // 2
    tail = text[-end:] if end > 0 else ""
    while cell_len(tail) > end:
        tail = tail[1:]
    return f"{set_cell_size(text, max(width - 2 - cell_len(tail), 0))}..{tail}"


def wrapped(text: str, width: int, lines: int = 4) -> str:
    """A name over at most so many lines, broken behind its signs where that is possible.

    Example:
        >>> wrapped("sharing=mmoe, balancer=uncertainty", 14).splitlines()
        ['sharing=mmoe,', 'balancer=', 'uncertainty']
    """
    found = [""]
    for part in re.findall(r"[^=,_ ]*[=,_ ]*", text):
        if cell_len(found[-1] + part.rstrip()) > width:
            found.append("")
        found[-1] += part
    found = [line.strip() for line in found if line.strip()]
    if len(found) <= lines and max(map(cell_len, found), default=0) <= width:
        return "\n".join(found)
    return "\n".join(chop_cells(cut(text, lines * (width - 1)), width))  # a wide character may not fill its line


def is_number(value: Any) -> TypeGuard[float]:
    """Whether this is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def number(value: float | None, form: str) -> str:
    """A number in this form; a dash where there is none."""
    return format(value, form) if is_number(value) else "-"


def signed(value: float | None) -> str:
    """A difference with its sign, to three decimals; zero has none."""
    rounded = round(value, 3) + 0.0 if is_number(value) else None
    return number(rounded, "+.3f" if rounded else ".3f")


def span(ends: Sequence[float | None] | None) -> str:
    """An interval; nothing where there is none."""
    low, high = ends or (None, None)
    return f"[{signed(low)}, {signed(high)}]" if is_number(low) and is_number(high) else ""


def value(value: float | None) -> str:
    """A metric in six characters: three decimals, fewer where it is large."""
    if not is_number(value):
        return "-"
    places = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return f"{value:.{places}f}" if abs(value) < 1e6 else f"{value:.1e}"
