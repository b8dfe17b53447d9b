"""Every name a user can choose, with what it is, what it costs and where it was published."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from polytask import papers
from polytask.balance import BALANCERS, Balancer, Smooth
from polytask.config import settings_of
from polytask.data import AUGMENTATIONS, FEATURES
from polytask.encoders import ENCODERS
from polytask.errors import ConfigError, nearest
from polytask.papers import Reference
from polytask.regularizers import REGULARIZERS
from polytask.sharing import SHARINGS
from polytask.tasks import TASKS
from polytask.train import AGENDAS, OPTIMIZERS

#: The catalogues by the word a user types.
CATALOGUES: Mapping[str, Mapping[str, type[Any]]] = {
    "tasks": TASKS,
    "features": FEATURES,
    "encoders": ENCODERS,
    "sharings": SHARINGS,
    "regularizers": REGULARIZERS,
    "balancers": BALANCERS,
    "agendas": AGENDAS,
    "optimizers": OPTIMIZERS,
    "augmentations": AUGMENTATIONS,
}


#: Of a balancer around another: what depends on that one.
AS_OTHER = "as the other"


@dataclass(frozen=True)
class Traits:
    """What is true of a balancer, or of an optimiser in its place.

    Attributes:
        use_when: when to use it, in a line.
        cost: a training step over the same step with `sum`, as measured (docs/methods.md says on what); None where it
            was not.
        extra_passes: what a step takes beyond one forward and one backward pass, for T tasks at level "exact".
        scales: "losses", heads included, or "gradients", of shared parameters only; `AS_OTHER` around another.
        weights_like: the weights of T tasks that are alike are those of a "sum", a "mean" or "neither"; or `AS_OTHER`.
        levels: of the gradient engine that it admits.
        every: whether weights can be kept for some steps: "yes", "no", "no effect" where no gradients are read, or
            `AS_OTHER`.
        is_impartial: whether all tasks count alike unless a setting says otherwise.
        reference: its paper; None where there is none.
    """

    use_when: str
    cost: float | None
    extra_passes: str
    scales: str
    weights_like: str
    levels: tuple[str, ...]
    every: str
    is_impartial: bool
    reference: Reference | None


@dataclass(frozen=True)
class SharingTraits:
    """What is true of a sharing scheme.

    Attributes:
        use_when: when to use it, in a line.
        cost: a training step over the same step with `hard`, as measured (docs/methods.md says on what); None where it
            was not.
        parameters: of the model over those with `hard`, likewise.
        reference: its paper; None where there is none.
    """

    use_when: str
    cost: float | None
    parameters: float | None
    reference: Reference | None


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
        traits: of a balancer or an optimiser in its place, or of a sharing scheme; None for all else.
    """

    name: str
    summary: str
    reads: tuple[str, ...]
    paper: str | None
    settings: tuple[str, ...]
    traits: Traits | SharingTraits | None


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
        balances = catalogue in ("balancers", "optimizers") and hasattr(cls, "reads")
        traits = _sharing_traits(name, cls) if catalogue == "sharings" else None
        found.append(
            Entry(
                name=name,
                summary=first,
                reads=tuple(sorted(cls.reads)) if balances else (),
                paper=getattr(cls, "paper", None) if is_ours else None,
                settings=tuple(settings_of(cls)) if is_ours else (),
                traits=_traits(name, cls) if balances else traits,
            )
        )
    return found


@cache
def costs() -> dict[str, float]:
    """Catalogue name -> a training step over the same step with `sum`, as the benchmark measured it."""
    text = files("polytask.balance").joinpath("costs.json").read_text(encoding="utf-8")
    return {name: float(cost) for name, cost in json.loads(text).items()}


@cache
def sharing_costs() -> dict[str, dict[str, float]]:
    """Catalogue name -> "time" of a training step and "parameters" over those of `hard`, as the benchmark measured."""
    text = files("polytask.sharing").joinpath("costs.json").read_text(encoding="utf-8")
    return {name: {key: float(cost) for key, cost in found.items()} for name, found in json.loads(text).items()}


def _sharing_traits(name: str, cls: type[Any]) -> SharingTraits:
    measured = sharing_costs().get(name, {})
    paper = getattr(cls, "paper", None) if cls.__module__.startswith("polytask.") else None
    return SharingTraits(
        use_when=getattr(cls, "use_when", ""),
        cost=measured.get("time"),
        parameters=measured.get("parameters"),
        reference=papers.reference(paper) if paper else None,
    )


def _traits(name: str, cls: type[Any]) -> Traits:
    is_balancer, is_as_other = issubclass(cls, Balancer), cls is Smooth
    return Traits(
        use_when=getattr(cls, "use_when", ""),
        cost=costs().get(name),
        extra_passes=_extra_passes(cls),
        scales=AS_OTHER if is_as_other else getattr(cls, "scales", "gradients"),
        weights_like=AS_OTHER if is_as_other else getattr(cls, "weights_like", "neither"),
        levels=tuple(sorted(cls.levels)) if is_balancer else ("exact",),
        every=AS_OTHER if is_as_other else _every(cls),
        is_impartial=getattr(cls, "is_impartial", True),
        reference=papers.reference(cls.paper) if cls.paper else None,
    )


def _extra_passes(cls: type[Any]) -> str:
    """Beyond one forward and one backward pass; what a class says of itself, else what it reads tells."""
    if hasattr(cls, "extra_passes"):
        return str(cls.extra_passes)
    if not cls.reads & {"gramian", "jacobian"}:
        return "none"
    return "T backward" if getattr(cls, "scales", "gradients") == "losses" else "T − 1 backward"


def _every(cls: type[Any]) -> str:
    if "jacobian" in cls.reads:
        return "no"
    return "yes" if "gramian" in cls.reads else "no effect"


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
