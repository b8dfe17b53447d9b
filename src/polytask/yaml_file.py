"""Reading YAML with the line of every key, so that errors can point at it.

Values are read by the rules of YAML 1.2, which have fewer surprises: `no`, `on` and `2013-01-01` are
text, `1e-3` is a number, `017` is text. Text that an older reader would take for something else is
written in quotes.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from polytask.conversion import KeyPath, Source
from polytask.errors import ConfigError

#: More keys than anybody writes: aliases of aliases are written out exponentially.
MOST_KEYS = 100_000

_SCALARS = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", "~nN\0"),
    "tag:yaml.org,2002:merge": (r"<<", "<"),
}


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012, annotated so by PyYAML


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what either version would not read as text."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Text; Unicode's own line breaks are escaped, since PyYAML reads them back as spaces."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if _BREAKS.search(data) else None)


_Dumper.add_representer(str, _Dumper.represent_str)
_BREAKS = re.compile("[\x85\u2028\u2029]")


for _tag, (_pattern, _first) in _SCALARS.items():
    # An empty value has no first character; PyYAML asks for "" then.
    _starts = [character.strip("\0") for character in _first]
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _starts)


def read_yaml(path: str | Path) -> tuple[dict[str, Any], Source]:
    """A YAML mapping and where each of its keys stands.

    Raises:
        ConfigError: no such file, not UTF-8, malformed, no mapping, or a key written twice; says the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; a YAML file is wanted") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str = "") -> tuple[dict[str, Any], Source]:
    r"""The same from text.

    Args:
        text: of the document.
        name: of its file, for errors.

    Raises:
        ConfigError: malformed, no mapping, or a key written twice; says the line.

    Example:
        >>> values, source = parse_yaml("train:\n  learning_rate: 1e-3", "run.yaml")
        >>> values, source.place(("train", "learning_rate"))
        ({'train': {'learning_rate': 0.001}}, 'run.yaml, line 2, train.learning_rate')
    """
    values, lines = _load(text, name)
    if not isinstance(values, dict):
        kind = "an empty file" if values is None else "a list" if isinstance(values, list) else repr(values)
        place = f"{name}: " if name else ""
        raise ConfigError(f"{place}a configuration is a mapping (data:, tasks:, …), got {kind}")
    return values, Source(name, lines)


def read_value(text: str) -> Any:
    """One YAML value, as it is written on a command line.

    Raises:
        ConfigError: malformed.

    Example:
        >>> read_value("[64, 32]"), read_value("1e-3"), read_value("cagrad")
        ([64, 32], 0.001, 'cagrad')
    """
    return _load(text, repr(text))[0]


def write_yaml(values: dict[str, Any]) -> str:
    """YAML text in the order of the keys."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _load(text: str, name: str) -> tuple[Any, dict[KeyPath, int]]:
    try:
        lines = _Lines(name).of(yaml.compose(text, Loader=_Loader))
        return yaml.load(text, Loader=_Loader), lines
    except yaml.YAMLError as error:
        raise ConfigError(_malformed(error, text, name)) from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply for a configuration") from None
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{name}: malformed YAML: {error}") from None


def _malformed(error: yaml.YAMLError, text: str, name: str) -> str:
    """One sentence for a mistake that YAML itself found."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    line = f", line {mark.line + 1}" if mark else ""
    if isinstance(error, yaml.reader.ReaderError):
        line = f", line {text.count(chr(10), 0, error.position) + 1}"
        problem = f"the character U+{ord(text[error.position]):04X} is not allowed"
    elif "<stream end>" in problem or "end of stream" in problem:
        # Where the file ends says nothing; where the bracket or quote was opened does.
        opened = getattr(error, "context_mark", None) or mark
        line = f", line {opened.line + 1}" if opened else ""
        problem = "a bracket or quote that is opened here is never closed"
    elif r"'\t'" in problem:
        problem = "a tab stands where spaces are wanted; indent with spaces"
    elif "another document" in problem:
        problem = "a second document begins here (---); a configuration is one document"
    elif "mapping values are not allowed" in problem:
        problem = "a ':' stands where no key can be; check the indentation, or put the text in quotes"
    return f"{name}{line}: malformed YAML: {problem}".removeprefix(", ").removeprefix(": ")


class _Lines:
    """Collects the line of every key and list item of a document; refuses keys that stand twice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.open: set[int] = set()

    def of(self, node: yaml.Node | None, path: KeyPath = ()) -> dict[KeyPath, int]:
        """Walks a node and all below it."""
        if id(node) in self.open:
            raise ConfigError(
                f"{Source(self.name, self.lines).place(path)}: an alias (*) stands inside its own anchor (&)"
            )
        if len(self.lines) > MOST_KEYS:
            raise ConfigError(f"{self.name}: more than {MOST_KEYS:,} keys once all aliases (*) are written out")
        self.open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                self.lines[(*path, str(position))] = item.start_mark.line + 1
                self.of(item, (*path, str(position)))
        self.open.discard(id(node))
        return self.lines

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> None:
        # Keys merged in by `<<` give way to those that stand here: they come first, and may come again.
        own: dict[str, int] = {}
        for key, value in sorted(node.value, key=lambda pair: pair[0].tag != "tag:yaml.org,2002:merge"):
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self.of(merged, path)
                continue
            name = str(key.value)
            if name in own:
                place = Source(self.name, {path: line}).place(path) if path else f"{self.name}, line {line}"
                raise ConfigError(f"{place}: the key {name!r} stands twice (first in line {own[name]})")
            own[name] = self.lines[(*path, name)] = line
            self.of(value, (*path, name))
