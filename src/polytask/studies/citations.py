"""Whom a study cites."""

import re
from collections.abc import Sequence

from polytask import papers
from polytask.runs import RunFolder
from polytask.studies.conduct import Conducted


def citations(folder: RunFolder, conducted: Conducted, num_splits: int) -> str:
    """Of all Runs, each entry once, and of the statistics."""
    texts: Sequence[str] = [
        (folder / job.folder / "citations.bib").read_text(encoding="utf-8")
        for job in conducted.main
        if job.folder not in conducted.crashed
    ]
    statistics = ["howe1974", "holm1979"] if num_splits == 1 else ["nadeau2003", "holm1979"]
    entries = [entry for text in (*texts, papers.bibtex(statistics)) for entry in re.split(r"(?m)^(?=@)", text)]
    return "".join(dict.fromkeys(entries))
