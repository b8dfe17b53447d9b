"""Preprocessing: fitted on training rows alone, stored, and applied alike to whatever comes later."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from polytask.data import Preprocessor, PreprocessSettings, SplitSettings, Table, default_inputs
from polytask.errors import RunError, SchemaError
from polytask.feature import CATEGORIES, NUMBERS
from polytask.tasks import Classification, Multilabel

FRAME = pd.DataFrame(
    {
        "n": [1.0, 2.0, None, 4.0, 100.0],
        "when": ["2024-01-01", "2024-06-03T12:00", None, "2025-01-03", "2023-03-03"],
        "b": [True, None, False, True, True],
        "c": ["x", None, "y", "x", "z"],
        "i": [5, 6, 5, 7, 5],
        "one": [1, 1, 1, 1, 1],
    }
)
COLUMNS = list(FRAME.columns)
TRAIN = np.arange(4)


def fitted(frame=FRAME, columns=None, rows=TRAIN, settings=None, **kinds):
    kinds = kinds or {"i": "category"}
    arguments = [Table(frame, kinds=kinds), columns or list(frame.columns), rows]
    return Preprocessor.fit(*arguments, settings) if settings else Preprocessor.fit(*arguments)


def test_what_each_kind_becomes():
    preprocessor = fitted()
    spec = preprocessor.spec
    assert [name for name in spec.numbers if not name.startswith("when")] == ["n", "n is missing", "b", "b is missing"]
    assert spec.categories == (("c", 4), ("i", 5))
    assert preprocessor.constant == ("one",)
    assert preprocessor.columns == {"n": "number", "when": "date", "b": "boolean", "c": "category", "i": "category"}
    inputs = preprocessor.transform(Table(FRAME))
    assert inputs[NUMBERS].dtype == torch.float32
    assert inputs[NUMBERS].shape == (5, len(spec.numbers))
    # 0 missing, 1 not seen in training ("z" is in the last row only), then the known ones in order.
    assert inputs[CATEGORIES].tolist() == [[2, 2], [0, 3], [3, 2], [2, 4], [1, 2]]


def number(inputs, preprocessor, name):
    return inputs[NUMBERS][:, preprocessor.spec.numbers.index(name)].tolist()


def test_missing_numbers_are_the_median_and_say_so():
    preprocessor = fitted()
    inputs = preprocessor.transform(Table(FRAME))
    assert number(inputs, preprocessor, "n")[1:3] == [0, 0]  # the median of 1, 2, 4 is 2
    assert number(inputs, preprocessor, "n is missing") == [0, 0, 1, 0, 0]
    assert number(inputs, preprocessor, "b") == [1, 0, 0, 1, 1]
    assert number(inputs, preprocessor, "b is missing") == [0, 1, 0, 0, 0]


def test_only_training_rows_teach():
    changed = FRAME.copy()
    changed.loc[4, ["n", "c"]] = [-7.0, "w"]
    assert fitted(changed) == fitted()


def test_dates_are_days_and_cycles():
    preprocessor = fitted()
    names = [name for name in preprocessor.spec.numbers if name.startswith("when")]
    assert "when hour sine" in names
    inputs = preprocessor.transform(Table(FRAME))
    assert number(inputs, preprocessor, "when hour cosine") == pytest.approx([1, -1, 0, 1, 1], abs=1e-6)
    assert number(inputs, preprocessor, "when weekday sine")[:2] == pytest.approx([0, 0], abs=1e-6)  # two Mondays
    assert number(inputs, preprocessor, "when is missing") == [0, 0, 1, 0, 0]
    days = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=14, freq="7D")})
    names = fitted(days, rows=np.arange(14), when="date").spec.numbers
    assert names == ("when", "when day of year sine", "when day of year cosine")


def test_the_same_cells_in_other_types_order_and_company_give_the_same_inputs():
    preprocessor = fitted()
    other = pd.DataFrame(
        {
            "extra": 0,
            "i": ["5", 6.0, np.int8(5), "7.0", 5],
            "c": pd.Categorical(FRAME["c"]),
            "b": ["yes", None, 0, 1.0, "TRUE"],
            "when": pd.to_datetime(FRAME["when"], format="ISO8601"),
            "n": pd.array(["1", "2.0", None, 4, 100], dtype=object),
        }
    )
    expected, found = preprocessor.transform(Table(FRAME)), preprocessor.transform(Table(other))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_known_categories_are_not_mixed_up():
    frame = pd.DataFrame({"zip": ["01", "1", "01", "1"], "t": ["true", "false", "true", "x"]})
    preprocessor = fitted(frame, zip="category", t="category")
    codes = preprocessor.transform(Table(pd.DataFrame({"zip": ["01", "1", "001"], "t": [True, "true", "q"]})))
    # Vocabularies: "01", "1" and "false", "true", "x".
    assert codes[CATEGORIES].tolist() == [[2, 3], [3, 3], [1, 1]]


def test_rare_categories_share_the_code_of_unseen_ones():
    frame = pd.DataFrame({"c": ["a"] * 3 + ["b"] * 2 + ["z"]})
    preprocessor = fitted(frame, rows=np.arange(6), settings=PreprocessSettings(min_count=2), c="category")
    assert preprocessor.transform(Table(frame))[CATEGORIES][:, 0].tolist() == [2, 2, 2, 3, 3, 1]


def test_rows_may_be_chosen():
    preprocessor = fitted()
    whole, part = preprocessor.transform(Table(FRAME)), preprocessor.transform(Table(FRAME), np.array([3, 0]))
    assert all(torch.equal(whole[name][[3, 0]], part[name]) for name in whole)


def test_blocks_that_are_empty_are_absent():
    assert set(fitted(columns=["n"]).transform(Table(FRAME))) == {NUMBERS}
    assert set(fitted(columns=["c"]).transform(Table(FRAME))) == {CATEGORIES}


def test_a_value_that_never_varies_leaves_its_indicator():
    frame = pd.DataFrame({"n": [3.0, None, 3.0], "b": [True, True, None]})
    assert fitted(frame, rows=np.arange(3), n="number").spec.numbers == ("n is missing", "b is missing")


def test_it_survives_its_files(tmp_path):
    preprocessor = fitted(pd.DataFrame({**FRAME, "tenth": [0.1, 0.2, 1 / 3, 1e-9, 7]}), i="category")
    preprocessor.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preprocessing.json", "preprocessing.safetensors"]
    assert Preprocessor.load(tmp_path) == preprocessor


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("preprocessing.json", lambda data: data[:-9], "cannot be read"),
        ("preprocessing.json", lambda data: data.replace(b'"format": 1', b'"format": 9'), "newer polytask"),
        ("preprocessing.json", lambda data: data.replace(b'"number"', b'"nummer"'), "cannot be read"),
        ("preprocessing.safetensors", lambda data: data[:20], "cannot be read"),
    ],
)
def test_broken_files_are_refused(tmp_path, name, change, words):
    fitted().save(tmp_path)
    (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
    with pytest.raises(RunError, match=words) as caught:
        Preprocessor.load(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="cannot be read"):
        Preprocessor.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": [1, "two", 3, 4, 5]}, "column 'n', row 1: 'two' is no number"),
        ({"n": [1, 2, np.inf, 4, 5]}, "column 'n', row 2: inf"),
        ({"when": ["2024-01-01", "soon", None, None, None]}, "column 'when', row 1: 'soon' is no date"),
        ({"b": ["perhaps"] * 5}, "column 'b', row 0: 'perhaps' is neither"),
        ({"c": [["x"]] * 5}, r"column 'c', row 0: \['x'\] cannot be a category"),
    ],
)
def test_cells_that_cannot_be_read_are_named(change, words):
    changed = pd.DataFrame({**FRAME, **{name: pd.Series(cells, dtype=object) for name, cells in change.items()}})
    with pytest.raises(SchemaError, match=words):
        fitted().transform(Table(changed))
    if "n" in change:
        with pytest.raises(SchemaError, match=words):
            fitted(changed, n="number", i="category")


def test_missing_columns_are_all_named():
    with pytest.raises(SchemaError, match="lacks 'n', 'c', which the model was trained on"):
        fitted().transform(Table(FRAME.drop(columns=["n", "c"])))
    with pytest.raises(SchemaError, match="lacks 'when'"):
        fitted().transform(Table(FRAME.rename(columns={"when": "wen"})))


def test_what_cannot_be_fitted_is_named():
    with pytest.raises(SchemaError, match="every input column is constant in the 4 training rows: one"):
        fitted(columns=["one"])
    with pytest.raises(SchemaError, match="at least 1 training row"):
        fitted(rows=np.array([], dtype=int))
    with pytest.raises(SchemaError, match="column 'v' is of kind id, which is no input"):
        fitted(pd.DataFrame({"v": ["a", "b"] * 3}), v="id")
    with pytest.raises(SchemaError, match="there is no column 'm'"):
        fitted(columns=["m"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"numbers": "max"}, "'robust', 'standard', 'minmax', 'quantile' is wanted"), ({"min_count": 0}, ">= 1")],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ValueError, match=words):
        PreprocessSettings(**settings)


def test_inputs_by_default_are_nobodys_target_and_of_a_usable_kind():
    frame = pd.DataFrame(
        {
            "y": [0, 1],
            "a": [0, 1],
            "b": [1, 0],
            "w": [1.0, 2.0],
            "group": ["p", "q"],
            "when": ["2024-01-01", "2024-01-02"],
            "split": ["train", "test"],
            "x": [1.5, 2.5],
            "c": ["u", "v"],
            "list": [[1], [2]],
        }
    )
    tasks = [Classification("y", weight="w"), Multilabel("ab", columns=["a", "b"])]
    table = Table(frame)
    assert default_inputs(table, tasks) == ["group", "when", "split", "x", "c", "list"]
    assert default_inputs(table, tasks, ["c"], SplitSettings(by_group="group", column="split")) == ["when", "x", "list"]
    assert "when" not in default_inputs(table, tasks, [], SplitSettings(by_time="when"))
    with pytest.raises(SchemaError, match="ignore: there is no column 'xx'"):
        default_inputs(table, tasks, ["xx"])
    with pytest.raises(SchemaError, match="no column is left"):
        default_inputs(table, tasks, ["group", "when", "split", "x", "c", "list"])


def test_the_json_file_is_plain(tmp_path):
    fitted().save(tmp_path)
    written = json.loads((tmp_path / "preprocessing.json").read_text())
    assert [column["kind"] for column in written["columns"]] == ["number", "date", "boolean", "category", "category"]


@pytest.mark.parametrize("how", ["robust", "standard", "minmax", "quantile"])
def test_every_scale_survives_its_files_bit_for_bit(how, tmp_path):
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, 300), unit="D")
    frame = pd.DataFrame({"a": rng.lognormal(size=300), "day": days, "b": np.round(rng.normal(size=300))})
    frame.loc[:20, "b"] = np.nan
    table = Table(frame)
    fitted = Preprocessor.fit(table, list(frame.columns), np.arange(200), PreprocessSettings(numbers=how))
    fitted.save(tmp_path)
    loaded = Preprocessor.load(tmp_path)
    assert loaded == fitted
    for name, block in fitted.transform(table).items():
        assert torch.equal(block, loaded.transform(table)[name])


def test_a_run_from_before_there_were_knots_is_read(tmp_path):
    fitted = Preprocessor.fit(Table(pd.DataFrame({"a": [1.0, 2.0, 4.0]})), ["a"], np.arange(3))
    fitted.save(tmp_path)
    tensors = load_file(tmp_path / "preprocessing.safetensors")
    del tensors["0.knots"]
    save_file(tensors, tmp_path / "preprocessing.safetensors")
    assert Preprocessor.load(tmp_path) == fitted
