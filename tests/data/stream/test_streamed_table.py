"""What a streamed table is known by, where it may be, and how its rows are split and drawn."""

import numpy as np
import pandas as pd
import pytest
from streamed_people import INPUTS, TASKS, make_people

import polytask as pt
from polytask.data import (
    SplitSettings,
    StreamedTable,
    draw_fitting_rows,
    make_split,
    open_rows,
    read,
    split_stream,
)
from polytask.errors import ConfigError, SchemaError
from polytask.experiment import DataSettings
from polytask.experiment.streamed import split_all


def test_it_is_the_table_in_memory(people):
    path = people(100, 16)
    table, whole = StreamedTable(path), read(path)
    assert (table.columns, table.num_rows) == (whole.columns, whole.num_rows)
    assert table.kinds == {name: whole.kind(name) for name in whole.columns}
    rows = np.array([0, 15, 16, 99])
    taken = table.take(["city", "price"], rows)
    assert taken.frame.astype(object).equals(
        whole.frame.loc[rows, ["city", "price"]].reset_index(drop=True).astype(object)
    )
    assert StreamedTable(path, kinds={"whole": "category"}).kinds["whole"] == "category"


def test_a_folder_a_list_and_a_url_are_the_same_rows(people, tmp_path):
    import fsspec

    (tmp_path / "all" / "year=2023").mkdir(parents=True)
    (tmp_path / "all" / "year=2024").mkdir()
    halves = [tmp_path / "all" / f"year={year}" / "rows.parquet" for year in (2023, 2024)]
    frame = make_people(60)
    for path, rows in zip(halves, (frame[:25], frame[25:]), strict=True):
        rows.to_parquet(path, row_group_size=10, index=False)
    folder = StreamedTable(tmp_path / "all")
    system = fsspec.filesystem("memory")
    for path in halves:
        system.makedirs(f"/people/{path.parent.name}", exist_ok=True)
        system.pipe(f"/people/{path.parent.name}/rows.parquet", path.read_bytes())
    url = StreamedTable("memory://people")
    listed = StreamedTable([str(path) for path in halves])
    every = np.arange(60)
    assert folder.take(["year"], every).values("year").tolist() == [2023] * 25 + [2024] * 35
    for table in (folder, url, listed):
        assert table.take(["price"], every).values("price").tolist() == frame["price"].tolist()
    assert folder.fingerprint() == url.fingerprint() != listed.fingerprint()
    assert isinstance(open_rows("memory://people"), StreamedTable)
    system.rm("/people", recursive=True)


def test_the_fingerprint_follows_the_rows(people):
    first = StreamedTable(people(100, 16)).fingerprint()
    assert StreamedTable(people(100, 16)).fingerprint() == first
    assert StreamedTable(people(100, 16, number=0.0)).fingerprint() != first
    assert StreamedTable(people(100, 20)).fingerprint() != first


def test_what_cannot_be_streamed_is_said_in_a_sentence(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    (tmp_path / "rows.parquet").write_text("nothing of Parquet")
    (tmp_path / "empty").mkdir()
    make_people(0).to_parquet(tmp_path / "none.parquet", index=False)
    for place, words in {
        "rows.csv": "only Parquet files are streamed; convert it once",
        "rows.parquet": "broken Parquet file",
        "empty": "the folder holds no .parquet file",
        "missing.parquet": "there is no such file",
        "none.parquet": "the table has columns but 0 rows",
    }.items():
        with pytest.raises(SchemaError, match=words):
            StreamedTable(tmp_path / place)
    with pytest.raises(SchemaError, match="the list of files is empty"):
        StreamedTable([])


def test_files_that_do_not_go_together_are_named(tmp_path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pd.DataFrame({"x": [1.0], "y": [1]}).to_parquet(paths[0])
    pd.DataFrame({"x": [1.0]}).to_parquet(paths[1])
    with pytest.raises(SchemaError, match=r"a.parquet has a column 'y' and .*b.parquet has not"):
        StreamedTable(paths)
    with pytest.raises(SchemaError, match="the file is named twice"):
        StreamedTable([paths[0], paths[0]])


@pytest.mark.parametrize("settings", [{"by_time": "day"}, {"by_time": "price", "test": 0.0}, {"column": "part"}])
def test_parts_that_are_not_drawn_are_those_in_memory(people, settings):
    part = np.array(["train", "valid", "TEST", "training"])[np.arange(100) % 4]
    path = people(
        100,
        16,
        part=part,
        price=[np.nan] * 10 + list(np.arange(90.0)) if settings == {"by_time": "day"} else np.arange(100.0),
    )
    chosen = SplitSettings(**settings)
    found = split_stream(StreamedTable(path), TASKS, chosen)
    assert np.array_equal(found.parts, make_split(read(path), TASKS, chosen).parts)


def test_drawn_parts_have_their_shares_and_drop_rows_without_targets(people):
    sold = np.array(["no", "yes"] * 250, dtype=object)
    sold[:100] = None
    path = people(500, 64, sold=sold, price=[np.nan] * 100 + [1.0] * 400)
    counts = split_stream(StreamedTable(path), TASKS, SplitSettings(validation=0.2, test=0.1)).counts()
    assert counts == {"train": 280, "validation": 80, "test": 40, "dropped": 100}
    other = split_stream(StreamedTable(path), TASKS, SplitSettings(validation=0.2, test=0.1, seed=1))
    assert other.counts() == counts


def test_groups_stay_on_one_side_of_all_tables(people):
    groups = np.arange(600) % 60
    tables = {
        name: (StreamedTable(people(600, 50, name=f"{name}.parquet", of=groups[order])), [task])
        for name, task, order in zip("ab", TASKS, (slice(None), slice(None, None, -1)), strict=True)
    }
    splits = split_all(tables, DataSettings(split=SplitSettings(by_group="of", validation=0.25, test=0.25)))
    part_of = {}
    for name, order in (("a", groups), ("b", groups[::-1])):
        for group, part in zip(order, splits[name].parts, strict=True):
            assert part == -1 or part_of.setdefault(int(group), part) == part
    assert 0.25 < splits["a"].counts()["train"] / 600 < 0.75
    mixed = {"a": tables["a"], "b": (read(people(100, 16, of=np.arange(100))), [TASKS[1]])}
    with pytest.raises(ConfigError, match=r"split.by_group: 'a' is streamed and 'b' is in memory"):
        split_all(mixed, DataSettings(split=SplitSettings(by_group="of")))


def test_no_class_is_lost_and_rare_labels_are_looked_for(people):
    kind = np.array(["a", "b"], dtype=object)[np.arange(2000) % 2]
    kind[[3, 1999]] = ["rare", "last"]
    price = np.full(2000, np.nan)
    price[::100] = 1.0
    path = people(2000, 100, kind=kind, price=price)
    table, tasks = StreamedTable(path), (TASKS[0], pt.Classification("kind"))
    split = split_stream(table, tasks, SplitSettings(validation=0.01, test=0.01, seed=2))
    rows = draw_fitting_rows(table, tasks, split, INPUTS, 50, seed=0)
    expected = {*kind[split.parts == 0]}
    assert {*rows.table.values("kind")[rows.task_rows["kind"]]} == expected
    labelled = np.flatnonzero(~np.isnan(price) & (split.parts == 0))
    assert rows.table.mask("price")[rows.task_rows["price"]].sum() == len(labelled)
    assert rows.split.counts()["train"] == rows.num_training == 50
    assert not rows.is_whole
    assert rows.record()["added"]["price"] > 0


def test_a_similarity_task_is_refused(people):
    table, tasks = StreamedTable(people()), [pt.Similarity("city")]
    split = split_stream(table, tasks, SplitSettings())
    with pytest.raises(SchemaError, match="task 'city': a similarity task compares identities over all rows"):
        draw_fitting_rows(table, tasks, split, ["number"], 50, 0)
