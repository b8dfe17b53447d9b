"""Every command, as it is typed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import polytask as pt
from polytask import __version__
from polytask.cli import app
from polytask.errors import ConfigError

TINY = ["--epochs", "2", "--set", "encoder={mlp: {widths: [8]}}", "--set", "train.batch_size=16"]


def strict(text):
    """JSON as the standard has it: no NaN, no infinity."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def config(folder):
    return yaml.safe_load((folder / "config.yaml").read_text())


# fit -----------------------------------------------------------------------------------------------------------------


def test_fit_a_data_file(polytask, here):
    shown = polytask(
        "fit", "houses.csv", "-t", "price", "-t", "sold=sold_in_30_days:classification", "-o", "run", *TINY
    )
    run = pt.load(here / "run")
    assert [(t.name, t.kind, t.columns[0]) for t in run.tasks] == [
        ("price", "regression", "price"),
        ("sold", "classification", "sold_in_30_days"),
    ]
    assert "56 training, 12 validation, 12 test rows" in shown.stderr
    assert "epoch 2/2" in shown.stderr
    assert "epoch 2/2" not in shown.stdout
    for words in (
        "parameters",
        "price",
        "on validation rows",
        "next: polytask evaluate run",
        "polytask predict run ROWS",
    ):
        assert words in shown.stdout


def test_fit_again_goes_on_where_it_was(polytask, here):
    first = polytask("fit", "houses.csv", "-t", "price", "-o", "run", "-q", *TINY)
    stamp = (here / "run/history.jsonl").stat().st_mtime_ns
    again = polytask("fit", "houses.csv", "-t", "price", "-o", "run", "-q", *TINY)
    assert again.stdout == first.stdout
    assert (here / "run/history.jsonl").stat().st_mtime_ns == stamp


def test_fit_names_its_folder_itself(polytask, here):
    polytask("fit", "houses.csv", "-t", "price", "-q", *TINY)
    (folder,) = (here / "runs").iterdir()
    assert folder.name.startswith("price-")


def test_fit_options_and_overrides(polytask, here):
    polytask(
        "fit", "houses.csv", "-t", "price", "-t", "sold_in_30_days", "-o", "run", "-q",
        "--balancer", "cagrad", "--set", "balancer.cagrad.c=0.3", "--sharing", "hard", "--encoder", "mlp",
        "--set", "encoder.mlp.widths=[8]", "--ignore", "age", "--seed", "5", "--epochs", "3",
        "-s", "train.optimizer={sgd: {momentum: 0.9}}", "-s", "train.learning_rate=1e-5",
        "-s", "data.split.test=0.2", "-s", "data.kinds={rooms: number}", "-s", "tasks.price.hidden=[4]",
        "-s", "tasks.sold_in_30_days.label_smoothing=0.1",
    )  # fmt: skip
    found = config(here / "run")
    assert found["balancer"] == {"cagrad": {"c": 0.3}}
    assert found["encoder"] == {"mlp": {"widths": [8]}}
    assert found["data"]["ignore"] == ["age"]
    assert found["data"]["split"] == {"test": 0.2}
    assert found["data"]["kinds"] == {"rooms": "number"}
    assert found["seed"] == 5
    assert found["train"] == {"epochs": 3, "optimizer": {"sgd": {"momentum": 0.9}}, "learning_rate": 1e-5}
    assert found["tasks"]["price"]["hidden"] == [4]
    assert found["tasks"]["sold_in_30_days"]["label_smoothing"] == 0.1


def test_fit_yaml_with_paths_beside_it(polytask, here):
    (here / "sub").mkdir()
    (here / "sub/run.yaml").write_text(
        "data: {path: ../houses.csv}\n"
        "tasks:\n  price: {kind: regression}\n"
        "balancer: pcgrad\n"
        "train: {epochs: 9, batch_size: 16}\n"
    )
    polytask("fit", "sub/run.yaml", "-o", "run", "-q", "--epochs", "1", "--set", "encoder={mlp: {widths: [4]}}")
    found = config(here / "run")
    assert found["train"] == {"epochs": 1, "batch_size": 16}
    assert found["balancer"] == "pcgrad"
    assert os.path.isabs(found["data"]["path"])  # noqa: PTH117
    polytask("fit", "run/config.yaml", "-o", "again", "-q")
    assert (here / "run/weights/mean.safetensors").read_bytes() == (
        here / "again/weights/mean.safetensors"
    ).read_bytes()


def test_fit_json_is_strict_and_alone(polytask, here):
    # Where a class is missing from the validation rows some scores are not numbers.
    frame = pd.read_csv("houses.csv").assign(part=["train"] * 60 + ["valid"] * 10 + ["test"] * 10)
    frame.loc[60:69, "sold_in_30_days"] = 1
    frame.to_csv("houses.csv", index=False)
    shown = polytask("fit", "houses.csv", "-t", "price", "-t", "sold_in_30_days", "-o", "run", "--json", *TINY,
                     "--set", "data.split.column=part")  # fmt: skip
    found = strict(shown.stdout)
    assert found["run"] == "run"
    assert found["validation"]["sold_in_30_days"]["roc_auc"] is None
    assert found["validation"]["price"]["rows"] == 10
    assert found["test"] is found["test_opened"] is None
    assert "60 training, 10 validation, 10 test rows" in shown.stderr
    assert found["dropped_rows"] == 0
    assert {finding["what"] for finding in found["findings"]} >= {"leak"}


# predict -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def new(here):
    pd.read_csv("houses.csv").drop(columns=["price", "sold_in_30_days"]).head(20).to_csv("new.csv", index=False)
    return "new.csv"


@pytest.mark.parametrize(
    ("suffix", "read"),
    [(".csv", pd.read_csv), (".parquet", pd.read_parquet), (".jsonl", lambda p: pd.read_json(p, lines=True))],
)
def test_predict_to_a_file(polytask, trained, new, suffix, read):
    shown = polytask("predict", trained, new, "-o", f"p{suffix}")
    assert shown.stdout.strip() == f"wrote 20 rows to p{suffix}"
    found = read(f"p{suffix}")
    expected = pt.load(trained).predict(new)
    assert found.columns.tolist() == ["price", "sold"]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, check_dtype=False)
    assert sorted(p for p in os.listdir() if p.startswith(".")) == []  # noqa: PTH208


def test_predict_to_the_terminal(polytask, trained, new, here):
    shown = polytask("predict", trained, new, "--probabilities", "--best-for", "price")
    (here / "shown.csv").write_text(shown.stdout)
    found = pd.read_csv("shown.csv")
    assert found.columns.tolist() == ["price", "sold", "sold[0]", "sold[1]"]
    assert len(found) == 20
    assert polytask("predict", trained, new, "-t", "sold").stdout.splitlines()[0] == "sold"


def test_predict_json(polytask, trained, new):
    rows = [strict(line) for line in polytask("predict", trained, new, "--json").stdout.splitlines()]
    assert len(rows) == 20
    assert set(rows[0]) == {"price", "sold"}
    assert strict(polytask("predict", trained, new, "--json", "-o", "p.csv").stdout) == {"written": "p.csv", "rows": 20}


def test_predict_and_evaluate_where_they_are_told(polytask, trained, new):
    expected = polytask("predict", trained, new).stdout
    assert polytask("predict", trained, new, "--device", "cpu").stdout == expected
    with pytest.raises(ConfigError, match="device: 'gpu7' cannot be used here"):
        polytask("predict", trained, new, "--device", "gpu7")
    with pytest.raises(ConfigError, match="device: 'gpu7' cannot be used here"):
        polytask("evaluate", trained, trained.parent / "houses.csv", "--device", "gpu7")


# evaluate ------------------------------------------------------------------------------------------------------------


def test_evaluate_the_test_part_and_other_rows(polytask, here):
    polytask("fit", "houses.csv", "-t", "price", "-o", "run", "-q", *TINY)
    other = polytask("evaluate", "run", "houses.csv")
    assert "on the rows of houses.csv" in other.stdout
    assert pt.load("run").metrics["test_opened"] is None
    shown = polytask("evaluate", "run")
    assert "on test rows" in shown.stdout
    assert "Run: run" in shown.stdout
    assert pt.load("run").metrics["test_opened"] is not None
    found = strict(polytask("evaluate", "run", "--json").stdout)
    assert found["run"] == "run"
    assert found["scores"]["price"]["rows"] == 12
    assert set(strict(polytask("evaluate", "run", "houses.csv", "-t", "price", "--json").stdout)["scores"]) == {"price"}


# list, demo, the rest ------------------------------------------------------------------------------------------------


def test_list(polytask):
    shown = polytask("list").stdout
    for words in (
        "tasks\n",
        "balancers\n",
        "optimizers\n",
        "augmentations\n",
        "  pcgrad  ",
        "reads             × sum  when to use it",
        "torch.optim.SGD",
        "  alternating ",
    ):
        assert words in shown
    assert polytask("list", "balancers").stdout in shown
    assert "muon" not in shown
    found = strict(polytask("list", "--json").stdout)
    assert set(found) == {
        "tasks",
        "features",
        "encoders",
        "sharings",
        "regularizers",
        "balancers",
        "agendas",
        "optimizers",
        "augmentations",
    }
    (pcgrad,) = (entry for entry in found["balancers"] if entry["name"] == "pcgrad")
    assert (pcgrad["paper"], pcgrad["reads"]) == ("yu2020", ["gramian"])
    assert (pcgrad["weights_like"], pcgrad["levels"], pcgrad["every"]) == ("sum", ["exact", "representation"], "yes")
    assert pcgrad["reference"]["link"] == "https://arxiv.org/abs/2001.06782"
    assert all(entry["summary"] and "\n" not in entry["summary"] for rows in found.values() for entry in rows)


@pytest.mark.parametrize("columns", ["80", "100", "200"])
def test_balancers_are_listed_with_their_cost_and_when_to_use_them(polytask, monkeypatch, columns):
    from polytask.catalogue import costs

    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("polytask.catalogue.costs", lambda: {**costs(), "nash_mtl": 5.25})
    lines = polytask("list", "balancers").stdout.splitlines()
    (row,) = (line for line in lines if line.startswith("  nash_mtl "))
    assert row.split()[:3] == ["nash_mtl", "gramian", "5.25"]
    assert "No task may be hurt" in row
    assert all(len(line) <= int(columns) for line in lines[:-2])
    found = {entry["name"]: entry for entry in strict(polytask("list", "balancers", "--json").stdout)["balancers"]}
    assert found["nash_mtl"]["cost"] == 5.25
    words = " ".join(word for line in lines for word in line[50:].split())
    assert all(entry["use_when"] in words for entry in found.values())


@pytest.mark.parametrize("columns", ["80", "100", "200"])
def test_sharings_are_listed_with_their_cost_and_when_to_use_them(polytask, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("polytask.catalogue.sharing_costs", lambda: {"independent": {"time": 4.5, "parameters": 7.75}})
    lines = polytask("list", "sharings").stdout.splitlines()
    assert " ".join(lines[1].split()) == "× parameters × hard when to use it"
    (row,) = (line for line in lines if line.startswith("  independent "))
    assert row.split()[:3] == ["independent", "7.75", "4.50"]
    (row,) = (line for line in lines if line.startswith("  hard "))
    assert row[24:50].strip() == ""  # not measured
    assert all(len(line) <= int(columns) for line in lines[:-2])
    found = {entry["name"]: entry for entry in strict(polytask("list", "sharings", "--json").stdout)["sharings"]}
    assert (found["independent"]["cost"], found["independent"]["parameters"]) == (4.5, 7.75)
    assert (found["hard"]["cost"], found["hard"]["reference"]["year"]) == (None, 1997)
    words = " ".join(word for line in lines for word in line[50:].split())
    assert all(entry["use_when"] in words for entry in found.values())


@pytest.fixture
def tiny_demo(monkeypatch):
    from dataclasses import replace

    from polytask.demos.demo import DEMOS

    digits = DEMOS["digits"]
    table = digits.table()
    few = pd.concat([rows.head(48) for _, rows in table.groupby("part")])
    settings = {**digits.settings(), "epochs": 1, "batch_size": 16}
    small = replace(digits, table=lambda: few, settings=lambda: settings)
    monkeypatch.setitem(DEMOS, "digits", small)


def test_demo(polytask, tiny_demo, here):
    shown = polytask("demo", "-o", "demo", "--jobs", "0")
    study = pt.Study("demo")
    assert all(task in shown.stdout for task in study.verdict)
    assert study.verdict.headline in " ".join(shown.stdout.split())
    assert "demo/report.html" in shown.stdout
    assert Path("demo/report.html").stat().st_size < 1.5e6
    assert "handwritten digits" in shown.stderr
    found = strict(polytask("demo", "digits", "-o", "demo", "--jobs", "0", "--json").stdout)
    assert set(found["verdict"]["tasks"]) == set(study.verdict)
    assert found["page"] == "demo/report.html"


def test_version(polytask):
    assert polytask("--version").stdout.strip() == __version__


@pytest.mark.parametrize("command", ["fit", "init", "predict", "evaluate", "study", "report", "list", "demo"])
def test_help_of_every_command(polytask, command):
    assert f" {command}" in (shown := polytask(command, "--help").stdout)
    assert "--help" in shown


def test_every_command_is_named_in_the_help(polytask):
    shown = polytask("--help").stdout
    for word in (
        "fit",
        "init",
        "predict",
        "evaluate",
        "study",
        "report",
        "list",
        "demo",
        "--install-completion",
        "--show-completion",
    ):
        assert word in shown


def test_without_a_command_the_help_is_shown(here):
    result = CliRunner().invoke(app, [])
    assert "Usage:" in result.output
    assert result.exit_code in (0, 2)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(shell):
    environment = os.environ | {"SHELL": f"/bin/{shell}", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "polytask", "--show-completion", shell]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "_COMPLETE" in shown.stdout


# Exit codes, in processes of their own -------------------------------------------------------------------------------


def process(*words, cwd, **more):
    command = [sys.executable, "-m", "polytask", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, **more)


def test_a_process_that_succeeds(here, trained, new):
    done = process("predict", trained, new, "--json", cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert len([strict(line) for line in done.stdout.splitlines()]) == 20


def test_a_process_that_was_given_something_wrong(here):
    done = process("fit", "houses.csv", "-t", "pirce", "--json", cwd=here)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: --task pirce: there is no column 'pirce'; did you mean 'price'?\n"
    assert sorted(os.listdir(here)) == ["houses.csv"]  # noqa: PTH208
    assert process("fti", cwd=here).returncode == 2
    assert process("fit", "houses.csv", "--epochs", "many", cwd=here).returncode == 2


def test_a_reader_that_goes_away_is_no_error(here):
    command = f"{sys.executable} -m polytask list | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=here, capture_output=True, text=True, check=False)
    assert done.stdout == "tasks\n"
    assert "Traceback" not in done.stderr


def test_interrupted_it_says_how_to_go_on(here, monkeypatch, capsys):
    import polytask.experiment
    from polytask.cli import main

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(polytask.experiment, "run", stop)
    monkeypatch.setattr(sys, "argv", ["polytask", "fit", "houses.csv", "-t", "price", "-q"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert "interrupted; start the same command again to go on" in capsys.readouterr().err
