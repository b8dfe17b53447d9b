"""Characters, words and numbers of what studies show in the terminal; 80 columns are enough."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from rich.cells import cell_len, set_cell_size
from rich.console import ConsoleOptions
from rich.table import Table as Grid

#: Characters of the forest plot and of the tables.
_USES = ("wide", "thin", "zero", "region", "point", "left", "right", "to", "half", "delta")
UNICODE = dict(zip(_USES, ("━", "─", "│", "░", "●", "◂", "▸", "→", "±", "Δm %"), strict=True))
ASCII = dict(zip(_USES, ("=", "-", "|", ":", "o", "<", ">", "->", "+-", "delta m %"), strict=True))


def plain_grid() -> Grid:
    """A table without lines."""
    return Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False)


def marks_of(options: ConsoleOptions) -> Mapping[str, str]:
    """The characters that the console can write."""
    return ASCII if options.ascii_only else UNICODE


def said(text: str, options: ConsoleOptions) -> str:
    """The text in what the console can write: plain dashes for ours, "?" for what else it cannot."""
    text = text.translate({ord("−"): "-", ord("–"): "-"}) if options.ascii_only else text
    return text.encode(options.encoding, "replace").decode(options.encoding)


def cut(text: str, width: int) -> str:
    """At most so many characters; two dots stand for the rest."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, max(width - 2, 0))}.."


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
