"""Splits: by shares, groups, time and column; saved and read; refused where a part would be empty."""

import numpy as np
import pandas as pd
import pytest

from polytask.data import SplitSettings, Table, default_inputs, fit_task, lint, make_folds, make_split, make_splits
from polytask.errors import SchemaError
from polytask.tasks import Classification, Multilabel, Regression, Similarity

TASK = Classification("y")


def table_of(num_rows=100, **columns):
    y = np.random.default_rng(0).integers(0, 2, num_rows)
    return Table(pd.DataFrame({"y": y, **columns}, index=range(num_rows)))


def test_rows_without_any_target_are_dropped_and_counted():
    y = pd.Series([0, 1, None] * 40)
    r = pd.Series([None, 1.5, None] * 40)
    split = make_split(Table(pd.DataFrame({"y": y, "r": r})), [TASK, Regression("r")], SplitSettings())
    assert split.counts() == {"train": 56, "validation": 12, "test": 12, "dropped": 40}
    assert split.rows("dropped").tolist() == list(range(2, 120, 3))


def test_classes_and_missing_labels_keep_their_shares():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "rare": np.where(generator.random(2000) < 0.3, np.nan, generator.random(2000) < 0.02),
            "y": generator.integers(0, 3, 2000),
            "r": generator.normal(size=2000),
        }
    )
    tasks = [Classification("rare"), TASK, Regression("r")]
    split = make_split(Table(frame), tasks, SplitSettings(validation=0.2, test=0.2))
    for part, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        rows = frame.iloc[split.rows(part)]
        assert (rows["rare"] == 1).sum() == pytest.approx(share * (frame["rare"] == 1).sum(), abs=1)
        assert rows["rare"].isna().sum() == pytest.approx(share * frame["rare"].isna().sum(), abs=2)
        assert rows["r"].mean() == pytest.approx(frame["r"].mean(), abs=0.03)


def test_the_seed_settles_the_split():
    first, again, other = (make_split(table_of(), [TASK], SplitSettings(seed=seed)).parts for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_groups_are_on_one_side():
    group = np.repeat([f"g{k}" for k in range(20)], 5)
    split = make_split(table_of(group=group), [TASK], SplitSettings(by_group="group"))
    assert pd.Series(split.parts).groupby(group).nunique().max() == 1
    assert set(split.parts) == {0, 1, 2}


def shared_groups(*sizes):
    """Tables with rows of the same groups; the first has more than the others."""
    generator = np.random.default_rng(1)
    tables = {}
    for k, size in enumerate(sizes):
        name = f"y{k}"
        frame = pd.DataFrame({name: generator.integers(0, 2, 10 * size), "group": np.repeat(np.arange(size), 10)})
        tables[name] = (Table(frame), [Classification(name)])
    return tables


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("sizes", [(40, 20), (40, 3), (3, 40, 40)], ids=str)
def test_groups_of_several_tables_are_on_one_side(sizes, stratify):
    tables = shared_groups(*sizes)
    splits = make_splits(tables, SplitSettings(by_group="group", stratify=stratify))
    frame = pd.concat(
        pd.DataFrame({"group": table.frame["group"], "part": splits[name].parts}) for name, (table, _) in tables.items()
    )
    assert frame.groupby("group")["part"].nunique().max() == 1
    for name, size in zip(tables, sizes, strict=True):
        assert set(splits[name].parts) == {0, 1, 2}
        if size > 3:
            assert splits[name].counts()["train"] == pytest.approx(7 * size, abs=20)


def test_groups_of_several_tables_stay_together_where_a_column_splits():
    tables = {}
    for name, (table, tasks) in shared_groups(20, 20).items():
        tables[name] = (Table(table.frame.assign(said=np.where(table.frame["group"] < 4, "test", "train"))), tasks)
    splits = make_splits(tables, SplitSettings(by_group="group", column="said"))
    assert (splits["y0"].parts == splits["y1"].parts).all()
    assert splits["y0"].counts()["validation"] > 0


def test_one_of_several_tables_is_split_as_it_would_be_alone():
    tables = shared_groups(20, 10)
    for settings in (SplitSettings(), SplitSettings(by_time="group")):
        splits = make_splits(tables, settings)
        for name, (table, tasks) in tables.items():
            assert (splits[name].parts == make_split(table, tasks, settings).parts).all()
    with pytest.raises(
        SchemaError, match=r"split of table 'y1': the validation part would have 0 of 20 rows in 2 groups"
    ):
        make_splits(shared_groups(20, 2), SplitSettings(by_group="group"))


@pytest.mark.parametrize("as_text", [False, True])
def test_time_runs_from_train_to_test_and_ties_stay_together(as_text):
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.random.default_rng(0).integers(0, 30, 100), unit="D")
    when = days.strftime("%Y-%m-%d") if as_text else days
    split = make_split(table_of(when=when), [TASK], SplitSettings(by_time="when", validation=0.2, test=0.2))
    ranges = [(days[split.parts == part].min(), days[split.parts == part].max()) for part in range(3)]
    assert ranges[0][1] < ranges[1][0]
    assert ranges[1][1] < ranges[2][0]
    assert split.counts()["train"] == pytest.approx(60, abs=6)


def test_a_column_says_it_in_any_spelling():
    said = ["Train", "training", "VAL", "valid", "validation", "dev", "test", " Test "] * 5
    split = make_split(table_of(40, said=said), [TASK], SplitSettings(column="said"))
    assert split.parts[:8].tolist() == [0, 0, 1, 1, 1, 1, 2, 2]


def test_a_missing_validation_part_is_drawn_at_random_from_train():
    said = ["train"] * 80 + ["test"] * 20
    split = make_split(table_of(said=said), [TASK], SplitSettings(column="said", validation=0.25))
    assert split.counts() == {"train": 60, "validation": 20, "test": 20, "dropped": 0}
    assert (split.parts[80:] == 2).all()
    assert (split.parts[:40] == 1).any()
    assert (split.parts[40:80] == 1).any()


def test_no_test_part_is_made_where_none_is_wanted():
    split = make_split(table_of(), [TASK], SplitSettings(test=0))
    assert split.counts() == {"train": 85, "validation": 15, "test": 0, "dropped": 0}
    split = make_split(table_of(t=range(100)), [TASK], SplitSettings(test=0, by_time="t"))
    assert split.rows("validation").tolist() == list(range(85, 100))


def test_identities_are_not_stratified():
    split = make_split(table_of(who=range(100)), [Similarity("who")], SplitSettings())
    assert split.counts()["train"] == 70


def test_a_split_survives_its_file(tmp_path):
    split = make_split(table_of(), [TASK], SplitSettings())
    split.to_frame().to_parquet(tmp_path / "splits.parquet")
    back = type(split).from_frame(pd.read_parquet(tmp_path / "splits.parquet").sample(frac=1, random_state=0))
    assert (back.parts == split.parts).all()
    assert back.parts.dtype == np.int8
    with pytest.raises(ValueError, match="did you mean 'test'"):
        split.rows("tets")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"row": [0]}), "columns 'row' and 'part'"),
        (pd.DataFrame({"row": [0, 1], "part": ["train", "tset"]}), "names the part 'tset'"),
        (pd.DataFrame({"row": [0, 0], "part": ["train", "test"]}), "every row once"),
    ],
)
def test_what_is_no_split_is_refused(frame, words):
    split = make_split(table_of(), [TASK], SplitSettings())
    with pytest.raises(SchemaError, match=words):
        type(split).from_frame(frame)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"validation": 0}, "validation=0 is out of range"),
        ({"validation": 1.5}, "validation=1.5"),
        ({"test": -0.1}, "test=-0.1"),
        ({"validation": 0.6, "test": 0.4}, "leave no rows to train on"),
        ({"by_time": "t", "by_group": "g"}, "by_time and by_group exclude"),
        ({"by_time": "t", "column": "c"}, "by_time and column exclude"),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ValueError, match=words):
        SplitSettings(**settings)


@pytest.mark.parametrize(
    ("table", "settings", "words"),
    [
        (table_of(group=range(100)), {"by_group": "grup"}, "did you mean 'group'"),
        (table_of(group=[None, *range(99)]), {"by_group": "group"}, "missing in 1 of 100 rows, the first in row 0"),
        (table_of(group=["a"] * 50 + ["b"] * 50), {"by_group": "group"}, "0 of 100 rows in 2 groups of 'group'"),
        (table_of(t=[None, *range(99)]), {"by_time": "t"}, "missing in 1 of 100 rows"),
        (table_of(t=["x", "y"] * 50), {"by_time": "t"}, "kind category, which has no order"),
        (table_of(t=[1] * 100), {"by_time": "t"}, "the train part would have 0 of 100 rows"),
        (table_of(said=["train"] * 99 + ["tset"]), {"column": "said"}, "says 'tset' in row 99"),
        (table_of(said=["train"] * 99 + [None]), {"column": "said"}, "missing in 1 of 100"),
        (table_of(said=["test"] * 100), {"column": "said"}, "the train part would have 0"),
        (table_of(2), {}, "part would have 0 of 2 rows"),
        (Table(pd.DataFrame({"y": [None, None], "x": [1, 2]})), {}, "in none of the 2 rows"),
        (Table(pd.DataFrame({"z": [1, 2]})), {}, "task 'y': there is no column 'y'"),
    ],
)
def test_what_cannot_be_split_is_named(table, settings, words):
    with pytest.raises(SchemaError, match=words):
        make_split(table, [TASK], SplitSettings(**settings))


@pytest.mark.parametrize("task", [Classification("lists"), Regression("lists"), Multilabel("y"), Multilabel("text")])
def test_cells_of_the_wrong_form_are_left_to_the_task(task):
    table = table_of(lists=pd.Series([["a"]] * 100), text=["abc"] * 100)
    split = make_split(table, [task], SplitSettings())
    assert split.counts()["train"] == 70
    lint(table, [task], split, default_inputs(table, [task]) if "y" not in task.columns else ["text"])
    with pytest.raises(SchemaError, match=task.name):
        fit_task(table, task, split.rows("train"))


def test_a_hundred_thousand_rows_and_twelve_tasks_are_split_quickly():
    import time

    generator = np.random.default_rng(0)
    names = [f"t{k}" for k in range(12)]
    frame = pd.DataFrame(generator.normal(size=(100_000, 12)), columns=names)
    frame = frame.mask(generator.random(frame.shape) < 0.1)
    tasks = [Regression(name) for name in names]
    start = time.process_time()
    counts = make_split(Table(frame), tasks, SplitSettings()).counts()
    assert time.process_time() - start < 6  # about 2 s where nothing else runs
    assert counts["train"] == pytest.approx(70_000, abs=20)


def test_parkinsons_by_subject(shared_data):
    table = Table.of(shared_data / "parkinsons" / "parkinsons_updrs.parquet")
    tasks = [Regression("motor_UPDRS"), Regression("total_UPDRS")]
    split = make_split(table, tasks, SplitSettings(by_group="subject#", validation=0.2, test=0.2))
    assert table.frame["subject#"].groupby(split.parts).nunique().sum() == 42
    assert all(abs(split.counts()[part] / 5875 - 0.2) < 0.04 for part in ("validation", "test"))


def scaffold_cut(s):
    """MoleculeNet's rule in three lines: the largest scaffolds train to 80 %, validate to 90 %, the rest is the test."""
    c = np.bincount(s)
    o = np.lexsort((np.arange(len(c)), -c))
    e = np.cumsum(c[o]) / len(s)
    return [np.flatnonzero(np.isin(s, o[m])) for m in (e <= 0.8, (e > 0.8) & (e <= 0.9), e > 0.9)]


def test_the_largest_groups_train_first():
    sizes = np.random.default_rng(0).integers(1, 30, 60)
    group = np.repeat(np.arange(60), sizes)
    settings = SplitSettings(by_group="group", largest_first=True, validation=0.1, test=0.1)
    split = make_split(table_of(len(group), group=group), [TASK], settings)
    for part, rows in enumerate(scaffold_cut(group)):
        assert split.rows(part).tolist() == rows.tolist()
    shuffled = np.random.default_rng(1).permutation(group)
    tables = {name: (table_of(len(group), group=g), [TASK]) for name, g in (("a", group), ("b", shuffled))}
    splits = make_splits(tables, settings)
    frame = pd.concat(pd.DataFrame({"g": t.frame["group"], "p": splits[n].parts}) for n, (t, _) in tables.items())
    assert frame.groupby("g")["p"].nunique().max() == 1
    with pytest.raises(ValueError, match="largest_first orders groups by size"):
        SplitSettings(largest_first=True)
    with pytest.raises(SchemaError, match="largest_first divides the groups in one way only"):
        make_folds({"": (table_of(group=np.arange(100)), [TASK])}, settings, 3)
    with pytest.raises(SchemaError, match="the train part would have 0 of 100 rows in 2 groups"):
        make_split(table_of(group=np.arange(100) // 90), [TASK], settings)


def test_tox21_by_scaffold(shared_data):
    frame = pd.read_parquet(shared_data / "tox21" / "tox21.parquet")
    scaffold = np.load(shared_data / "tox21" / "ecfp4_1024.npz")["scaffold_id"]
    tasks = [Classification(name) for name in frame.columns[:12]]
    table = Table(frame.assign(scaffold=scaffold))
    settings = SplitSettings(by_group="scaffold", largest_first=True, validation=0.1, test=0.1)
    split = make_split(table, tasks, settings)
    assert split.counts() == {"train": 6411, "validation": 801, "test": 802, "dropped": 0}
    for part, rows in enumerate(scaffold_cut(scaffold)):
        assert split.rows(part).tolist() == rows.tolist()
