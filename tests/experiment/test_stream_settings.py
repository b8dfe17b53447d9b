"""Settings of data beside `stream`: what works as in memory, and what is refused in a sentence."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.data import AugmentedExamples, StreamedExamples, make_split, read
from polytask.errors import ConfigError, SchemaError
from polytask.experiment import DataSettings, load_sources
from polytask.experiment.given import make_given
from polytask.runs import load

SETTINGS = {"epochs": 1, "batch_size": 16, "encoder": {"mlp": {"widths": [8, 4]}}, "device": "cpu", "threads": 1}


@pytest.fixture
def path(houses, tmp_path):
    houses.assign(who=np.arange(96) // 2, day=np.arange(96)).to_parquet(
        tmp_path / "houses.parquet", row_group_size=13, index=False
    )
    return tmp_path / "houses.parquet"


@pytest.fixture
def paths(path, houses, tasks, tmp_path):
    """A file for each task; the second in another order and with fewer rows."""
    frame = pd.read_parquet(path)
    found = {task.name: tmp_path / f"{task.name}.parquet" for task in tasks}
    frame.drop(columns="sold").to_parquet(found["price"], row_group_size=20, index=False)
    frame.drop(columns="price")[::-1][:80].to_parquet(found["sold"], row_group_size=30, index=False)
    return found


def fit(path, folder, tasks, **settings):
    return pt.fit(path, tasks, folder=folder, quiet=True, **{**SETTINGS, "stream": {"buffer_rows": 30}, **settings})


def given(path, tasks, **settings):
    experiment = pt.Experiment(tasks=tuple(tasks), data=DataSettings(stream=True, **settings))
    sources = load_sources(experiment, path)
    return make_given(experiment, sources), sources


REFUSED = {
    "merge and stream exclude each other: .*as one Parquet file": {"merge": "who"},
    "windows and stream exclude each other: .*pt.windows": {
        "windows": {"series": ["price"], "history": 3, "horizon": 1}
    },
    "by and stream exclude each other: .*give them by task": {"by": "area"},
    "match and stream exclude each other: .*agenda: alternating": {"match": True},
    "resample and stream exclude each other: .*class_weight": {"resample": "oversample"},
    "augment: number_noise and stream exclude each other": {"augment": ["number_noise"]},
    "format='csv' and stream exclude each other: .*convert it once": {"format": "csv"},
    "columns and stream exclude each other": {"columns": ["a"]},
    "workers and stream exclude each other": {"workers": 2},
    "cache and stream exclude each other": {"cache": "there"},
    "unreadable: skip and stream exclude each other": {"unreadable": "skip"},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_wants_all_rows_at_once_is_refused(path, tmp_path, tasks, words):
    with pytest.raises(ConfigError, match=words) as raised:
        fit(path, tmp_path / "run", tasks, **REFUSED[words])
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_the_largest_groups_cannot_come_first(path, tmp_path, tasks):
    with pytest.raises(SchemaError, match=r"split.largest_first: .*leave it out"):
        fit(path, tmp_path / "run", tasks, split={"by_group": "who", "largest_first": True})


def test_a_key_holds_rows_together_over_streamed_tables(paths, tmp_path, tasks):
    made, sources = given(paths, tasks, key="who")
    sides = {}
    for name, split in made.splits.items():
        for who, part in zip(pd.read_parquet(paths[name])["who"], split.parts, strict=True):
            assert sides.setdefault(who, part) == part
    assert set(sides.values()) == {0, 1, 2}
    assert "who" not in made.preprocessor.columns
    assert all(source.stream is not None for source in sources.values())
    assert not [finding for finding in made.findings if finding.what == "entity-sides"]
    assert fit(paths, tmp_path / "run", tasks, key="who").evaluate().keys() == {"price", "sold"}


def test_a_key_beside_other_ways_is_refused(path, paths, houses, tmp_path, tasks):
    for split in ({"by_time": "day"}, {"by_group": "area"}):
        with pytest.raises(SchemaError, match=rf"key='who' and split.{next(iter(split))}=.*leave one of them out"):
            fit(path, tmp_path / "run", tasks, key="who", split=split)
    with pytest.raises(ConfigError, match=r"key: tables 'price' and 'sold' .*split differently"):
        fit(paths, tmp_path / "run", tasks, key="who", splits={"sold": {"seed": 3}})
    mixed = {"price": paths["price"], "sold": pd.read_parquet(paths["sold"])}
    with pytest.raises(ConfigError, match=r"key: 'price' is streamed and 'sold' is in memory"):
        fit(mixed, tmp_path / "run", tasks, key="who")
    with pytest.raises(SchemaError, match=r"key: no table has a column 'whom'"):
        fit(path, tmp_path / "run", tasks, key="whom")
    assert fit(path, tmp_path / "run", tasks, key="who", split={"by_group": "who"}).split().counts()["train"]


def test_a_table_has_a_split_of_its_own(paths, tasks):
    splits = {"sold": pt.data.SplitSettings(by_time="day")}
    made, _ = given(paths, tasks, splits=splits)
    expected = make_split(read(paths["sold"]), [tasks[1]], splits["sold"])
    assert np.array_equal(made.splits["sold"].parts, expected.parts)
    with pytest.raises(SchemaError, match="splits: there is no table 'rent'"):
        given(paths, tasks, splits={"rent": pt.data.SplitSettings()})


def test_batches_are_augmented(path, tmp_path, tasks, monkeypatch):
    module, seen = import_module("polytask.experiment.run"), []
    encode = module.encode
    monkeypatch.setattr(module, "encode", lambda *args: seen.append(encode(*args)) or seen[-1])
    weights = [
        (fit(path, tmp_path / name, tasks, augment=augment).path / "weights" / "mean.safetensors").read_bytes()
        for name, augment in {"plain": (), "mixed": ["mixup"], "again": ["mixup"]}.items()
    ]
    assert weights[1] == weights[2] != weights[0]
    training = seen[1].training["all"]
    assert isinstance(training, AugmentedExamples)
    assert isinstance(training.rows, StreamedExamples)


def test_an_augmented_training_that_was_killed_goes_on_bit_for_bit(path, tmp_path, tasks, monkeypatch):
    settings = {"augment": ["mixup"], "epochs": 3}
    whole = fit(path, tmp_path / "whole", tasks, **settings)
    from polytask.train import loop

    own, count = loop.save_checkpoint, [0]

    def killed(*args):
        own(*args)
        count[0] += 1
        if count[0] == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(path, tmp_path / "killed", tasks, checkpoint_seconds=0.0, **settings)
    monkeypatch.setattr(loop, "save_checkpoint", own)
    again = fit(path, tmp_path / "killed", tasks, checkpoint_seconds=0.0, **settings)
    weights = [(run.path / "weights" / "mean.safetensors").read_bytes() for run in (whole, again)]
    assert weights[0] == weights[1]


def test_columns_are_selected_on_the_drawn_rows(path, tmp_path, tasks):
    run = fit(path, tmp_path / "run", tasks, preprocess={"select": {"keep": 2}}, ignore=["who", "day"])
    assert len(run.predict(path)) == 96
    preprocessor = load(run.path)._preprocessor()
    assert (len(preprocessor.columns), len(preprocessor.unselected)) == (2, 2)


def test_few_labels_are_counted_in_each_table(paths, tasks):
    frame = pd.read_parquet(paths["sold"])
    frame.loc[20:, "sold"] = None
    frame.to_parquet(paths["sold"], row_group_size=30, index=False)
    made, _ = given(paths, tasks)
    few = [finding for finding in made.findings if finding.what == "few-labels"]
    assert [finding.task for finding in few] == ["sold"]


def test_all_kinds_of_tasks_are_trained_on_streamed_rows(path, tmp_path):
    frame = pd.read_parquet(path)
    generator = np.random.default_rng(0)
    frame[["red", "blue"]] = np.eye(2)[generator.integers(0, 2, 96)]
    frame["place"] = [list(row) for row in generator.normal(size=(96, 3))]
    frame["known"] = generator.random(96) < 0.8
    frame.to_parquet(path, row_group_size=13, index=False)
    tasks = [
        pt.Classification("sold", threshold="tuned", mask="known"),
        pt.Classification("colour", columns=["red", "blue"]),
        pt.VectorRegression("place"),
        pt.Regression("price", transform="yeo_johnson", where={"area": ["north", "south"]}),
    ]
    run = fit(path, tmp_path / "run", tasks, ignore=["who", "day"])
    assert set(load(run.path).evaluate()) == {"sold", "colour", "place", "price"}
    assert "tuned_on_validation" in run.metrics
    assert not {"known", "red", "blue"} & set(load(run.path)._preprocessor().columns)


def test_tags_are_learnt_from_streamed_rows(tmp_path):
    generator = np.random.default_rng(0)
    words = [list(generator.choice(["in", "Oslo", "Rome"], n)) for n in generator.integers(1, 7, 80)]
    frame = pd.DataFrame(
        {"words": words, "tags": [["B-city" if w[0].isupper() else "O" for w in row] for row in words]}
    )
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=11, index=False)
    run = fit(tmp_path / "rows.parquet", tmp_path / "run", [pt.Tagging("tags", tokens="words")], encoder="conv1d")
    predicted = run.predict(tmp_path / "rows.parquet")
    assert [len(tags) for tags in predicted["tags"]] == [len(row) for row in words]


def test_a_run_by_value_predicts_a_long_file(path, tmp_path, tasks, monkeypatch):
    run = pt.fit(pd.read_parquet(path), tasks, folder=tmp_path / "run", quiet=True, by="area", **SETTINGS)
    expected = run.predict(pd.read_parquet(path))
    monkeypatch.setattr("polytask.data.stream.rows.PIECE_ROWS", 10)
    pd.testing.assert_frame_equal(run.predict(path), expected, atol=1e-5)
    assert run.evaluate(path).keys() == run.evaluate(pd.read_parquet(path)).keys()
