"""Every name a user can choose, with what it is and where it was published."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polytask import papers
from polytask.balance import BALANCERS
from polytask.config import settings_of
from polytask.encoders import ENCODERS
from polytask.errors import ConfigError, nearest
from polytask.sharing import SHARINGS
from polytask.tasks import TASKS
from polytask.train import AGENDAS, OPTIMIZERS

#: The catalogues by the word a user types.
CATALOGUES: Mapping[str, Mapping[str, type[Any]]] = {
    "tasks": TASKS,
    "encoders": ENCODERS,
    "sharings": SHARINGS,
    "balancers": BALANCERS,
    "agendas": AGENDAS,
    "optimizers": OPTIMIZERS,
}


@dataclass(frozen=True)
class Entry:
    """One line of a catalogue.

    Attributes:
        name: as YAML and the command line write it.
        summary: the first sentence of its documentation.
        reads: what a balancer (or an optimiser in its place) sees of the tasks, which is its cost class; empty for all
            else.
        paper: key of its publication; None where there is none.
        settings: names of its settings.
    """

    name: str
    summary: str
    reads: tuple[str, ...]
    paper: str | None
    settings: tuple[str, ...]


def entries(catalogue: str) -> list[Entry]:
    """One line for every member of a catalogue.

    Raises:
        ConfigError: there is no such catalogue; names the nearest.
    """
    if catalogue not in CATALOGUES:
        raise ConfigError(f"there is no catalogue {catalogue!r}; {nearest(catalogue, CATALOGUES)}")
    found = []
    for name, cls in CATALOGUES[catalogue].items():
        is_ours = cls.__module__.startswith("polytask.")
        paragraph = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
        first = paragraph.split(". ")[0].removesuffix(".") if is_ours else f"torch.optim.{cls.__name__}"
        found.append(
            Entry(
                name=name,
                summary=first,
                reads=tuple(sorted(getattr(cls, "reads", ()))) if catalogue in ("balancers", "optimizers") else (),
                paper=getattr(cls, "paper", None) if is_ours else None,
                settings=tuple(settings_of(cls)) if is_ours else (),
            )
        )
    return found


def cite(name: str) -> str:
    """The BibTeX of one method, by its catalogue name.

    Raises:
        ConfigError: no such name, or nothing published stands behind it.

    Example:
        >>> print(cite("pcgrad"))  # doctest: +ELLIPSIS
        @inproceedings{...
    """
    for catalogue in CATALOGUES.values():
        if name in catalogue:
            key = getattr(catalogue[name], "paper", None)
            if key is None:
                raise ConfigError(f"{name} is not from a paper; there is nothing to cite")
            return papers.bibtex([key])
    raise ConfigError(f"there is no method {name!r}; {nearest(name, [n for c in CATALOGUES.values() for n in c])}")
