"""The report as Markdown: the same words and numbers as the page, its charts in words."""

import re

from polytask.report.blocks import Block, Bullets, Chart, Code, Diagram, Folded, Gallery, Paragraph, Report, Table

#: The first line, by which a file is known as one that may be written over.
MARK = "<!-- written by polytask.report -->"


def markdown(report: Report) -> str:
    """The whole file."""
    parts = [MARK, f"# {plain(report.title)}", f"**{plain(report.lead)}**", plain(report.facts)]
    for section in report.sections:
        parts.append(f"## {plain(section.title)}")
        parts += [text for block in section.blocks if (text := _block(block))]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    r"""A text of which nothing is read as markup, on one line.

    Example:
        >>> print(plain("a_b <b>|"))
        a\_b &lt;b>\|
    """
    kept = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", " ".join(text.split()))
    return kept.replace("&", "&amp;").replace("<", "&lt;")


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return plain(block.text)
        case Bullets():
            return "\n".join(f"- {f'**{plain(word)}**: ' if word else ''}{plain(text)}" for word, text in block.items)
        case Table():
            return _table(block)
        case Code():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
            return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"
        case Chart():
            title = f"{plain(block.title)}: " if block.title else ""
            return f"*{title}{plain(block.description)} {plain(block.caption)}".rstrip() + "*"
        case Gallery():
            parts = [_block(chart) for chart in block.charts]
            return "\n\n".join([*parts, plain(block.caption)] if block.caption else parts)
        case Diagram():
            said = f"*{plain(block.description)} {plain(block.caption)}".rstrip() + "*"
            return f"{said}\n\n{_block(Code(block.source, 'mermaid'))}"
        case Folded():
            parts = [f"### {plain(block.summary)}", *map(_block, block.blocks)]
            return "\n\n".join(part for part in parts if part)


def _table(table: Table) -> str:
    lines = [
        "| " + " | ".join(plain(heading) for heading in table.headings) + " |",
        "| " + " | ".join("--:" if i in table.numeric else "---" for i in range(len(table.headings))) + " |",
    ]
    for row in table.rows:
        cells = [plain(f"{cell.text} {cell.note}") for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return f"{plain(table.caption)}:\n\n" + "\n".join(lines)
