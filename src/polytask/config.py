"""Written choices: strict YAML <-> dataclasses, and constructors that are chosen but not yet called.

A *choice* among balancers, sharings, encoders, agendas is a constructor with some settings bound
(`CAGrad.with_(c=0.4)`, in YAML `cagrad: {c: 0.4}`). It is checked against the constructor's signature
when it is made, so a misspelt setting is answered at once, with its nearest name and, where it came from
a file, its line.
"""

import inspect
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from polytask.conversion import NOWHERE, AnyFloat, KeyPath, Source, build, check_value
from polytask.errors import ConfigError, nearest
from polytask.wording import shown

__all__ = [
    "NOWHERE",
    "AnyFloat",
    "Choice",
    "KeyPath",
    "Source",
    "as_choice",
    "build",
    "check_settings",
    "check_value",
    "choose",
    "constructors",
    "name_of",
    "plain",
    "settings_of",
    "written",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A constructor not yet called, with its settings bound.

    Attributes:
        constructor: the class.
        settings: keyword arguments, checked against its signature.
    """

    constructor: type[T]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **more: Any) -> T:
        """Builds the object."""
        return self.constructor(*args, **{**self.settings, **more})


def choose(cls: type[T], /, **settings: Any) -> Choice[T]:
    """Binds settings to a constructor without calling it.

    Raises:
        ConfigError: a setting the constructor does not have, or of a wrong type.
    """
    return Choice(cls, check_settings(cls, settings, NOWHERE, (cls.__name__,)))


def settings_of(cls: type) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a constructor: what may be chosen."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY and p.name != "engine"}


def check_settings(cls: type, settings: Mapping[str, Any], source: Source, path: KeyPath) -> dict[str, Any]:
    """The settings, converted to the annotated types.

    Raises:
        ConfigError: one that the constructor does not have, or of a wrong type.
    """
    known = settings_of(cls)
    # The hints of `__init__` resolve annotations that are written as text.
    kinds = get_type_hints(cls.__init__, include_extras=True) if known else {}  # type: ignore[misc]
    checked: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in known:
            has = nearest(name, known) if known else f"{cls.__name__} has no settings"
            raise ConfigError(f"{source.place((*path, str(name)))}: unknown setting {name!r}; {has}")
        kind = kinds.get(name, Any)
        by_key, chosen = _chosen_by_key(kind), _chosen(kind)
        if by_key is not None and isinstance(value, Mapping):
            what, catalogue = by_key.__name__.lower(), _catalogue(by_key) or {}
            checked[name] = {
                str(key): as_choice(item, catalogue, what, source, (*path, name, str(key)))
                for key, item in value.items()
            }
        elif chosen is not None and value is not None:
            what = chosen.__name__.lower()
            checked[name] = as_choice(value, _catalogue(chosen) or {}, what, source, (*path, name))
        else:
            checked[name] = check_value(kind, value, source, (*path, name))
    return checked


def constructors(choice: Choice[T]) -> Iterator[type[T]]:
    """The class that is chosen, and those chosen among its settings, from the outermost in.

    Example:
        >>> list(constructors(Choice(dict, {"of": Choice(list)})))
        [<class 'dict'>, <class 'list'>]
    """
    yield choice.constructor
    for setting in choice.settings.values():
        for inner in setting.values() if isinstance(setting, Mapping) else (setting,):
            if isinstance(inner, Choice):
                yield from constructors(inner)


def _chosen(kind: Any) -> type | None:
    """The class whose choices an annotation takes: Balancer of `Choice[Balancer] | str`; None: it takes none."""
    return next((get_args(k)[0] for k in (kind, *get_args(kind)) if get_origin(k) is Choice), None)


def _chosen_by_key(kind: Any) -> type | None:
    """The class whose choices a mapping's values are: Encoder of `Mapping[str, Choice[Encoder] | str]`; else None."""
    kinds = [get_args(k) for k in (kind, *get_args(kind)) if get_origin(k) in (dict, Mapping)]
    return next((_chosen(item) for _, item in kinds), None)


def _catalogue(cls: type) -> Mapping[str, type] | None:
    """The names that a class says its like are chosen by; None where it says nothing."""
    found = getattr(cls, "catalogue", None)
    return None if found is None else found()


def as_choice(
    value: Any, catalogue: Mapping[str, type[T]], what: str, source: Source = NOWHERE, path: KeyPath = ()
) -> Choice[T]:
    """Reads a choice however it is written.

    Args:
        value: a catalogue name, `{name: settings}`, a class, or a Choice.
        catalogue: name -> class.
        what: the word for an error ("balancer").
        source: of the value.
        path: of the value in its source.

    Raises:
        ConfigError: an unknown name or setting, or something that is no choice.
    """
    place = source.place(path) or what
    if isinstance(value, type):
        value = Choice(value)
    if isinstance(value, Choice):
        name_of(value, catalogue, what)
        return value
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping) or len(value) != 1:
        example = f"{{{next(iter(catalogue), 'name')}: {{…}}}}"
        raise ConfigError(f"{place}: a {what} is a name or one name with its settings ({example}), got {shown(value)}")
    ((name, settings),) = value.items()
    if name not in catalogue:
        raise ConfigError(f"{source.place((*path, str(name)))}: unknown {what} {name!r}; {nearest(name, catalogue)}")
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(
            f"{source.place((*path, name))}: the settings of {name} are a mapping (setting: value), "
            f"got {shown(settings)}"
        )
    return Choice(catalogue[name], check_settings(catalogue[name], settings or {}, source, (*path, name)))


def name_of(choice: Choice[Any], catalogue: Mapping[str, type], what: str) -> str:
    """A choice's name in its catalogue.

    Raises:
        ConfigError: the class is in no catalogue, so a Run could not be written down or loaded.
    """
    for name, cls in catalogue.items():
        if cls is choice.constructor:
            return name
    cls_name = getattr(choice.constructor, "__name__", shown(choice.constructor))
    raise ConfigError(
        f"{what}: {cls_name} is not in the catalogue, so a Run could not be loaded again; "
        f"add it under a name first: {what.upper()}S['my_{what}'] = {cls_name}"
    )


def written(choice: Choice[Any], catalogue: Mapping[str, type], what: str) -> Any:
    """A choice as YAML writes it: its name, or `{name: settings}`."""
    name = name_of(choice, catalogue, what)
    return {name: plain(choice.settings)} if choice.settings else name


def plain(value: Any) -> Any:
    """Settings as YAML and JSON can write them: dataclasses as dicts without their defaults, tuples as lists.

    For a settings dataclass `x`, `build(type(x), plain(x)) == x`.

    Raises:
        ConfigError: something that cannot be written, such as a function or a tensor.

    Example:
        >>> plain({"widths": (256, 128)})
        {'widths': [256, 128]}
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Choice) and (catalogue := _catalogue(value.constructor)) is not None:
        return written(value, catalogue, "choice")
    if is_dataclass(value) and not isinstance(value, type | Choice):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.init and _differs(value, f)}
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, AbstractSet):
        return sorted((plain(item) for item in value), key=lambda item: (type(item).__name__, item))
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Integral):  # numpy's whole numbers too
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise ConfigError(f"{shown(value)} cannot be written down: settings are numbers, text, lists and mappings")


def _differs(settings: Any, f: Field[Any]) -> bool:
    """Whether a field is not its default; true and 1 are equal to Python, but not in a file."""
    value = getattr(settings, f.name)
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    return value is not default and (type(value) is not type(default) or value != default)
