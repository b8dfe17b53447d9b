"""Training on rows that stay in their files, from the user's door."""

import io

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.cli.app import app
from polytask.errors import ConfigError, RunError, SchemaError
from polytask.experiment.run import run as run_experiment
from polytask.runs import load

SETTINGS = {"epochs": 3, "batch_size": 16, "encoder": {"mlp": {"widths": [8, 4]}}, "device": "cpu", "threads": 1}


@pytest.fixture
def path(houses, tmp_path):
    houses.loc[::7, "price"] = np.nan
    houses.to_parquet(tmp_path / "houses.parquet", row_group_size=13, index=False)
    return tmp_path / "houses.parquet"


def fit(path, folder, tasks, **settings):
    return pt.fit(path, tasks, folder=folder, quiet=True, **{**SETTINGS, "stream": {"buffer_rows": 30}, **settings})


def weights(run):
    return (run.path / "weights" / "mean.safetensors").read_bytes()


def test_a_streamed_run_is_a_run(path, tmp_path, tasks):
    run = fit(path, tmp_path / "run", tasks)
    assert set(run.metrics["validation"]) == {"price", "sold"}
    assert load(tmp_path / "run").evaluate()["sold"]["rows"] > 0
    assert len(run.predict(path)) == 96
    assert run.split().counts()["train"] == 68
    assert pt.load(tmp_path / "run", data=path).evaluate().keys() == {"price", "sold"}
    again = pt.Experiment.read(__import__("yaml").safe_load((tmp_path / "run" / "config.yaml").read_text()))
    assert again.data.streaming.buffer_rows == 30
    assert weights(fit(path, tmp_path / "again", tasks)) == weights(run)


@pytest.mark.parametrize("agenda", ["joint", "alternating"])
def test_a_training_that_was_killed_goes_on_bit_for_bit(path, tmp_path, tasks, agenda, monkeypatch):
    whole = fit(path, tmp_path / "whole", tasks, agenda=agenda)
    from polytask.train import loop

    own, count = loop.save_checkpoint, [0]

    def killed(*args):
        own(*args)
        count[0] += 1
        if count[0] == 7:  # in the middle of an epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(path, tmp_path / "killed", tasks, agenda=agenda, checkpoint_seconds=0.0)
    monkeypatch.setattr(loop, "save_checkpoint", own)
    again = fit(path, tmp_path / "killed", tasks, agenda=agenda, checkpoint_seconds=0.0)
    assert weights(again) == weights(whole)


def test_what_is_streamed_is_said(path, tmp_path, tasks):
    said = []
    data = pt.experiment.DataSettings(path=str(path), stream=pt.data.StreamSettings(buffer_rows=30, fit_rows=20))
    experiment = pt.Experiment(tasks=tuple(tasks), data=data, train=pt.Training(epochs=1, device="cpu"))
    run_experiment(experiment, folder=tmp_path / "run", quiet=True, say=said.append)
    text = "\n".join(said)
    assert "streamed from 8 row groups" in text
    assert "rows in buffers of up to 30" in text
    assert "fitted on 20 of 68 training rows, drawn at random, and tasks on more rows" in text
    assert "not stratified, since the rows are streamed" in text
    assert "sechidis2011" not in load(tmp_path / "run").cite()


def test_a_table_in_memory_is_not_streamed_and_that_is_said(houses, tmp_path, tasks, capsys):
    pt.fit(houses, tasks, folder=tmp_path / "run", stream=True, **{**SETTINGS, "epochs": 1})
    assert "warning: stream has no effect on a table in memory" in capsys.readouterr().err


def test_pictures_are_decoded_a_buffer_at_a_time(tmp_path):
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)

    def encoded(pixels):
        buffer = io.BytesIO()
        image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    frame = pd.DataFrame(
        {"picture": [encoded(generator.integers(0, 256, (12, 12), dtype=np.uint8)) for _ in range(40)]}
    )
    frame["bright"] = generator.choice(["yes", "no"], 40)
    frame.to_parquet(tmp_path / "p.parquet", row_group_size=9, index=False)
    run = fit(tmp_path / "p.parquet", tmp_path / "run", [pt.Classification("bright")], encoder="lenet", epochs=1)
    assert run.metrics["validation"]["bright"]["rows"] == 6


def test_each_task_may_have_files_of_its_own(houses, tmp_path, tasks):
    paths = {}
    for task in tasks:
        paths[task.name] = tmp_path / f"{task.name}.parquet"
        houses.drop(columns=[t.name for t in tasks if t is not task]).to_parquet(paths[task.name], row_group_size=20)
    run = fit(paths, tmp_path / "run", tasks)
    assert run.evaluate().keys() == {"price", "sold"}


def test_a_list_of_files(houses, tmp_path, tasks):
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    houses[:40].to_parquet(files[0])
    houses[40:].to_parquet(files[1])
    fit(files, tmp_path / "run", tasks, epochs=1)
    assert load(tmp_path / "run").evaluate().keys() == {"price", "sold"}


def test_bad_settings_and_files(path, houses, tmp_path, tasks):
    houses.to_csv(tmp_path / "houses.csv")
    with pytest.raises(SchemaError, match="only Parquet files are streamed"):
        fit(tmp_path / "houses.csv", tmp_path / "run", tasks)
    with pytest.raises(
        SchemaError, match=r"a number is wanted, got .* \(rows are counted among the 96 that were drawn"
    ):
        fit(path, tmp_path / "run", [pt.Regression("area")])
    with pytest.raises(ConfigError, match="buffer_rows=0: at least 1 row"):
        fit(path, tmp_path / "run", tasks, stream={"buffer_rows": 0})
    with pytest.raises(ConfigError, match=r"data.stream: a study holds all rows in memory"):
        pt.study(path, tasks, ["sum"], stream=True, folder=tmp_path / "study", quiet=True)
    assert not (tmp_path / "run").exists()


def test_other_data_in_the_folder_are_refused(path, houses, tmp_path, tasks):
    fit(path, tmp_path / "run", tasks, epochs=1)
    houses.assign(age=0.5).to_parquet(path, row_group_size=13, index=False)
    with pytest.raises(RunError, match="holds a Run on other data"):
        fit(path, tmp_path / "run", tasks, epochs=1)


def test_long_files_are_predicted_and_written_by_parts(path, houses, tmp_path, tasks, monkeypatch):
    from typer.testing import CliRunner

    run = fit(path, tmp_path / "run", tasks, epochs=1)
    expected = run.predict(houses)
    monkeypatch.setattr("polytask.data.stream.rows.PIECE_ROWS", 10)
    assert len(list(run.predict_by_parts(path))) == 8
    pd.testing.assert_frame_equal(run.predict(path), expected, atol=1e-5)
    assert run.evaluate(path)["price"]["rows"] == int(pd.read_parquet(path)["price"].notna().sum())
    for name in ("p.parquet", "p.csv", "p.jsonl"):
        ended = CliRunner().invoke(app, ["predict", str(tmp_path / "run"), str(path), "-o", str(tmp_path / name)])
        assert "wrote 96 rows" in ended.stdout, ended
    written = [
        pd.read_parquet(tmp_path / "p.parquet"),
        pd.read_csv(tmp_path / "p.csv"),
        pd.read_json(tmp_path / "p.jsonl", lines=True),
    ]
    for frame in written:
        pd.testing.assert_frame_equal(frame, expected, check_dtype=False, atol=1e-5)


def test_the_command_streams(path, tmp_path):
    from typer.testing import CliRunner

    command = ["fit", str(path), "-t", "price", "-t", "sold", "--stream", "-o", str(tmp_path / "run"), "--epochs", "1"]
    ended = CliRunner().invoke(app, [*command, "--quiet", "--set", "train.device=cpu"])
    assert ended.exit_code == 0, ended
    assert "stream: true" in (tmp_path / "run" / "config.yaml").read_text()
