"""Draws the README's picture from a study: python docs/picture.py STUDY_FOLDER docs/verdict.png"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import vl_convert

from polytask.report.charts import THEME
from polytask.report.page import colours
from polytask.report.source import open_source
from polytask.report.verdict import forest_chart

#: In pixels of the picture: it is drawn at half of this and scaled by 2, so that its text is as large as a page's.
WIDTH = 1200


def picture(results: Mapping[str, Any]) -> bytes:
    """The forest plot of a study as a PNG with the light page's colours on an opaque background."""
    chart = forest_chart(results, has_numbers=True)
    (series,) = chart.series
    names = list(series["columns"])
    rows = [dict(zip(names, values, strict=True)) for values in zip(*series["columns"].values(), strict=True)]
    light = colours("light")
    spec = json.dumps({**chart.spec, "datasets": {"rows": rows}, "width": WIDTH // 2, "padding": 16})
    theme = json.dumps({**THEME, "background": light["paper"], "font": "Liberation Sans"})
    for name, colour in light.items():
        spec, theme = (text.replace(f"var(--{name})", colour) for text in (spec, theme))
    title = {"text": results["title"] or "Does sharing help?", "subtitle": wrap(results["verdict"]["headline"], 88)}
    look = {"anchor": "start", "offset": 14, "fontSize": 17, "color": light["ink"], "subtitleColor": light["soft"]}
    drawn = {**json.loads(spec), "title": {**title, **look, "subtitleFontSize": 13, "subtitlePadding": 6}}
    return vl_convert.vegalite_to_png(drawn, config=json.loads(theme), scale=2.0)


def main() -> None:
    """Reads the study, writes the picture."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} STUDY_FOLDER PICTURE.png")
    Path(sys.argv[2]).write_bytes(picture(open_source(sys.argv[1]).results))


if __name__ == "__main__":
    main()
