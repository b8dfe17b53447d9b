import pandas as pd
import pytest

from polytask.cli.settings import parse_task, read_fit, task_entry
from polytask.data import Table
from polytask.errors import ConfigError, SchemaError

FRAME = pd.DataFrame({"a": [1, 2] * 5, "b c": range(10), "d:e": ["x", "y"] * 5, "f=g:h": range(10), "#": [0.5] * 10})


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a", ("a", "a", None)),
        ("x=a", ("x", "a", None)),
        ("a:regression", ("a", "a", "regression")),
        ("x = b c : regression", ("x", "b c", "regression")),
        ("x=d:e:classification", ("x", "d:e", "classification")),
    ],
)
def test_parts_of_a_task(text, parsed):
    assert parse_task(text) == parsed


@pytest.mark.parametrize("text", ["", "=a", ":regression", " "])
def test_a_task_without_a_name(text):
    with pytest.raises(ConfigError, match="write name, name=column or name=column:kind"):
        parse_task(text)


@pytest.mark.parametrize(
    ("text", "name", "entry"),
    [
        ("a", "a", {"kind": "classification"}),
        ("a:regression", "a", {"kind": "regression"}),
        ("x=b c", "x", {"kind": "classification", "column": "b c"}),
        ("x=d:e", "x", {"kind": "classification", "column": "d:e"}),
        ("x=f=g:h", "x", {"kind": "classification", "column": "f=g:h"}),
        ("x=f=g:h:regression", "x", {"kind": "regression", "column": "f=g:h"}),
        ("x=#", "x", {"kind": "regression", "column": "#"}),
    ],
)
def test_a_task_of_a_table(text, name, entry):
    assert task_entry(text, Table.of(FRAME)) == (name, entry)


def test_a_column_that_is_not_there():
    with pytest.raises(SchemaError, match=r"--task x=b_c: there is no column 'b_c'; did you mean 'b c'"):
        task_entry("x=b_c", Table.of(FRAME))


@pytest.fixture
def data(tmp_path):
    FRAME.to_csv(tmp_path / "d.csv", index=False)
    return tmp_path / "d.csv"


def test_a_setting_of_a_task_is_kept_whatever_its_kind_was_inferred_from(data):
    experiment, table = read_fit(data, ["a", "x=b c:regression"], ["tasks.x.criterion=mae", "tasks.a.hidden=[4]"], {})
    assert (experiment.tasks[0].hidden, experiment.tasks[1].criterion) == ((4,), "mae")
    assert table.num_rows == 10


def test_kinds_are_known_before_tasks_are_inferred(data):
    experiment, _ = read_fit(data, ["x=b c"], ["data.kinds={b c: category}"], {})
    assert experiment.tasks[0].kind == "classification"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["train.epochs"], "write key=value"),
        (["=3"], "write key=value"),
        (["train=3"], r"train"),
        (["train.epochs=2", "train.epochs.more=3"], r"train\.epochs is 2, not a section"),
        (["data=5"], r"data.*mapping"),
        (["data.kinds=5"], r"data\.kinds.*mapping"),
        (["data.kinds.a=numbr"], r"unknown kind 'numbr'; did you mean 'number'"),
        (["tasks.y.kind=regresion"], r"tasks\.y\.kind: unknown kind of task 'regresion'"),
        (["tasks=3"], r"tasks"),
        (["trian.epochs=3"], r"unknown key 'trian'; did you mean 'train'"),
        (["balancer.cagrad.c=high"], r"balancer\.cagrad\.c"),
        (["seed=[1"], "malformed"),
    ],
)
def test_settings_that_cannot_be(data, settings, says):
    with pytest.raises((ConfigError, SchemaError), match=says):
        read_fit(data, ["a"], settings, {})


def test_a_yaml_has_its_own_tasks(data, tmp_path):
    (tmp_path / "run.yaml").write_text("data: {path: d.csv}\ntasks: {a: {kind: classification}}\n")
    with pytest.raises(ConfigError, match="has its own under tasks:; edit it there"):
        read_fit(tmp_path / "run.yaml", ["a"], [], {})
    experiment, table = read_fit(tmp_path / "run.yaml", [], ["tasks.a.kind=regression"], {"balancer": "pcgrad"})
    assert experiment.tasks[0].kind == "regression"
    assert experiment.data.path == str(tmp_path / "d.csv")
    assert table is None
