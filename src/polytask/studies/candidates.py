"""Candidates: named overrides of one Experiment, merged, and checked to be comparable."""

from collections.abc import Mapping, Sequence
from typing import Any

from polytask.balance import BALANCERS, Balancer
from polytask.config import Choice, Source, as_choice, name_of, plain, written
from polytask.errors import ConfigError, nearest
from polytask.experiment import CATALOGUES, Experiment, first_difference
from polytask.model import read_regularizers
from polytask.regularizers import REGULARIZERS
from polytask.studies.names import slug

#: Keys of an experiment's data that candidates have in common: they say which rows there are, and which of them judge.
COMMON = ("path", "split", "kinds", "format", "columns", "merge", "on_contradiction", "windows", "by", "fewest_rows")
#: What an override may change, or is told that it may not.
KEYS = ("data", "tasks", "encoder", "sharing", "regularizers", "balancer", "gradients", "agenda", "train", "seed")


def read_candidates(
    experiment: Experiment, candidates: Any = None, source: Source = Source()
) -> dict[str, tuple[Experiment, dict[str, Any]]]:
    """Every candidate's experiment and what it overrides, by its name.

    Args:
        experiment: what the overrides are merged into.
        candidates: see `StudySettings`; None: the experiment itself.
        source: where they are written, for errors.

    Raises:
        ConfigError: no candidate, two that are the same or of one name, an unknown setting, other tasks or splits.
    """
    found: dict[str, tuple[Experiment, dict[str, Any]]] = {}
    for given, overrides in _listed(candidates, experiment):
        changed = {"balancer": overrides} if _is_balancer(overrides) else overrides
        if not isinstance(changed, Mapping):
            raise ConfigError(
                f"study.candidates: a balancer's name or overrides ({{sharing: hard}}) are wanted, got {overrides!r}"
            )
        _check_keys(changed)
        name = given or name_of_overrides(changed, experiment)
        if name in found:
            raise ConfigError(f"study.candidates: two are called {name!r}; name them: {{first: …, second: …}}")
        found[name] = (_merged(experiment, changed, name, source), _written(changed, name))
    if not found:
        raise ConfigError("study.candidates is empty; name a candidate, or leave it out to judge the experiment itself")
    _check_different(found)
    return found


def name_of_overrides(overrides: Mapping[str, Any], experiment: Experiment) -> str:
    """What an unnamed candidate is called: by what it overrides.

    Example:
        >>> from polytask.tasks import Regression
        >>> name_of_overrides({"sharing": {"hard": {"split": 1}}}, Experiment(tasks=(Regression("price"),)))
        'sharing=hard(split=1)'
    """
    if not overrides:
        return name_of(experiment.balancer, BALANCERS, "balancer")
    if set(overrides) == {"balancer"}:
        return _choice_text(as_choice(overrides["balancer"], BALANCERS, "balancer"), BALANCERS, "balancer")
    parts = []
    for key, value in overrides.items():
        if key in CATALOGUES:
            parts.append(f"{key}={_choice_text(as_choice(value, CATALOGUES[key], key), CATALOGUES[key], key)}")
        elif key == "regularizers" and value is not None:
            texts = [_choice_text(choice, REGULARIZERS, "regularizer") for choice in read_regularizers(value)]
            parts.append(f"{key}={' + '.join(texts) or 'none'}")
        elif isinstance(value, Mapping):
            parts += [f"{inner}={item}" for inner, item in value.items()]
        else:
            parts.append(f"{key}={value}")
    return ", ".join(parts)


def _check_keys(overrides: Mapping[str, Any]) -> None:
    """Answers a misspelt balancer, and a name of another catalogue in a balancer's place."""
    for key in overrides:
        hint = nearest(str(key), BALANCERS)
        if key not in KEYS and len(overrides) == 1 and hint.startswith("did"):
            raise ConfigError(f"study.candidates: {key!r} is no balancer and no section of an experiment; {hint}")
    chosen = overrides.get("balancer")
    for what in ("sharing", "encoder", "agenda"):
        if isinstance(chosen, str) and chosen not in BALANCERS and chosen in CATALOGUES[what]:
            raise ConfigError(
                f"study.candidates: {chosen!r} is no balancer, but one for {what}: write {{{what}: {chosen}}}"
            )


def _listed(candidates: Any, experiment: Experiment) -> list[tuple[str | None, Any]]:
    if candidates is None:
        return [(None, {})]
    if isinstance(candidates, Mapping):
        for name in candidates:
            if not isinstance(name, str) or not name.strip():
                raise ConfigError(f"study.candidates: a name is text, got {name!r}")
        return [*candidates.items()]
    if isinstance(candidates, str) or not isinstance(candidates, Sequence):
        return [(None, candidates)]
    return [(None, one) for one in candidates]


def _is_balancer(overrides: Any) -> bool:
    """A name, a choice, a class; or one balancer with its settings, as YAML writes it: `cagrad: {c: 0.4}`."""
    if isinstance(overrides, Mapping):
        return len(overrides) == 1 and next(iter(overrides)) in BALANCERS
    return isinstance(overrides, str | Choice) or (isinstance(overrides, type) and issubclass(overrides, Balancer))


def _merged(experiment: Experiment, overrides: Mapping[str, Any], name: str, source: Source) -> Experiment:
    if "seed" in overrides:
        raise ConfigError(f"candidate {name!r}: a seed is not its own to choose; the study's seeds serve all alike")
    merged = _merge(experiment.written(), _written(overrides, name))
    place = Source(f"candidate {name!r}" + (f" ({source.name})" if source.name else ""))
    found = Experiment.read(merged, place)
    _check_comparable(experiment, found, name)
    return found


def _written(overrides: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Overrides with every choice as plain values."""
    found = {}
    for key, value in overrides.items():
        if key in CATALOGUES and not isinstance(value, str | Mapping):
            choice = as_choice(value, CATALOGUES[key], f"candidate {name!r}: {key}")
            value = {name_of(choice, CATALOGUES[key], key): plain(choice.settings)}
        elif key == "regularizers" and value is not None:
            chosen = read_regularizers(value, Source(f"candidate {name!r}"))
            value = [written(choice, REGULARIZERS, "regularizer") for choice in chosen]
        found[key] = value
    return found


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Sections key by key; a choice keeps the settings it had only where the same name is chosen again with more."""
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        is_choice = key in CATALOGUES
        if is_choice and isinstance(value, Mapping) and isinstance(before, Mapping) and set(value) == set(before):
            merged[key] = {n: {**(before[n] or {}), **(settings or {})} for n, settings in value.items()}
        elif not is_choice and isinstance(value, Mapping) and isinstance(before, Mapping):
            merged[key] = _merge(before, value)
        else:
            merged[key] = value
    return merged


def _check_comparable(base: Experiment, candidate: Experiment, name: str) -> None:
    def judged(experiment: Experiment) -> dict[str, Any]:
        return {
            task.name: {
                "kind": task.kind,
                "columns": list(task.columns),
                "primary": task.primary,
                "order": getattr(task, "order", None),
            }
            for task in experiment.tasks
        }

    before, now = judged(base), judged(candidate)
    if before != now:
        key, old, new = first_difference(before, now) or ("", None, None)
        what = f"{key} is {old!r} for the study and {new!r} for it" if "." in key else f"{key!r} is only its own"
        raise ConfigError(
            f"candidate {name!r} is of other tasks: {what}; a verdict compares models of the same tasks, columns and "
            "metrics"
        )
    for setting in COMMON:
        if getattr(base.data, setting) != getattr(candidate.data, setting):
            raise ConfigError(
                f"candidate {name!r}: data.{setting} differs from the study's; all are trained and judged on the same "
                "rows: set it for the whole study"
            )


def _check_different(found: Mapping[str, tuple[Experiment, Any]]) -> None:
    names = list(found)
    for k, name in enumerate(names):
        for other in names[:k]:
            if found[name][0] == found[other][0]:
                raise ConfigError(f"candidates {other!r} and {name!r} are the same; take one out, or change a setting")
            if slug(name) == slug(other):
                raise ConfigError(f"candidates {other!r} and {name!r} would share a folder; rename one")


def _choice_text(choice: Choice[Any], catalogue: Mapping[str, type[Any]], what: str) -> str:
    name = name_of(choice, catalogue, what)
    inner = {k: _choice_text(v, catalogue, what) if isinstance(v, Choice) else v for k, v in choice.settings.items()}
    settings = ", ".join(f"{key}={item}" for key, item in inner.items())
    return f"{name}({settings})" if settings else name
