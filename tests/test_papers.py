"""The papers: keys, braces, and every key that a class names."""

import re

import pytest

from polytask.balance import BALANCERS
from polytask.data import AUGMENTATIONS, FEATURES
from polytask.encoders import ENCODERS
from polytask.papers import PAPERS, TABLES, bibtex
from polytask.regularizers import REGULARIZERS
from polytask.sharing import SHARINGS
from polytask.tasks import TASKS
from polytask.train import OPTIMIZERS


@pytest.mark.parametrize("key", PAPERS)
def test_entries_are_whole(key: str) -> None:
    entry = PAPERS[key]
    assert re.match(r"@(article|inproceedings)\{" + key + ",\n", entry)
    assert entry.count("{") == entry.count("}")
    for field in ("author", "title", "year"):
        assert re.search(rf"^  {field} +=", entry, re.MULTILINE)
    assert f"{{{key[-4:]}}}" in entry, "the key ends in the year"


def test_every_key_is_in_one_table_in_alphabetical_order() -> None:
    assert sum(len(table.PAPERS) for table in TABLES) == len(PAPERS)
    for table in TABLES:
        assert list(table.PAPERS) == sorted(table.PAPERS), table.__name__


def test_each_entry_once_in_the_order_named() -> None:
    text = bibtex(["yu2020", "caruana1997", "yu2020"])
    assert re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE) == ["yu2020", "caruana1997"]
    assert bibtex([]) == ""


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown paper 'yu2021'; did you mean 'yu2020'"):
        bibtex(["yu2021"])


@pytest.mark.parametrize(
    "cls",
    [
        c
        for cat in (BALANCERS, ENCODERS, FEATURES, SHARINGS, REGULARIZERS, TASKS, OPTIMIZERS, AUGMENTATIONS)
        for c in cat.values()
    ],
)
def test_every_paper_that_a_class_names_is_known(cls: type) -> None:
    key = getattr(cls, "paper", None)
    assert key is None or key in bibtex([key])
