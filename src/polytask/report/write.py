"""Writing the report: the page, the same as Markdown, and the numbers."""

import json
from pathlib import Path

from polytask.errors import RunError
from polytask.report.contents import report_of
from polytask.report.markdown import MARK, markdown
from polytask.report.page import page
from polytask.report.source import Recorded, open_source
from polytask.runs import RunFolder, explained, finite, json_bytes


def report(source: str | Path | Recorded, path: str | Path = "report.html") -> Path:
    """Writes the report of a study or a Run: one page that works offline, the same as Markdown, and results.json.

    A study's page begins with its verdict. The Markdown file has the page's name with the ending `.md`; it and
    `results.json` stand beside the page. In the study's own folder that is the study's own file, which is left alone.

    Args:
        source: a Run, a study, or the folder of either.
        path: of the page, ending in `.html`.

    Returns:
        Where the page is.

    Raises:
        RunError: the folder is neither, is unfinished or damaged; the files cannot be written, or would overwrite
            what is no report.
    """
    page_path = Path(path)
    if page_path.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"{page_path}: a report is a page, so its name ends in .html: {page_path.with_suffix('.html')}")
    if page_path.parent.is_file():
        raise RunError(f"{page_path.parent} is a file; a report needs a folder: choose another name")
    text_path, results_path = page_path.with_suffix(".md"), page_path.with_name("results.json")
    opened = open_source(source)
    with explained(page_path.parent):
        _check(text_path, is_ours=text_path.is_file() and text_path.read_text("utf-8", "replace").startswith(MARK))
        own = opened.path / "results.json"
        is_own = opened.results["kind"] == "study" and results_path.exists() and results_path.samefile(own)
        _check(results_path, is_ours=is_own or _holds_results(results_path))
    found = report_of(opened)
    files = {page_path.name: page(found), text_path.name: markdown(found)}
    folder = RunFolder(page_path.parent)
    for name, content in files.items():
        folder.write(name, content)
    if not is_own:
        folder.write("results.json", json_bytes(finite(found.results)))
    return page_path


def _check(path: Path, *, is_ours: bool) -> None:
    if path.exists() and not is_ours:
        raise RunError(f"{path} is there and was not written by a report; give the report another folder")


def _holds_results(path: Path) -> bool:
    """Whether this is a report's results.json: one of polytask's kinds, and no study beside it whose own it is."""
    if not path.is_file() or (path.parent / "study.json").exists():
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("kind") in ("study", "run") and "polytask" in found
