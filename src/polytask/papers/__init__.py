"""Who published what: BibTeX of every paper that something in polytask comes from.

A class names its paper by key (`paper = "yu2020"`); a Run writes the entries of all that it used. The tables are
by topic, their keys in alphabetical order.
"""

from collections.abc import Iterable

from polytask.errors import nearest
from polytask.papers import (
    augmentation,
    balancers_from_gramian,
    balancers_from_jacobian,
    balancers_from_losses,
    balancers_from_probes,
    features,
    few_labels,
    models,
    sharing_conditioning,
    sharing_mixing,
    sharing_mixtures,
    sharing_order,
    statistics,
)
from polytask.papers.reference import Reference

__all__ = ["PAPERS", "TABLES", "Reference", "bibtex", "reference"]

TABLES = (
    balancers_from_losses,
    balancers_from_gramian,
    balancers_from_jacobian,
    balancers_from_probes,
    features,
    models,
    augmentation,
    few_labels,
    sharing_mixtures,
    sharing_mixing,
    sharing_conditioning,
    sharing_order,
    statistics,
)

#: Key -> BibTeX entry.
PAPERS: dict[str, str] = dict(sorted((key, entry) for table in TABLES for key, entry in table.PAPERS.items()))


def bibtex(keys: Iterable[str]) -> str:
    """The BibTeX entries of these papers, each once, in the order they are first named.

    Raises:
        ValueError: a key that is not in `PAPERS`; names the nearest.

    Example:
        >>> print(bibtex(["caruana1997"]).splitlines()[0])
        @article{caruana1997,
    """
    entries: dict[str, str] = {}
    for key in keys:
        if key not in PAPERS:
            raise ValueError(f"unknown paper {key!r}; {nearest(key, PAPERS)}")
        entries[key] = PAPERS[key]
    return "".join(entry + "\n" for entry in entries.values())


def reference(key: str) -> Reference:
    """The paper of this key, as people read it.

    Raises:
        ValueError: a key that is not in `PAPERS`; names the nearest.

    Example:
        >>> reference("liubo2023").title
        'FAMO: Fast Adaptive Multitask Optimization'
    """
    if key not in PAPERS:
        raise ValueError(f"unknown paper {key!r}; {nearest(key, PAPERS)}")
    return Reference.read(PAPERS[key])
