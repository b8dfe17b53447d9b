"""Configuration files: values by YAML 1.2, the line of every key, and every mistake in one sentence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.config import build
from polytask.errors import ConfigError
from polytask.yaml_file import parse_yaml, read_value, read_yaml, write_yaml

DOCUMENT = """\
# comment
data:
  path: houses.parquet
tasks:
  price: {kind: regression}
  sold:
    kind: classification

train:
  widths:
    - 64
    - 32
  flow: [1,
    2]
"""


def test_values_and_lines(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(DOCUMENT, encoding="utf-8")
    values, source = read_yaml(path)
    assert values["tasks"] == {"price": {"kind": "regression"}, "sold": {"kind": "classification"}}
    assert values["train"] == {"widths": [64, 32], "flow": [1, 2]}
    assert source.name == str(path)
    lines = {".".join(key): line for key, line in source.lines.items()}
    assert lines["data"] == 2
    assert lines["data.path"] == 3
    assert lines["tasks.price.kind"] == 5
    assert lines["tasks.sold.kind"] == 7
    assert lines["train.widths.1"] == 12
    assert lines["train.flow.0"] == 13
    assert lines["train.flow.1"] == 14


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-1E5", -1e5),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0x1F", 31),
        ("017", "017"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2013-01-01", "2013-01-01"),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("'3'", "3"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("nan", "nan"),
        ("[a, 1]", ["a", 1]),
        ("{a: 1e-2}", {"a": 0.01}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    got = read_value(text)
    assert got == value
    assert type(got) is type(value)


def test_not_a_number_is_read_and_left_to_the_settings_to_refuse():
    assert math.isnan(read_value(".nan"))


MALFORMED = {
    "tab": ("a:\n\tb: 1\n", "line 2: malformed YAML: a tab stands where spaces are wanted"),
    "open list": ("a: [1, 2\nb: 3\n", "malformed YAML: expected ',' or ']'"),
    "open quote": ("a: 'b\n", "line 1: malformed YAML: a bracket or quote that is opened here is never closed"),
    "open to the end": ("a: 1\nb: [1,\n  2\n", "line 2: malformed YAML: a bracket or quote that is opened here"),
    "colon": ("a: b: c\n", "line 1: malformed YAML: a ':' stands where no key can be"),
    "indentation": ("a: 1\n  b: 2\n", "line 2: malformed YAML: a ':' stands where no key can be"),
    "twice": ("a: 1\nb: 2\na: 3\n", "run.yaml, line 3: the key 'a' stands twice (first in line 1)"),
    "twice inside": (
        "t:\n  a: 1\n  a: 3\n",
        "run.yaml, line 3, t: the key 'a' stands twice (first in line 2)",
    ),
    "twice in a list": ("t:\n- {a: 1, a: 2}\n", "run.yaml, line 2, t[0]: the key 'a' stands twice"),
    "empty": ("", "run.yaml: a configuration is a mapping (data:, tasks:, …), got an empty file"),
    "comments only": ("# nothing\n", "got an empty file"),
    "list": ("- a\n- b\n", "run.yaml: a configuration is a mapping (data:, tasks:, …), got a list"),
    "text": ("houses.parquet", "got 'houses.parquet'"),
    "two documents": ("a: 1\n---\nb: 2\n", "line 2: malformed YAML: a second document begins here"),
    "unknown alias": ("a: *b\n", "line 1: malformed YAML: found undefined alias 'b'"),
    "alias in itself": (
        "a: &a\n  b: *a\n",
        "run.yaml, line 2, a.b: an alias (*) stands inside its own anchor (&)",
    ),
    "tag": ("a: !!python/object:os.system {}\n", "line 1: malformed YAML: could not determine a constructor"),
    "list as key": ("? [1, 2]\n: 3\n", "malformed YAML: found unhashable key"),
    "control character": (
        "a: 1\nb: \x07\n",
        "run.yaml, line 2: malformed YAML: the character U+0007 is not allowed",
    ),
    "bad number": ("a: !!int x\n", "run.yaml: malformed YAML: invalid literal for int()"),
    "deep": ("a: " + "[" * 5000, "run.yaml: nested too deeply"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path, case):
    text, sentence = MALFORMED[case]
    path = tmp_path / "run.yaml"
    path.write_bytes(text.encode())
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_aliases_of_aliases_end_in_an_error_not_in_a_hang():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    with pytest.raises(ConfigError, match="more than 100,000 keys once all aliases"):
        parse_yaml("\n".join(rows), "run.yaml")


def test_anchors_and_merged_keys_work():
    text = "base: &base\n  rate: 1e-3\n  epochs: 2\nfast:\n  <<: *base\n  epochs: 1\nsame: *base\n"
    values, source = parse_yaml(text)
    assert values["fast"] == {"rate": 0.001, "epochs": 1}
    assert values["same"] == values["base"]
    assert source.lines["fast", "epochs"] == 6
    assert source.lines["fast", "rate"] == 2
    assert source.lines["same", "rate"] == 2
    several, _ = parse_yaml("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc:\n  <<: [*a, *b]\n")
    assert several["c"] == {"x": 1, "y": 2}


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a folder; a YAML file is wanted"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        read_yaml(tmp_path / ("x" * 300))
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Müller\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"is not UTF-8 \(byte 7\); save it as UTF-8"):
        read_yaml(latin)
    wide = tmp_path / "wide.yaml"
    wide.write_bytes("a: 1\n".encode("utf-16"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_yaml(wide)


def test_a_byte_order_mark_and_other_line_ends_are_no_harm(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    values, source = read_yaml(path)
    assert values == {"a": 1, "b": 2}
    assert source.lines["b",] == 2


def test_errors_of_settings_point_at_the_line():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Train:
        epochs: int = 1

    values, source = parse_yaml("train:\n  epochs: many\n", "run.yaml")
    with pytest.raises(ConfigError, match=r"^run\.yaml, line 2, train\.epochs: got 'many', a whole number is wanted$"):
        build(Train, values["train"], source, ("train",))


keys = st.text(max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["1e-3", "no", "017", "0o17", "2013-01-01", "1:30", "~", "", ".inf", "<<", "=", "0x1", "1_0", "y"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(keys, values, min_size=1, max_size=3))
def test_what_is_written_is_read_back_equal(document):
    read, _ = parse_yaml(write_yaml(document))
    assert read == document


@given(st.text(alphabet=" \n\t:-[]{}#&*!|>'\"%@`?,a1.<~\x00é", max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text):
    sentence = ""
    try:
        parse_yaml(text, "run.yaml")
    except ConfigError as error:
        sentence = str(error)
    assert "\n" not in sentence


def test_written_text_keeps_the_order_and_stays_readable():
    assert write_yaml({"b": 1, "a": {"rate": 0.001, "widths": [64, 32], "name": "Zürich"}}) == (
        "b: 1\na:\n  rate: 0.001\n  widths: [64, 32]\n  name: Zürich\n"
    )
