"""The study folder: what may be gone on with, what is refused, and what a full disk does."""

import errno
import json
import re
import shutil
from pathlib import Path

import pytest

import polytask as pt
from polytask.errors import ConfigError, RunError, SchemaError
from polytask.runs import RunFolder
from polytask.studies import Study


@pytest.fixture
def copied(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished.path, tmp_path / "study"))


def again(study, **changes):
    """The call that made `finished`, on the copy of its folder."""
    settings = {
        "candidates": ["sum", {"encoder": {"mlp": {"widths": [6]}}}], "seeds": 3, "baselines": ("linear",),
        "companions": ("placebo",), "title": "houses",
    } | changes  # fmt: skip
    return study(**settings)


def unfinished(folder: Path) -> None:
    head = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(head | {"state": "training"}))
    (folder / "results.json").unlink(missing_ok=True)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_finished_study_is_given_back(copied, study, finished):
    before = {p: p.stat().st_mtime_ns for p in copied.rglob("*") if p.is_file() and p.name != ".lock"}
    assert again(study).results == finished.results
    assert before == {p: p.stat().st_mtime_ns for p in copied.rglob("*") if p.is_file() and p.name != ".lock"}


def test_what_was_trained_is_not_trained_again(copied, study, finished):
    unfinished(copied)
    gone = copied / "runs/sum/seed-1"
    shutil.rmtree(gone)
    before = {p: p.stat().st_mtime_ns for p in copied.glob("runs/**/run.json")}
    found = again(study)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (gone / "run.json").is_file()
    assert found.results["arms"][0]["scores"] == finished.results["arms"][0]["scores"]
    assert found.results["verdict"] == finished.results["verdict"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": 4}, r"study holds a study with other settings: study.seeds is 3 there and 4 now; choose another folder"),
        ({"learning_rate": 0.5}, r"train.learning_rate is 0.02 there and 0.5 now"),
        ({"candidates": ["sum"]}, r"study.candidates"),
        ({"level": 0.01}, r"study.level is None there and 0.01 now"),
        ({"seed": 3}, r"seed is 0 there and 3 now"),
    ],
)  # fmt: skip
def test_other_settings_are_refused(copied, study, changes, says):
    with pytest.raises(RunError, match=says):
        again(study, **changes)


def test_other_data_are_refused(copied, study, houses):
    houses.loc[3, "age"] += 1
    with pytest.raises(RunError, match=r"holds a study of other data \(table 'all'\); choose another folder"):
        again(study, data=houses)


def test_a_damaged_run_is_named_with_what_to_do(copied, study):
    unfinished(copied)
    flip(copied / "runs/sum/seed-0/weights/mean.safetensors")
    with pytest.raises(
        RunError, match=r"mean.safetensors is damaged.*or remove .*runs/sum/seed-0, and it is trained again"
    ):
        again(study)
    shutil.rmtree(copied / "runs/sum/seed-0")
    assert again(study).results["kind"] == "study"


def test_a_run_of_another_study_is_refused(copied, study, houses, tasks):
    unfinished(copied)
    path = copied / "runs/sum/seed-2/run.json"
    path.write_text(path.read_text().replace('"given": "', '"given": "0'))
    with pytest.raises(RunError, match=r"runs/sum/seed-2 is a Run of another study or of other settings; remove it"):
        again(study)
    shutil.rmtree(path.parent)
    pt.fit(houses, tasks, epochs=1, folder=path.parent, quiet=True)
    with pytest.raises(RunError, match=r"runs/sum/seed-2 is a Run of another study"):
        again(study)


def test_a_damaged_baseline_is_named(copied, study):
    unfinished(copied)
    path = next(copied.glob("baselines/linear/price/**/baseline.json"))
    path.write_text("{")
    with pytest.raises(RunError, match=r"baseline.json is damaged"):
        again(study)
    path.unlink()
    (outputs,) = path.parent.glob("*.safetensors")
    outputs.write_bytes(b"x")
    assert again(study).results["kind"] == "study"
    unfinished(copied)
    outputs.write_bytes(b"x")
    with pytest.raises(RunError, match=r"outputs.safetensors is damaged.*remove its folder, and it is fitted again"):
        again(study)


def test_a_line_of_costs_that_was_cut_is_left_out(copied, study):
    unfinished(copied)
    with (copied / "costs.jsonl").open("a") as handle:
        handle.write('{"folder": "runs/su')
    assert again(study).results["cost"]["runs"] == 24


@pytest.mark.parametrize(
    ("name", "says"),
    [("results.json", r"results.json is damaged"), ("study.json", r"study.json is damaged"), ("checksums.json", r"checksums.json is damaged")],
)  # fmt: skip
def test_damaged_results(copied, name, says):
    (copied / name).write_bytes((copied / name).read_bytes()[:-9])
    with pytest.raises(RunError, match=says):
        Study(copied)


def test_what_is_no_study(copied, tmp_path, finished):
    with pytest.raises(RunError, match=r"nowhere: there is no such study folder.*there is .*study"):
        Study(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"is no study folder: it has no study.json"):
        Study(finished.path / "runs/sum/seed-0")
    path = copied / "study.json"
    path.write_text(re.sub(r'"format": \d+', '"format": 999', path.read_text()))
    with pytest.raises(RunError, match=r"was written by polytask .*study format 999.*upgrade polytask"):
        Study(copied)
    unfinished(copied)
    path.write_text(re.sub(r'"format": \d+', '"format": 1', path.read_text()))
    with pytest.raises(RunError, match=r"is no finished study; start its command again"):
        Study(copied)


def test_a_folder_of_something_else_is_refused(finished, study, tmp_path):
    with pytest.raises(RunError, match=r"holds '.*' and is no study folder"):
        study(folder=finished.path / "runs/sum/seed-0")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(RunError, match=r"holds 'photo.jpg' and is no study folder"):
        study(folder=".")
    with pytest.raises(RunError, match=r"photo.jpg is a file; a study needs a folder"):
        study(folder="photo.jpg")


def test_a_report_in_the_folder_does_not_stand_in_its_way(copied, study, finished):
    pt.report.report(copied, copied / "report.html")
    run = copied / "runs/sum/seed-0"
    pt.report.report(run, run / "report.html")
    unfinished(copied)
    assert again(study).results["verdict"] == finished.results["verdict"]
    pt.report.report(run, run / "report.html")
    RunFolder(run).verify()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"candidates": [{"sharing": {"hard": {"split": 9}}}]}, r"split=9, but the encoder has 3 stages"),
        ({"companions": ("pooled",)}, r"pooled wants a table for each task"),
        ({"companions": ("equal_parameters",), "encoder": {"mlp": {"widths": []}}}, r"MLP has no layer here whose width"),
        ({"group": "spot"}, r"the group column 'spot' is missing in 1 of"),
        ({"candidates": ["sum", "sum"]}, r"two are called"),
        ({"jobs": -1}, r"jobs=-1: a number of worker processes, or 0"),
        ({"device": "gpu7"}, r"train.device: 'gpu7' cannot be used here"),
    ],
)  # fmt: skip
def test_nothing_is_left_of_a_study_that_was_refused(study, houses, tmp_path, changes, says):
    houses["spot"] = houses["area"]
    split = study_split(houses)
    houses.loc[split[0], "spot"] = None
    with pytest.raises((ConfigError, SchemaError), match=says):
        study(houses, **changes)
    assert list(tmp_path.iterdir()) == []


def study_split(houses):
    """The test rows that the study will have."""
    from polytask.data import SplitSettings, Table, make_split

    return make_split(Table.of(houses), [pt.Regression("price"), pt.Classification("sold")], SplitSettings()).rows(
        "test"
    )


def refuse_to_write(monkeypatch, where: str) -> None:
    """The disk is full when a file is written whose path holds `where`."""
    write = RunFolder.write

    def full(self, name, content):
        if where in f"{self.path}/{name}":
            from polytask.runs import explained

            with explained(self / name):
                raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, content)

    monkeypatch.setattr(RunFolder, "write", full)


@pytest.mark.parametrize(
    "where",
    ["twins/sold/seed-1/predictions/validation", "weights/mean", "baselines/linear", "predictions/test", "citations.bib", "study/results.json"],
)  # fmt: skip
def test_a_full_disk_is_one_sentence_and_the_study_goes_on_later(study, monkeypatch, where):
    settings = {"epochs": 1, "baselines": ("linear",)}
    with monkeypatch.context() as patched:
        refuse_to_write(patched, where)
        with pytest.raises(
            RunError, match=r"cannot be written: there is no space left on the disk; free some and start"
        ):
            study(**settings)
    found = study(**settings)
    assert {run["state"] for run in found.results["runs"]} == {"finished"}
