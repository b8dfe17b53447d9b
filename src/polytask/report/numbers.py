"""Numbers as the page writes them: the same digits for the same quantity everywhere."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeGuard

#: What stands where there is no number.
NONE = "–"


def is_number(value: Any) -> TypeGuard[float]:
    """Whether this is a finite number.

    Example:
        >>> is_number(0.5), is_number(None), is_number(float("nan")), is_number(True)
        (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def fixed(value: float | None, decimals: int = 3, *, sign: bool = False) -> str:
    """A number with this many decimals, its minus as the verdict's sentences write it; zero has no sign.

    Example:
        >>> fixed(0.0312), fixed(-0.0312, sign=True), fixed(-0.0001, sign=True), fixed(None)
        ('0.031', '−0.031', '0.000', '–')
    """
    if not is_number(value):
        return NONE
    rounded = round(float(value), decimals) + 0.0  # adding 0 turns -0.0 into 0.0
    return f"{rounded:{'+' if sign and rounded else ''},.{decimals}f}".replace("-", "−")


def span(ends: Sequence[float | None] | None, decimals: int = 3, *, sign: bool = False) -> str:
    """An interval; "" where there is none.

    Example:
        >>> span([0.011, 0.045], sign=True), span([None, None])
        ('[+0.011, +0.045]', '')
    """
    if not ends or not all(is_number(end) for end in ends):
        return ""
    return f"[{', '.join(fixed(end, decimals, sign=sign) for end in ends)}]"


def decimals_of(unit: float | None) -> int:
    """How many decimals of a metric show a difference of a quarter of a hundredth of skill.

    Args:
        unit: what a skill of 1 is worth in the metric.

    Example:
        >>> decimals_of(0.89), decimals_of(0.5), decimals_of(250.0), decimals_of(1e6)
        (3, 3, 1, 0)
    """
    if not is_number(unit) or unit <= 0:
        return 3
    return min(6, max(0, math.ceil(-math.log10(unit / 400) - 1e-9)))


def p_value(value: float | None) -> str:
    """A p value with two significant digits.

    Example:
        >>> p_value(0.0312), p_value(0.5), p_value(1e-7)
        ('0.031', '0.50', 'below 0.0001')
    """
    if not is_number(value):
        return NONE
    if value < 1e-4:
        return "below 0.0001"
    return f"{value:.{max(2, 1 - math.floor(math.log10(value)))}f}"


def count(value: float | None) -> str:
    """A whole number with commas.

    Example:
        >>> count(51234), count(None)
        ('51,234', '–')
    """
    return NONE if not is_number(value) else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds as a person reads them.

    Example:
        >>> duration(0.42), duration(75), duration(7260)
        ('0.4 s', '1 min 15 s', '2 h 01 min')
    """
    if not is_number(seconds):
        return NONE
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def energy(joules: float | None) -> str:
    """Joules, by the thousand where there are many.

    Example:
        >>> energy(810), energy(20500)
        ('810 J', '20.5 kJ')
    """
    if not is_number(joules):
        return NONE
    return f"{joules:,.0f} J" if joules < 1000 else f"{joules / 1000:,.1f} kJ"


def moment(written: str | None) -> str:
    """A time as a person reads it.

    Example:
        >>> moment("2026-11-25T15:00:41+02:00"), moment("once")
        ('2026-11-25 13:00 UTC', 'once')
    """
    try:
        return f"{datetime.fromisoformat(written or '').astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return written or NONE
