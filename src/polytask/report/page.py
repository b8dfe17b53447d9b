"""The report as one HTML file that needs nothing else."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from polytask.report.blocks import Block, Report
from polytask.report.charts import THEME


def page(report: Report) -> str:
    """The whole page."""
    template = _environment().get_template("template.html")
    return template.render(report=report, theme=THEME, css=_file("page.css"), js=_file("page.js"), vega=_vega())


def anchor(text: str) -> str:
    """A text as the end of an id: letters, digits and hyphens.

    Example:
        >>> anchor("By task: the metric")
        'by-task-the-metric'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def colours(scheme: str) -> dict[str, str]:
    """CSS variable -> colour, of the `light` or the `dark` page.

    Example:
        >>> colours("light")["paper"]
        '#ffffff'
    """
    css = files("polytask.report").joinpath("page.css").read_text(encoding="utf-8")
    block = css.split(f"/* {scheme} */")[1].split("}")[0]
    return dict(re.findall(r"--([a-z0-9]+):\s*(#[0-9a-f]{6})", block))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("polytask.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": False, "allow_nan": False}
    environment.filters["anchor"] = anchor
    environment.filters["kind"] = _kind
    return environment


def _kind(block: Block) -> str:
    """Which macro of the template draws a block."""
    return type(block).__name__.lower()


def _file(name: str) -> Markup:
    return Markup(files("polytask.report").joinpath(name).read_text(encoding="utf-8"))


@cache
def _vega() -> Any:
    """Vega, Vega-Lite and vega-embed, as one script; nothing in it may end the element it stands in."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return Markup(re.sub(r"</(script)", r"<\\/\1", bundle, flags=re.IGNORECASE))
