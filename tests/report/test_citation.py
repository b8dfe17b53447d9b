"""The BibTeX of polytask says what CITATION.cff says."""

from pathlib import Path

import yaml

from polytask.report.record import CITATION


def test_the_bibtex_is_that_of_the_citation_file():
    file = yaml.safe_load((Path(__file__).resolve().parents[2] / "CITATION.cff").read_text())
    assert f"title   = {{{{{file['title']}}}}}" in CITATION
    assert f"version = {{{file['version']}}}" in CITATION
    assert f"license = {{{file['license']}}}" in CITATION
    assert f"author  = {{{{{file['authors'][0]['name']}}}}}" in CITATION
