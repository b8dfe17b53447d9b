"""What a report is made of: plain values that the page and the Markdown file are both written from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: as it is read.
        value: what it is sorted by; None: the text.
        note: smaller, beside or below it: an interval.
    """

    text: str
    value: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        caption: what it shows.
        headings: of the columns; the first column names the row.
        rows: cells, as many as headings.
        numeric: positions of the columns that hold numbers.
        wide: positions of the columns that hold sentences or lists: they need room, if the table has to scroll for it.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()
    wide: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of plain text; `kind` is a class of the page's style sheet."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Bullets:
    """A list of sentences, each with a word in front ("" for none).

    Attributes:
        items: (word, sentence).
        kind: a class of the page's style sheet.
        label: what the list is, for those who cannot see where it stands.
    """

    items: tuple[tuple[str, str], ...]
    kind: str = ""
    label: str = ""


@dataclass(frozen=True)
class Code:
    """Text that is shown as it is: YAML, BibTeX."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Chart:
    """A picture, with what it says in words.

    Attributes:
        spec: Vega-Lite, its data named `rows`; colours may be the page's CSS variables.
        series: the data: each with `keys` (the same in all of its rows) and `columns` (lists of one length).
        caption: below it.
        description: what a reader sees in it, for those who cannot.
        title: above it, where several stand together.
    """

    spec: Mapping[str, Any]
    series: tuple[Mapping[str, Any], ...]
    caption: str
    description: str
    title: str = ""


@dataclass(frozen=True)
class Gallery:
    """Charts side by side, under one legend.

    Attributes:
        charts: in order.
        legend: (name, CSS colour, whether its line is dashed).
        caption: for all of them.
    """

    charts: tuple[Chart, ...]
    legend: tuple[tuple[str, str, bool], ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Box:
    """A part of a diagram.

    Attributes:
        x: of its left upper corner, in pixels; `y` too.
        label: what it is called, in a word.
        facts: below that, smaller.
        title: all of it, for those who point at it.
        colour: CSS, of what one alone has; "" for what several share.
        dots: CSS colours of those who share it.
        is_round: it is an end, not a part between.
        is_pale: nobody has it.
    """

    x: int
    y: int
    label: str
    facts: str
    title: str
    colour: str = ""
    dots: tuple[str, ...] = ()
    is_round: bool = False
    is_pale: bool = False


@dataclass(frozen=True)
class Diagram:
    """Boxes, and lines from one to the other.

    Attributes:
        size: width and height in pixels.
        box: width and height of every box.
        boxes: in order.
        lines: (SVG path, CSS colour).
        legend: as in a `Gallery`.
        caption: below it.
        description: what a reader sees in it, for those who cannot.
        source: the same as a Mermaid flowchart.
    """

    size: tuple[int, int]
    box: tuple[int, int]
    boxes: tuple[Box, ...]
    lines: tuple[tuple[str, str], ...]
    legend: tuple[tuple[str, str, bool], ...]
    caption: str
    description: str
    source: str


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when their summary is opened, and always in print."""

    summary: str
    blocks: tuple["Block", ...]


Block = Table | Paragraph | Bullets | Code | Chart | Gallery | Diagram | Folded


@dataclass(frozen=True)
class Section:
    """A part of the report under one heading; `name` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """All of it.

    Attributes:
        title: of the page.
        lead: what came out, in a sentence.
        facts: one line of what it was made with.
        sections: in order.
        results: what `results.json` says.
    """

    title: str
    lead: str
    facts: str
    sections: tuple[Section, ...]
    results: Mapping[str, Any]
