"""From the user's door: training rows are augmented, judged ones never, and resume is exact."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import yaml

import polytask as pt
from polytask.data import read_augmentations, row_augmentations
from polytask.data.augment import Flip, Mixup, Noise
from polytask.errors import ConfigError
from polytask.experiment import Experiment, Source
from polytask.experiment.more_rows import MoreRows, along_of
from polytask.runs import load

#: Of the conftest's fits.
TINY = {"batch_size": 32}
LENET = {"epochs": 2, "batch_size": 16, "encoder": "lenet"}


def weights(run):
    return (run.path / "weights" / "mean.safetensors").read_bytes()


def make_pictures(rows=60):
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(rows)]
    frame = pd.DataFrame({"photo": pd.Series(pictures, dtype=object)})
    frame["bright"] = [float(picture.mean()) for picture in pictures]
    frame["red"] = [["no", "yes"][int(p[..., 0].mean() > p[..., 2].mean())] for p in pictures]
    return frame


def test_training_differs_and_is_the_same_twice(fit):
    plain, first, again = fit(), fit(folder="b", augment=["noise"]), fit(folder="c", augment=[Noise.with_()])
    assert weights(first) == weights(again)
    assert weights(first) != weights(plain)


def test_n_and_n_steps_are_two_n(fit, monkeypatch):
    settings = {"augment": [{"noise": {"deviation": 0.3}}, "mixup"], "epochs": 4, "batch_size": 20}
    whole = fit(folder="whole", **settings)
    from polytask.train import loop

    saved, stopped = loop.save_checkpoint, []

    def save_and_stop(session, folder):
        saved(session, folder)
        if session.epoch == 2 and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        fit(folder="parts", **settings)
    parts = fit(folder="parts", **settings)
    assert stopped
    assert weights(parts) == weights(whole)
    lines = [
        [json.loads(line) for line in (run.path / "history.jsonl").read_text().splitlines()] for run in (whole, parts)
    ]
    for records in lines:
        for record in records:
            record.pop("timing")
    assert lines[0] == lines[1]


def test_only_training_batches_are_changed(fit, monkeypatch):
    seen: list[int] = []
    changed = Noise.__call__

    def spy(self, batch, generator):
        seen.append(batch.num_rows)
        return changed(self, batch, generator)

    monkeypatch.setattr(Noise, "__call__", spy)
    run = fit(augment=["noise"], balancer="famo")
    taken = sum(seen)
    rows = sum(json.loads(line)["rows"] for line in (run.path / "history.jsonl").read_text().splitlines())
    assert rows <= taken <= rows + 2 * TINY["batch_size"]  # and one for the cosines, at the start of each epoch
    before = len(seen)
    run.evaluate()
    run.predict(pd.DataFrame({"rooms": [1.0], "age": [1.0], "distance": [0.0], "area": ["north"]}))
    assert len(seen) == before


def test_validation_scores_are_of_plain_rows(fit):
    plain = fit()
    run = fit(folder="still", augment=[{"noise": {"deviation": 0.0}}])
    assert weights(run) == weights(plain), "no noise is no change at all"


def test_pictures_from_the_users_door(tmp_path):
    run = pt.fit(
        make_pictures(),
        [pt.Regression("bright"), pt.Classification("red")],
        augment=[
            "flip",
            "rotate",
            "crop",
            "padded_crop",
            "blur",
            "color_jitter",
            "erase",
            {"mixup": {"probability": 0.5}},
            "cutmix",
        ],
        folder=tmp_path / "run",
        quiet=True,
        **LENET,
    )
    assert json.loads((run.path / "run.json").read_text())["state"] == "finished"
    citations = (run.path / "citations.bib").read_text()
    assert all(key in citations for key in ("zhang2018", "yun2019", "zhong2020"))
    config = (run.path / "config.yaml").read_text()
    assert "augment:" in config
    assert Experiment.read(yaml.safe_load(config)).data.augment[0] == Flip.with_()
    assert load(run.path).predict(make_pictures(3)) is not None


def test_it_is_written_and_read(tasks):
    from polytask.experiment.arguments import experiment_from

    experiment = experiment_from(tasks, augment=["flip", {"mixup": {"alpha": 0.4}}, {"crop": {"area": [0.5, 0.8]}}])
    written = experiment.written()
    assert written["data"]["augment"] == ["flip", {"mixup": {"alpha": 0.4}}, {"crop": {"area": [0.5, 0.8]}}]
    assert Experiment.read(json.loads(json.dumps(written))) == experiment
    assert "augment" not in experiment_from(tasks).written()["data"]


@pytest.mark.parametrize(
    ("augment", "sentence"),
    [
        (["flp"], "unknown augmentation 'flp'; did you mean 'flip'"),
        (["flip"], "augmentation flip: there is no picture column among the inputs"),
        ([{"noise": {"deviaton": 0.1}}], "unknown setting 'deviaton'; did you mean 'deviation'"),
        ([{"noise": {"deviation": "much"}}], "deviation"),
        ([{"noise": {"deviation": -1.0}}], "augmentation noise: deviation=-1.0, a number from 0 is wanted"),
        ([{"noise": {"columns": ["roms"]}}], "'roms' is no number or vector column; did you mean 'rooms'"),
        ("noise", "augment: a list is wanted"),
        ({"noise": {}}, "augment: a list is wanted"),
    ],
)
def test_sentences(fit, tmp_path, augment, sentence):
    with pytest.raises(ConfigError, match=sentence):
        fit(augment=augment)
    assert not (tmp_path / "run").exists()


def test_a_sentence_of_a_task(fit, houses):
    houses["same"] = [f"p{k % 20}" for k in range(len(houses))]
    with pytest.raises(ConfigError, match=r"mixup: task 'same' \(similarity\) compares rows"):
        fit(houses, [pt.Similarity("same")], augment=[Mixup.with_()])


def test_what_mixup_costs_no_label(fit, houses):
    houses.loc[houses.index[::2], "price"] = None
    run = fit(houses, augment=["mixup"], agenda="alternating")
    assert all(
        np.isfinite(json.loads(line)["training_loss"]["price"])
        for line in (run.path / "history.jsonl").read_text().splitlines()
    )


def test_copies_are_added_to_training_rows_alone(houses, tasks, tmp_path, fit, capsys):
    plain = fit()
    run = fit(folder="copies", augment=[{"number_noise": {"copies": 2}}], quiet=False)
    said = capsys.readouterr().err
    rows = [json.loads((each.path / "history.jsonl").read_text().splitlines()[0])["rows"] for each in (plain, run)]
    assert rows[1] == 3 * rows[0]
    assert f"{2 * rows[0]} changed copies of training rows are added (number_noise)" in said
    validation = [pd.read_parquet(each.path / "predictions" / "validation.parquet")["row"] for each in (plain, run)]
    assert validation[0].equals(validation[1])
    again = fit(folder="again", augment=[{"number_noise": {"copies": 2}}])
    assert weights(again) == weights(run)


def test_words_of_texts(tmp_path):
    generator = np.random.default_rng(0)
    words = np.array(["good", "bad", "film", "long", "fine", "dull", "music", "actor"])
    texts = [" ".join(generator.choice(words, 8)) for _ in range(80)]
    frame = pd.DataFrame({"text": texts, "liked": ["yes" if "good" in text else "no" for text in texts]})
    augment = [{"synonyms": {"words": {"good": ["fine", "great"]}}}, "text_dropout", "text_swap"]
    run = pt.fit(
        frame,
        [pt.Classification("liked")],
        kinds={"text": "text"},
        augment=augment,
        folder=tmp_path / "run",
        quiet=True,
        epochs=1,
    )
    assert json.loads((run.path / "history.jsonl").read_text())["rows"] == 4 * 56
    assert "wei2019" in (run.path / "citations.bib").read_text()


@pytest.mark.parametrize(("augment", "how"), [((), "repeated rows"), (["number_noise"], "changed copies")])
def test_a_small_tasks_table_matches_the_large_one(houses, tmp_path, capsys, augment, how):
    tables = {"price": houses[["rooms", "age", "price"]], "sold": houses[["rooms", "age", "sold"]].iloc[:30]}
    run = pt.fit(
        tables,
        [pt.Regression("price"), pt.Classification("sold")],
        match=0.5,
        augment=augment,
        folder=tmp_path / "run",
        epochs=1,
        batch_size=10,
        agenda="alternating",
    )
    said = capsys.readouterr().err
    own, other = 67, 21
    factor = 2 if augment else 1
    lacks = math.ceil(own * factor / 2) - other * factor
    assert f"sold: {lacks} {how} are added to match the largest table" in said
    assert json.loads((run.path / "history.jsonl").read_text())["rows"] == factor * (own + other) + lacks


def test_match_without_effect_is_said(fit, capsys):
    fit(match=True, quiet=False)
    assert "warning: data.match=True has no effect: there is one table" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"match=1.5: true, or a share of the largest table's rows in \(0, 1\]"):
        fit(folder="b", match=1.5)


def test_sentences_of_copies(fit):
    with pytest.raises(
        ConfigError, match="augmentation text_dropout: there is no text or tokens column among the inputs"
    ):
        fit(augment=["text_dropout"])
    with pytest.raises(ConfigError, match="words"):
        fit(augment=["synonyms"])


# Tags go with their tokens --------------------------------------------------------------------------------------------


def make_tagged(rows=40):
    generator = np.random.default_rng(0)
    words = pd.Series([list(generator.choice(list("abcdef"), 2 + k % 4)) for k in range(rows)])
    return pd.DataFrame({"words": words, "tags": words.map(lambda row: [word.upper() for word in row])})


@pytest.mark.parametrize("tokens", ["words", None])
@pytest.mark.parametrize("name", ["text_swap", "text_dropout"])
def test_tags_go_with_the_only_tokens_where_none_are_named(name, tokens):
    task = pt.Tagging("tags", tokens=tokens)
    source = Source(pt.Table(make_tagged()), (task,))
    (augmentation,) = row_augmentations(read_augmentations([{name: {"copies": 2}}]))
    more = MoreRows(np.arange(40), ["words"], [augmentation]).of(source, np.random.default_rng(0)).frame
    assert len(more) == 120
    assert [[word.upper() for word in row] for row in more["words"]] == more["tags"].tolist()
    assert more["words"].tolist()[40:80] != more["words"].tolist()[:40]


def test_tags_that_could_be_of_several_columns(tmp_path):
    frame = make_tagged()
    frame["lemmas"] = frame["words"]
    with pytest.raises(ConfigError, match="text_swap: the tags of task 'tags' go with one of words, lemmas alone"):
        along_of(
            Source(pt.Table(frame), (pt.Tagging("tags"),)),
            ["words", "lemmas"],
            row_augmentations(read_augmentations(["text_swap"])),
        )


def test_labels_of_places_do_not_shift(tmp_path):
    generator = np.random.default_rng(0)
    waves = pd.Series([generator.normal(size=5 + k % 3) for k in range(40)])
    frame = pd.DataFrame({"wave": waves, "loud": waves.map(lambda wave: [str(x > 0) for x in wave])})
    task = pt.Tagging("loud", tokens="wave")
    with pytest.raises(ConfigError, match="wave_change: task 'loud' has a label at every place of 'wave'"):
        pt.fit(frame, [task], augment=["wave_change"], inputs=["wave"], folder=tmp_path / "run", quiet=True)
