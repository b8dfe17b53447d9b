"""The pictures, as Vega-Lite. Their colours are the page's CSS variables: one picture serves light, dark and print."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

#: Verdict word -> (CSS variable of its colour, shape of its point): told apart without colour too.
WORDS: Mapping[str, tuple[str, str]] = {
    "helps": ("var(--helps)", "triangle-up"),
    "hurts": ("var(--hurts)", "triangle-down"),
    "practically equal": ("var(--equal)", "square"),
    "cannot tell": ("var(--unsure)", "circle"),
    "no verdict": ("var(--none)", "cross"),
}

#: Look of all charts.
THEME: Mapping[str, Any] = {
    "background": None,
    "font": "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink)",
        "gridColor": "var(--line)",
        "domainColor": "var(--soft)",
        "tickColor": "var(--soft)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "line": {"strokeWidth": 2},
}

#: Colours of lines that are told apart by them.
SERIES = tuple(f"var(--c{number})" for number in range(1, 13))


def series_style(names: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Name -> (colour, whether its line is dashed): the second six repeat no colour of the first in full."""
    return {name: (SERIES[i % 12], i % 12 >= 6) for i, name in enumerate(names)}


def forest(
    rows: Sequence[Mapping[str, Any]],
    *,
    bound: float,
    title: str = "skill, shared model minus the model for this task alone",
) -> dict[str, Any]:
    """The forest plot: a row a task, zero, the practically-equal region, both intervals.

    Args:
        rows: order, task, word, label (what stands at its right end), difference, low, high (95 %), adjusted_low,
            adjusted_high, region_low, region_high; None where undefined.
        bound: the picture ends at ± this; what is longer is cut off there.
        title: of the axis.
    """
    labels = {row["task"]: row["label"] for row in rows}
    order = alt.Y("task:N", sort=by("order"), title=None)
    bare: dict[str, Any] = {"domain": False, "ticks": False, "labelPadding": 8, "grid": False}
    left = order.axis(labelLimit=130, **bare)
    right = order.axis(orient="right", labelExpr=f"{json.dumps(labels)}[datum.label]", **bare)
    scale = alt.Scale(domain=[-bound, bound], nice=False)
    across = alt.X("low:Q", scale=scale, title=title).axis(
        labelExpr=_SIGNED, values=even_ticks(bound), labelSeparation=6
    )
    data = alt.NamedData("rows")
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="var(--soft)")
    tips = [alt.Tooltip(f"{key}:N", title=shown) for key, shown in _TIPS.items()]
    base = alt.Chart(data)
    colour = _coloured()
    band = base.mark_rect(color="var(--region)", clip=True).encode(
        y=left, x=alt.X("region_low:Q", scale=scale), x2="region_high:Q"
    )
    thin = base.mark_rule(strokeWidth=1.5, clip=True).encode(
        y=left, x=alt.X("adjusted_low:Q", scale=scale), x2="adjusted_high:Q", color=colour, tooltip=tips
    )
    thick = base.mark_rule(strokeWidth=5, strokeCap="round", clip=True).encode(
        y=left, x=across, x2="high:Q", color=colour, tooltip=tips
    )
    shape = alt.Shape("word:N", scale=alt.Scale(domain=list(WORDS), range=[s for _, s in WORDS.values()]), legend=None)
    is_none = "datum.word === 'no verdict'"  # smaller and pale: it is no result
    point = base.mark_point(filled=True, stroke="var(--paper)", strokeWidth=1, clip=True).encode(
        y=right, x=alt.X("difference:Q", scale=scale), color=colour, shape=shape, tooltip=tips,
        size=alt.condition(is_none, alt.value(50), alt.value(130)),
        opacity=alt.condition(is_none, alt.value(0.5), alt.value(1)),
    )  # fmt: skip
    layers = alt.layer(alt.layer(band, zero.encode(x=alt.X("zero:Q", scale=scale)), thin, thick), point)
    return finished(layers.resolve_axis(y="independent"), height=30 * len(rows))


_TIPS = {"task": "task", "word": "verdict", "text": "difference", "interval": "95 %", "adjusted": "adjusted"}


def even_ticks(bound: float) -> list[float]:
    """Zero and at most two round differences on either side: on a narrow screen every other one goes, never zero.

    Example:
        >>> even_ticks(0.068), even_ticks(0.021)
        ([-0.05, -0.025, 0.0, 0.025, 0.05], [-0.02, -0.01, 0.0, 0.01, 0.02])
    """
    power = math.floor(math.log10(bound))
    steps = [factor * 10.0 ** (power + more) for more in (-1, 0) for factor in (1, 2, 2.5, 5)]
    step = next(step for step in steps if bound / step < 3)
    most = math.floor(bound / step)
    return [float(f"{number * step:.6g}") for number in range(-most, most + 1)]


#: Labels of the axis: a sign but for zero.
_SIGNED = "abs(datum.value) < 1e-9 ? '0' : format(datum.value, '+.4~f')"


def by(field: str) -> alt.EncodingSortField:
    """The order of a column: a list of names would become an expression, which not every name may stand in."""
    return alt.EncodingSortField(field=field, op="min", order="ascending")


def _coloured() -> alt.Color:
    scale = alt.Scale(domain=list(WORDS), range=[colour for colour, _ in WORDS.values()])
    return alt.Color("word:N", scale=scale, legend=None)


def lines(
    style: Mapping[str, tuple[str, bool]],
    *,
    title: str,
    is_banded: bool = False,
    strong: Sequence[str] = (),
    epochs: tuple[int, int],
    log: tuple[float, float] | None = None,
    height: int = 190,
) -> dict[str, Any]:
    """Curves over epochs, one for each `name`.

    Args:
        style: name -> (colour, whether dashed).
        title: of the vertical axis.
        is_banded: series that have `low` and `high` get a band from one to the other.
        strong: names of the lines that matter most; the others are thinner.
        epochs: the first and the last that is shown, where the horizontal axis begins and ends.
        log: least and largest value, both above 0, where the vertical axis is to be logarithmic.
        height: in pixels.
    """
    names = list(style)
    data = alt.Chart(alt.NamedData("rows"))
    colour = alt.Color(
        "name:N", scale=alt.Scale(domain=names, range=[colour for colour, _ in style.values()]), legend=None
    )
    dash = alt.StrokeDash(
        "name:N", scale=alt.Scale(domain=names, range=[[5, 3] if dashed else [1, 0] for _, dashed in style.values()])
    ).legend(None)
    width = alt.StrokeWidth(
        "name:O", scale=alt.Scale(domain=names, range=[2.5 if name in strong else 1.4 for name in names]), legend=None
    )
    scale = alt.Scale(domain=list(epochs), zero=False, nice=False)
    epoch = alt.X("epoch:Q", title="epoch", scale=scale).axis(values=epoch_ticks(*epochs), format="d", grid=False)
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False)
    vertical = alt.Y("mean:Q", title=title, scale=scale)
    vertical = vertical.axis(values=log_ticks(*log), format="~g") if log else vertical.axis(tickCount=5)
    tips = [
        alt.Tooltip("name:N", title="of"), "epoch:Q", alt.Tooltip("mean:Q", format=".3~r" if log else ".3f"),
    ]  # fmt: skip
    line = data.mark_line().encode(x=epoch, y=vertical, color=colour, strokeDash=dash, strokeWidth=width)
    hover = data.mark_point(size=60, opacity=0, filled=True).encode(x=epoch, y=vertical, tooltip=tips, color=colour)
    layers = [line, hover]
    if is_banded:
        band = data.transform_filter("isValid(datum.low)")
        layers.insert(0, band.mark_area(opacity=0.16).encode(
            x=epoch, y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q", color=colour
        ))  # fmt: skip
    return finished(alt.layer(*layers), height=height)


def epoch_ticks(first: int, last: int) -> list[int]:
    """Round epochs between the first and the last that is shown, and these two.

    Example:
        >>> epoch_ticks(1, 29), epoch_ticks(1, 3), epoch_ticks(1, 100), epoch_ticks(7, 7)
        ([1, 5, 10, 15, 20, 25, 29], [1, 2, 3], [1, 20, 40, 60, 80, 100], [7])
    """
    steps = (factor * 10**power for power in range(9) for factor in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step <= 6)
    round_ones = range(step * (first // step + 1), last, step)
    inner = [tick for tick in round_ones if min(tick - first, last - tick) > step / 3]
    return [*dict.fromkeys((first, *inner, last))]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from one value to the other, and between them 2 and 5 where there is room.

    Example:
        >>> log_ticks(0.3, 160), log_ticks(0.01, 2000)
        ([0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0], [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 1000 else (1,)
    ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def heatmap(names: Sequence[str]) -> dict[str, Any]:
    """A square of cosines: colour by sign, its strength by size, the number in each cell."""
    across = alt.X("first:N", sort=by("column"), title=None).axis(
        labelAngle=-35, labelLimit=110, orient="bottom", domain=False, ticks=False
    )
    down = alt.Y("second:N", sort=by("row"), title=None).axis(labelLimit=110, domain=False, ticks=False)
    base = alt.Chart(alt.NamedData("rows")).encode(x=across, y=down)
    positive = alt.condition("datum.cosine >= 0", alt.value("var(--helps)"), alt.value("var(--hurts)"))
    tips = ["first:N", "second:N", alt.Tooltip("text:N", title="cosine")]
    cells = base.mark_rect(stroke="var(--paper)", strokeWidth=2).encode(
        color=positive,
        opacity=alt.Opacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0.06, 0.55]), legend=None),
        tooltip=tips,
    )
    layers = [cells]
    if len(names) <= 8:
        layers.append(base.mark_text(color="var(--ink)", fontSize=12).encode(text="text:N"))
    return finished(alt.layer(*layers), height=34 * len(names))


def bars(title: str, length: int) -> dict[str, Any]:
    """So many bars, one for each `name`, to the left or to the right of zero."""
    positive = alt.condition("datum.cosine >= 0", alt.value("var(--helps)"), alt.value("var(--hurts)"))
    chart = alt.Chart(alt.NamedData("rows")).mark_bar(height=12).encode(
        x=alt.X("cosine:Q", title=title, scale=alt.Scale(domain=[-1, 1])),
        y=alt.Y("name:N", sort=None, title=None).axis(labelLimit=200, domain=False, ticks=False),
        color=positive,
        tooltip=["name:N", alt.Tooltip("text:N", title="cosine")],
    )  # fmt: skip
    return finished(chart, height=22 * length)


def finished(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: Any) -> dict[str, Any]:
    """The chart as the page draws it: as wide as its place, in the page's look, with the page's data."""
    spec = chart.properties(
        width=400, height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    ).to_dict()
    spec.pop("config", None)  # the page's THEME stands in its place
    spec.pop("datasets", None)
    return spec
