"""Pseudo-labels and mean teacher beside other settings of data and tasks: what works, what holds out, what is refused."""

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.errors import ConfigError

ONLY_SOLD = {"ignore": ["price"]}


@pytest.fixture
def few(houses):
    """Houses most of which nobody has labelled, of twelve owners; no two are alike."""
    frame = houses.assign(number=np.arange(len(houses)) * 1.0, owner=[f"o{k % 12}" for k in range(len(houses))])
    frame.loc[60:, ["price", "sold"]] = None
    return frame


def borrowed(run):
    return pd.read_parquet(run.path / "borrowed.parquet")


def test_a_key_that_is_held_out_lends_nothing(fit, few):
    run = fit(few, [pt.Classification("sold")], key="owner", pseudo_labels={"confidence": 0.0}, **ONLY_SOLD)
    judges = set(few["owner"][run.split().parts > 0])
    free = few["sold"].isna() & ~few["owner"].isin(judges)
    assert 0 < free.sum() < few["sold"].isna().sum()
    assert borrowed(run)["row"].tolist() == np.flatnonzero(free).tolist()
    more = pt.pseudo_label(run, few.assign(number=few["number"] + 0.5), confidence=0.0, quiet=True).frame
    assert (more["part"] == "train").tolist() == (~few["owner"].isin(judges)).tolist()
    nobody = few.assign(owner=few["owner"].where(few.index != 95), number=few["number"] + 0.5)
    assert pt.pseudo_label(run, nobody, confidence=0.0, quiet=True).frame["part"][95] == "validation"


def test_a_key_holds_out_rows_of_other_tables_and_tables_of_their_own_split(fit, few):
    columns = ["rooms", "age", "number", "owner"]
    sold = few.loc[:59, [*columns, "sold"]]
    price = few.loc[30:, [*columns, "price"]].assign(number=lambda f: f["number"] + 0.5).reset_index(drop=True)
    price["price"] = price["price"].fillna(0.0)
    tasks, data = [pt.Classification("sold"), pt.Regression("price")], {"sold": sold, "price": price}
    settings = {"pseudo_labels": {"confidence": 0.0}, "batch_size": 16}
    run = fit(data, tasks, key="owner", **settings)
    judges = set(sold["owner"][run.split("sold").parts > 0]) | set(price["owner"][run.split("price").parts > 0])
    lent = borrowed(run)
    assert set(lent["table"]) == {"price"}
    assert lent["row"].tolist() == np.flatnonzero(~price["owner"].isin(judges)).tolist()
    run = fit(data, tasks, "groups", splits={"sold": {"by_group": "owner"}}, **settings)
    judges = set(sold["owner"][run.split("sold").parts > 0])
    free = ~price["owner"].isin(judges) & (run.split("price").parts == 0)
    assert borrowed(run)["row"].tolist() == np.flatnonzero(free).tolist()


def test_a_key_that_is_held_out_does_not_train_a_mean_teacher(fit, few, capsys):
    run = fit(few, mean_teacher={}, epochs=1, key="owner", quiet=False)
    parts = run.split().parts
    free = (parts == -1) & ~few["owner"].isin(set(few["owner"][parts > 0]))
    assert f"{free.sum()} of 36 rows without any label serve mean_teacher" in capsys.readouterr().err


def test_where_labels_do_not_count_none_is_borrowed(fit, few):
    task = pt.Classification("sold", where={"area": ["north", "west"]})
    run = fit(few, [task], pseudo_labels={"confidence": 0.0}, batch_size=8, **ONLY_SOLD)
    counts = few["area"].isin(["north", "west"]) & few["sold"].isna() & (run.split().parts <= 0)
    assert borrowed(run)["row"].tolist() == np.flatnonzero(counts).tolist()


def test_a_value_that_means_missing_is_replaced(fit, few):
    task = pt.Classification("sold", missing="?")
    frame = few.assign(sold=few["sold"].fillna("?"))
    run = fit(frame, [task], pseudo_labels={"confidence": 0.0}, **ONLY_SOLD)
    assert len(borrowed(run)) == 36
    more = pt.pseudo_label(run, frame, confidence=0.0, quiet=True).frame
    assert set(more["sold"][60:]) <= {"yes", "no"}


def test_columns_that_exclude_each_other_get_one_of_them(fit, few):
    given = few["sold"].notna()
    frame = few.assign(yes=few["sold"].eq("yes").where(given) * 1.0, no=few["sold"].eq("no").where(given) * 1.0)
    frame = frame.drop(columns=["sold", "price"])
    task = pt.Classification("outcome", columns=["yes", "no"])
    run = fit(frame, [task], pseudo_labels={"confidence": 0.0, "weight": 0.5})
    assert set(borrowed(run)["label"]) <= {'["yes"]', '["no"]'}
    assert len(borrowed(run)) == 36
    more = pt.pseudo_label(run, frame, confidence=0.0, quiet=True).frame
    assert (more[["yes", "no"]].sum(axis=1)[60:] == 1).all()
    assert (more["yes"][60:] == run.predict(frame)["outcome"].eq("yes")[60:]).all()


def test_tables_that_are_merged_lend(fit, few):
    few["id"] = np.arange(len(few))
    data = {"a": few[["id", "rooms", "age"]], "b": few[["id", "distance", "sold"]]}
    run = fit(data, [pt.Classification("sold")], merge="id", pseudo_labels={"confidence": 0.0})
    assert len(borrowed(run)) == 36


def test_borrowed_rows_are_resampled_and_matched(fit, few):
    settings = {"pseudo_labels": {"confidence": 0.0}, "match": True, "resample": "oversample", "epochs": 1}
    columns = ["rooms", "age", "number"]
    data = {"sold": few[[*columns, "sold"]], "price": few.loc[:29, [*columns, "price"]]}
    run = fit(data, [pt.Classification("sold"), pt.Regression("price")], batch_size=16, mean_teacher={}, **settings)
    assert len(borrowed(run)) >= 36
    assert run.history["consistency"].iloc[0] > 0


def test_a_task_of_tokens_trains_beside_a_mean_teacher(fit, few, capsys):
    generator = np.random.default_rng(0)
    words = [list(generator.choice(["a", "b", "c"], size=generator.integers(2, 5))) for _ in range(len(few))]
    tags = [["X" if word == "a" else "O" for word in row] for row in words]
    frame = few.assign(words=words, tags=tags)[["words", "tags", "price"]]
    frame.loc[60:, "tags"] = None
    tasks = [pt.Tagging("tags", tokens="words"), pt.Regression("price", reads=-1)]
    run = fit(frame, tasks, mean_teacher={}, epochs=1, encoder="conv1d", quiet=False)
    said = capsys.readouterr().err
    assert "train.mean_teacher has no effect on task 'tags'" in said
    assert "36 of 36 rows without any label serve mean_teacher" in said
    assert run.history["consistency"].iloc[0] > 0


def test_tasks_that_cannot_lend_are_a_sentence(fit, few):
    few["known"] = few["sold"].notna()
    masked = pt.Classification("sold", mask="known")
    positive = pt.Classification("sold", criterion="nnpu", prior=0.5)
    for task, words in {
        masked: "'sold' has a mask",
        positive: "'sold' learns from unlabelled rows as they are",
    }.items():
        with pytest.raises(ConfigError, match=f"no task can lend a label: {words}"):
            fit(few, [task], pseudo_labels={}, **ONLY_SOLD)
    run = fit(few, [positive], epochs=1, **ONLY_SOLD)
    with pytest.raises(ConfigError, match=r"pseudo_label: task 'sold' .* \(criterion nnpu\)"):
        pt.pseudo_label(run, few)


def test_settings_that_exclude_it_are_a_sentence(fit, few, tmp_path):
    path = tmp_path / "few.parquet"
    few.to_parquet(path)
    with pytest.raises(ConfigError, match="pseudo_labels and stream exclude each other: labels are borrowed for rows"):
        fit(str(path), stream=True, pseudo_labels={})
    with pytest.raises(ConfigError, match=r"train.mean_teacher and data.stream exclude each other: .*train without"):
        fit(str(path), stream=True, mean_teacher={})
    with pytest.raises(ConfigError, match="pseudo_labels and by exclude each other: tasks of one value would borrow"):
        fit(few, by="area", pseudo_labels={})
    streamed = fit(str(path), [pt.Classification("sold")], stream=True, epochs=1, batch_size=8, **ONLY_SOLD)
    with pytest.raises(ConfigError, match=r"pseudo_label: this Run was trained with data.stream, .*without stream"):
        pt.pseudo_label(streamed, few)
    by = fit(few, [pt.Classification("sold")], "by", by="area", epochs=1, batch_size=2, ignore=["price"])
    with pytest.raises(ConfigError, match=r"pseudo_label: this Run was trained with data.by, .*without by"):
        pt.pseudo_label(by, few)
