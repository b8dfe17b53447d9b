"""`polytask study` and `polytask report`, as they are typed."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from polytask.cli import app
from polytask.errors import PolytaskError
from polytask.studies import Study

TINY = ["--epochs", "1", "--set", "encoder={mlp: {widths: [4]}}", "--set", "train.batch_size=32", "-j", "0", "-q",
        "--set", "study.baselines=[linear]"]  # fmt: skip
TASKS = ["-t", "price", "-t", "sold_in_30_days"]

YAML = """data: {path: houses.csv}
tasks:
  price: {kind: regression}
  sold: {kind: classification, column: sold_in_30_days}
encoder: {mlp: {widths: [4]}}
train: {epochs: 1, batch_size: 32}
study:
  candidates: {plain: sum, tuned: {balancer: {cagrad: {c: 0.4}}, train: {ema: 0.9}}}
  seeds: 3
  grid: {learning_rate: [0.001, 0.01]}
  baselines: [linear]
  region: {price: 0.02, sold: 0.01}
"""


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}


# study ---------------------------------------------------------------------------------------------------------------


def test_study_a_data_file_and_its_report(polytask, here):
    shown = polytask("study", "houses.csv", *TASKS, "-c", "sum", "-c", "uncertainty", "--seeds", "3", "-o", "s", *TINY)
    study = Study(here / "s")
    assert [a["name"] for a in study.results["arms"]] == ["sum", "uncertainty", "twins", "linear"]
    assert study.results["title"] == "houses"
    assert "rows: 56 train, 12 validation, 12 test" in shown.stderr
    for words in ("price", "sold_in_30_days", "mean of tasks", "linear", "uncertainty", "polytask report s"):
        assert words in shown.stdout
    again = polytask("study", "houses.csv", *TASKS, "-c", "sum", "-c", "uncertainty", "--seeds", "3", "-o", "s", *TINY)
    assert again.stdout == shown.stdout
    assert "this study is finished: it is given back as it is" in again.stderr
    assert polytask("report", "s").stdout.strip() == "wrote s/report.html"
    page = (here / "s/report.html").read_text(encoding="utf-8")
    assert "uncertainty" in page
    polytask("report", "s", "-o", "page/index.html")
    assert {"index.html", "index.md", "results.json"} <= files(here / "page")
    polytask("study", "houses.csv", *TASKS, "-c", "sum", "-c", "uncertainty", "--seeds", "3", "-o", "s", *TINY)
    polytask("report", "s/runs/sum/seed-0")


def test_study_yaml_with_its_section_and_fit_of_the_same_file(polytask, here):
    (here / "run.yaml").write_text(YAML)
    shown = polytask("study", "run.yaml", "-o", "s", "--json", "-j", "0")
    found = strict(shown.stdout)
    assert found["study"] == "s"
    assert found["design"]["grid"] == {"learning_rate": [0.001, 0.01]}
    assert [(a["name"], a["settings_tried"]) for a in found["arms"]] == [
        ("plain", 2), ("tuned", 2), ("twins of plain", 2), ("twins of tuned", 2), ("linear", None),
    ]  # fmt: skip
    assert [task["region"] for task in found["tasks"]] == [0.02, 0.01]
    assert found["arms"][1]["overrides"] == {"balancer": {"cagrad": {"c": 0.4}}, "train": {"ema": 0.9}}
    polytask("fit", "run.yaml", "-o", "run", "-q")
    assert (here / "run/run.json").is_file()
    assert "study:" not in (here / "run/config.yaml").read_text()
    # The study's own file is the same study.
    again = polytask("study", "s/config.yaml", "-o", "s", "--json", "-j", "0")
    assert {**strict(again.stdout), "study": "s"} == found


def test_options_come_before_the_file(polytask, here):
    (here / "run.yaml").write_text(YAML)
    shown = polytask("study", "run.yaml", "--dry-run", "--json", "--seeds", "4", "-c", "sum", "-s", "study.grid={}")
    lines = strict(shown.stdout)["lines"]
    assert [(line["arm"], line["runs"]) for line in lines] == [("sum", 4), ("twins", 8), ("linear", 2)]


# --dry-run -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], {"sum": 3, "twins": 6, "linear": 2}),
        (["-s", "study.grid={learning_rate: [0.01, 0.1, 1.0]}"], {"sum": 5, "twins": 10, "linear": 2}),
        (["-s", "study.resplits=2", "-s", "study.companions=[placebo, equal_parameters]"],
         {"sum": 6, "twins": 12, "placebo": 12, "twins of equal parameters": 12, "linear": 4}),
    ],
)  # fmt: skip
def test_a_dry_run_counts_and_leaves_nothing(polytask, here, settings, expected):
    words = ["houses.csv", *TASKS, "--seeds", "3", "-o", "s", *TINY, *settings]
    before = files(here)
    found = strict(polytask("study", *words, "--dry-run", "--json").stdout)
    assert {line["arm"]: line["runs"] for line in found["lines"]} == expected
    assert found["folder"] == "s"
    assert found["seconds"] == pytest.approx(sum(line["seconds"] for line in found["lines"]))
    assert files(here) == before


def test_a_dry_run_says_what_the_study_then_makes(polytask, here):
    words = ["houses.csv", *TASKS, "--seeds", "3", "-o", "s", *TINY, "-s", "study.grid={ema: [null, 0.9]}",
             "-s", "study.companions=[placebo]"]  # fmt: skip
    shown = polytask("study", *words, "--dry-run").stdout
    promised = int(re.search(r"(\d+) Runs into s", shown).group(1))
    assert "at most" in shown
    study = strict(polytask("study", *words, "--json").stdout)
    assert study["cost"]["runs"] == promised == len(study["runs"])


def test_one_task_has_nobody_to_share_with(here):
    words = ["houses.csv", "-t", "price", "--seeds", "3", *TINY]
    assert "there is one task only, 'price'" in refused("study", *words)
    assert "there is one task only, 'price'" in refused("study", *words, "--dry-run")


# Bad input -----------------------------------------------------------------------------------------------------------

CASES = {
    "candidates the same": (["-c", "sum", "-c", "sum"], r"two are called 'sum'; name them"),
    "equal under two names": (["-s", "study.candidates={a: sum, b: sum}"], r"'a' and 'b' are the same; take one out"),
    "no candidate": (["-s", "study.candidates=[]"], r"study.candidates is empty"),
    "unknown candidate": (["-c", "pcgard"], r"unknown balancer 'pcgard'; did you mean 'pcgrad'"),
    "unknown override": (["-s", "study.candidates={a: {sharign: hard}}"], r"candidate 'a'.*unknown key 'sharign'; did you mean 'sharing'"),
    "other tasks": (["-s", "study.candidates={a: {tasks: {price: {primary: mae}}}}"], r"candidate 'a' is of other tasks: price.primary"),
    "jobs": (["-j", "-1"], r"jobs=-1: a number of worker processes, or 0"),
    "seeds": (["--seeds", "0"], r"study.*seeds=0: at least 1, and at least 3 for a verdict"),
    "unknown baseline": (["-s", "study.baselines=[tree]"], r"study.baselines: unknown name 'tree'; did you mean 'trees'"),
    "unknown companion": (["-s", "study.companions=[pool]"], r"companions.*'pool'"),
    "unknown setting": (["-s", "study.seed=3"], r"unknown key 'seed'; did you mean 'seeds'"),
    "grid": (["-s", "study.grid={learnign_rate: [1, 2]}"], r"study.grid: 'learnign_rate' is no setting of train; did you mean 'learning_rate'"),
    "grid of one": (["-s", "study.grid={learning_rate: [0.1]}"], r"two different values or more"),
    "resplits by column": (["-s", "study.resplits=3", "-s", "data.split.column=part"], r"study.resplits: the rows are divided by column 'part'"),
    "folds by column": (["-s", "study.resplits=3-fold", "-s", "data.split.column=part"], r"part"),
    "resplits": (["-s", "study.resplits=many"], r"resplits='many'"),
    "group": (["-s", "study.group=aera"], r"study.group: table 'all' has no column 'aera'; did you mean 'area'"),
    "region": (["-s", "study.region={pirce: 0.1}"], r"study.region: 'pirce' is no task; did you mean 'price'"),
    "no test rows": (["-s", "data.split.test=0"], r"no test rows.*test: 0.15"),
    "study is no section": (["-s", "study=5"], r"study.*a mapping"),
    "pooled": (["-s", "study.companions=[pooled]"], r"pooled wants a table for each task"),
    "no such column": (["-t", "pirce"], r"no column 'pirce'; did you mean 'price'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["study", "dry-run"])
def test_bad_input_is_one_sentence_and_leaves_nothing(here, monkeypatch, capsys, case, dry):
    settings, says = CASES[case]
    frame = pd.read_csv("houses.csv").assign(part=["train"] * 50 + ["valid"] * 15 + ["test"] * 15)
    frame.to_csv("houses.csv", index=False)
    before = files(here)
    result = CliRunner().invoke(app, ["study", "houses.csv", *TASKS, "-o", "s", *TINY, *settings, *dry])
    assert isinstance(result.exception, PolytaskError), result.output
    assert re.search(says, str(result.exception)), result.exception
    assert "\n" not in str(result.exception)
    assert files(here) == before


def refused(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(result.exception, PolytaskError), result.output
    return str(result.exception)


def test_a_folder_that_is_no_studys(here, trained):
    said = refused("study", "houses.csv", *TASKS, "-o", trained, *TINY)
    assert re.search(r"holds '.*' and is no study folder; choose an empty or a new folder", said)
    assert re.search(r"nowhere", refused("report", "nowhere"))
    (here / "empty").mkdir()
    assert "empty" in refused("report", "empty")
    assert files(here / "empty") == set()
    assert "houses.csv" in refused("report", "houses.csv")


def test_the_exit_code_is_2(here, monkeypatch, capsys):
    from polytask.cli import main

    monkeypatch.setattr("sys.argv", ["polytask", "study", "houses.csv", *TASKS, "-c", "pcgard"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


def test_a_group_missing_in_a_test_row_is_said_before_anything_is_trained(here):
    frame = pd.read_csv("houses.csv").assign(part=["train"] * 50 + ["valid"] * 15 + ["test"] * 15)
    frame["who"] = np.arange(80.0)
    frame.loc[79, "who"] = np.nan
    frame.to_csv("houses.csv", index=False)
    said = refused(
        "study", "houses.csv", *TASKS, "-o", "s", *TINY, "-s", "data.split.column=part", "-s", "study.group=who"
    )
    assert "the group column 'who' is missing in 1 of 15 rows, the first in row 79" in said
    assert not (here / "s").exists()
