"""Bad input, from the command line as a user meets it.

Each case ends with exit code 2 and one sentence on the error stream that names what came, where, and what would work;
nothing half-written is left, nothing good overwritten.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FRAME = pd.DataFrame(
    {
        "rooms": np.arange(60) % 7 + 0.5,
        "age": np.linspace(0, 90, 60),
        "area": ["north", "south", "east"] * 20,
        "price": np.arange(60) * 1.5 + (np.arange(60) % 5),
        "sold": [0, 1] * 30,
        "grade": ["low", "mid", "high"] * 20,
        "when": pd.date_range("2024-01-01", periods=60).astype(str),
        "part": (["train"] * 4 + ["valid", "test"]) * 10,
    }
)


def with_cell(column: str, row: int, value: object) -> pd.DataFrame:
    frame = FRAME.astype({column: object})
    frame.loc[row, column] = value
    return frame


@dataclass
class Case:
    """What is written into an empty folder, what is typed there, and what the sentence says."""

    name: str
    says: str
    files: dict[str, object] | None = None
    command: str = "fit d.csv -t price -t sold"


def column(**changes: object) -> dict[str, object]:
    return {"d.csv": FRAME.assign(**changes)}


YAML = "data: {path: d.csv}\ntasks:\n  price: {kind: regression}\n"


def yaml(text: str) -> dict[str, object]:
    return {"run.yaml": text, "d.csv": FRAME}


CASES = [
    # files
    Case("no such file", r"nowhere\.csv: there is no such file", command="fit nowhere.csv -t price"),
    Case("empty file", r"d\.csv: the file is empty", {"d.csv": b""}),
    Case("only a header", r"d\.csv.*0 rows", {"d.csv": b"rooms,price,sold\n"}),
    Case("unknown suffix", r"d\.xls: unknown ending '\.xls'; known: ", {"d.xls": b"1"}, "fit d.xls -t price"),
    Case("not UTF-8", r"d\.csv, line 2: is not UTF-8 .*Latin-1", {"d.csv": "a,price\nü,1\n".encode("latin-1")}),
    Case("UTF-16", r"d\.csv: is UTF-16, not UTF-8", {"d.csv": "a,price\n1,2\n".encode("utf-16")}),
    Case("broken Parquet", r"d\.parquet: broken Parquet file", {"d.parquet": b"PAR1 nonsense"}, "fit d.parquet -t price"),
    Case("broken Arrow", r"d\.arrow: broken Arrow file", {"d.arrow": b"ARROW1 nonsense"}, "fit d.arrow -t price"),
    Case("broken gzip", r"d\.csv\.gz: broken gzip", {"d.csv.gz": b"\x1f\x8b nonsense"}, "fit d.csv.gz -t price"),
    Case("broken JSON line", r"d\.jsonl, line 2: broken JSON", {"d.jsonl": b'{"price": 1}\n{"price\n'}, "fit d.jsonl -t price"),
    Case("JSON line no object", r"d\.jsonl, line 1: an object .* got a list", {"d.jsonl": b"[1]\n"}, "fit d.jsonl -t price"),
    Case("empty folder", r"folder: the folder holds no \.parquet file", {"folder/x.txt": b""}, "fit folder -t price"),
    Case("duplicate column names", r"'price' stands .*2 times|'price' .*twice", {"d.csv": b"price,sold,price\n1,0,2\n"}),
    Case("too many fields", r"d\.csv, line 3", {"d.csv": b"a,price,sold\n1,2,0\n1,2,0,4\n"}),
    # tasks and columns
    Case("no task", r"name what to predict: --task", command="fit d.csv"),
    Case("no such column", r"no column 'pirce'; did you mean 'price'\?", command="fit d.csv -t pirce"),
    Case("a task's name", r"a task's name is letters.*column='the price'", command="fit d.csv -t 'the price=price:regression'"),
    Case("unknown kind of task", r"unknown kind of task 'clasification'; did you mean 'classification'", command="fit d.csv -t sold:clasification"),
    Case("two tasks of one name", r"two tasks have the same name", command="fit d.csv -t price -t price=age"),
    Case("a task called mean", r"cannot be called 'mean'", column(mean=FRAME["price"]), "fit d.csv -t mean"),
    Case("target all missing", r"'price' has no value in any", column(price=np.nan)),
    Case("one class", r"task 'sold'.*column 'sold'.*one class", column(sold=1), "fit d.csv -t price -t sold:classification"),
    Case("strings in a numeric target", r"task 'price'.*'cheap'", {"d.csv": with_cell("price", 7, "cheap")}, "fit d.csv -t price:regression"),
    Case("infinite target", r"task 'price'.*inf", {"d.csv": with_cell("price", 7, np.inf)}, "fit d.csv -t price:regression"),
    Case("ordinal strings without order", r"task 'grade'.*order", command="fit d.csv -t grade:ordinal"),
    Case("unknown setting of a task", r"unknown key 'colum'; did you mean 'column'", yaml(YAML.replace("regression}", "regression, colum: x}")), "fit run.yaml"),
    Case("unknown metric", r"primary='auc' is no metric of a regression task", yaml(YAML.replace("regression}", "regression, primary: auc}")), "fit run.yaml"),
    Case("negative weight", r"task 'price': the weight in column 'w', row 3, is -1", {**yaml(YAML.replace("regression}", "regression, weight: w}")), "d.csv": FRAME.assign(w=np.where(np.arange(60) == 3, -1, 1))}, "fit run.yaml"),
    Case("no such weight column", r"task 'price'.*'wieght'.*did you mean 'weight'", {**yaml(YAML.replace("regression}", "regression, weight: wieght}")), "d.csv": FRAME.assign(weight=1)}, "fit run.yaml"),
    Case("a stage that is not there", r"task 'price' reads stage 9, but the encoder has 3 stages", yaml(YAML.replace("regression}", "regression, reads: 9}")), "fit run.yaml"),
    Case("waits for nobody", r"task 'price' waits for 'sodl'", yaml(YAML.replace("regression}", "regression, after: [sodl]}")), "fit run.yaml"),
    Case("infinite input", r"column 'age', row 5: inf", {"d.csv": with_cell("age", 5, np.inf)}),
    Case("unknown ignored column", r"ignore: there is no column 'agee'; did you mean 'age'", command="fit d.csv -t price --ignore agee"),
    Case("target among inputs", r"'price' is the target of task 'price'", command="fit d.csv -t price --set data.inputs=[price,age]"),
    Case("no input left", r"no column is left to be an input", {"d.csv": FRAME[["price", "sold"]]}),
    Case("unknown kind of column", r"column 'age': unknown kind 'nmber'; did you mean 'number'", command="fit d.csv -t price --set data.kinds={age: nmber}"),
    Case("a word as number", r"column 'area', row 0: 'north' is no number", command="fit d.csv -t price --set data.kinds={area: number}"),
    # splits
    Case("shares over 1", r"validation=0\.6 and test=0\.6", command="fit d.csv -t price --set data.split={validation: 0.6, test: 0.6}"),
    Case("no rows after the split", r"the \w+ part would have 0 of", {"d.csv": FRAME.head(2)}),
    Case("no such group", r"split: there is no column 'grup'", command="fit d.csv -t price --set data.split.by_group=grup"),
    Case("too few groups", r"the \w+ part would have 0 of .* 1 groups", column(one="a"), "fit d.csv -t price --set data.split.by_group=one"),
    Case("missing group", r"the group column 'area' is missing in 1 of 60", {"d.csv": with_cell("area", 3, None)}, "fit d.csv -t price --set data.split.by_group=area"),
    Case("no order in time", r"'area' is of kind category, which has no order in time", command="fit d.csv -t price --set data.split.by_time=area"),
    Case("strange part", r"'part' says 'tset' in row 2", {"d.csv": with_cell("part", 2, "tset")}, "fit d.csv -t price --set data.split.column=part"),
    # choices
    Case("unknown balancer", r"unknown balancer 'pcgard'; did you mean 'pcgrad'", command="fit d.csv -t price --balancer pcgard"),
    Case("a balancer without its weights", r"fixed: it needs a weight for every task: weights=\{'price': 1\.0\}", command="fit d.csv -t price --balancer fixed"),
    Case("a preference below 0", r"epo: the preference of task 'sold' is -1\.0, a finite number > 0 is wanted", command="fit d.csv -t price -t sold --set balancer={epo: {preferences: [1, -1]}}"),
    Case("too few preferences", r"epo: 1 preferences for the 2 tasks \['price', 'sold'\]: preferences=\{'price': 1\.0, 'sold': 1\.0\}", command="fit d.csv -t price -t sold --set balancer={epo: {preferences: [1]}}"),
    Case("a preference for nobody", r"epo: a preference for the unknown task 'sld'; did you mean 'sold'", command="fit d.csv -t price -t sold --set balancer={epo: {preferences: {price: 1, sld: 2}}}"),
    Case("no main task of that name", r"cosine_gate: main='pirce' is no task; did you mean 'price'", command="fit d.csv -t price -t sold --set balancer={cosine_gate: {main: pirce}}"),
    Case("unknown balancer inside", r"balancer\.smooth\.of\.pcgard: unknown balancer 'pcgard'; did you mean 'pcgrad'", command="fit d.csv -t price --set balancer={smooth: {of: pcgard}}"),
    Case("a direction has no weights to smooth", r"smooth: GradDrop gives a direction of its own and no weights to average", command="fit d.csv -t price --set balancer={smooth: {of: graddrop}}"),
    Case("weights never solved", r"run\.yaml, line 4, gradients: every=0: a whole number of at least 1 is wanted", yaml(YAML + "gradients: {every: 0}\n"), "fit run.yaml"),
    Case("weights solved at a fraction", r"run\.yaml, line 4, gradients\.every: got 1\.5, a whole number is wanted", yaml(YAML + "gradients: {every: 1.5}\n"), "fit run.yaml"),
    Case("unknown level", r"run\.yaml, line 4, gradients\.level: got 'representaton'.* did you mean 'representation'\?", yaml(YAML + "gradients: {level: representaton}\n"), "fit run.yaml"),
    Case("nothing of J at once", r"run\.yaml, line 4, gradients: chunk=0: a whole number of at least 1", yaml(YAML + "gradients: {chunk: 0}\n"), "fit run.yaml"),
    Case("unknown setting of the engine", r"run\.yaml, line 4, gradients\.evry: unknown key 'evry'; did you mean 'every'", yaml(YAML + "gradients: {evry: 2}\n"), "fit run.yaml"),
    Case("a level that a balancer does not admit", r"GradDrop: level='representation', but .*: level='exact'", command="fit d.csv -t price --set balancer=graddrop --set gradients.level=representation"),
    Case("a balancer that needs every step", r"MoCo: every=5, but it needs the gradients of every step: every=1", command="fit d.csv -t price --set balancer=moco --set gradients.every=5"),
    Case("an optimizer that needs every step", r"AdaTask: .*every=5: it takes the exact gradients of every step", command="fit d.csv -t price --set train.optimizer=adatask --set gradients.every=5"),
    Case("steps of a full pass", r"steps has no effect with order='proportional'", command="fit d.csv -t price --set agenda={alternating: {steps: 3}}"),
    Case("data that are no section", r"data.*a mapping", command="fit d.csv -t price --set data=5"),
    Case("unknown sharing", r"unknown sharing 'mtl'; known: .*hard, independent", command="fit d.csv -t price --sharing mtl"),
    Case("unknown setting of a balancer", r"balancer.cagrad.cc.*unknown setting 'cc'", command="fit d.csv -t price --set balancer={cagrad: {cc: 1}}"),
    Case("wrong type of a setting", r"widths", command="fit d.csv -t price --set encoder={mlp: {widths: wide}}"),
    Case("an encoder that cannot read this", r"lenet.*mlp", command="fit d.csv -t price --encoder lenet"),
    Case("split beyond the stages", r"split=9, but the encoder has 3 stages", command="fit d.csv -t price --set sharing={hard: {split: 9}}"),
    Case("unknown optimizer", r"unknown optimizer 'adamm'; did you mean 'adam'", command="fit d.csv -t price --set train.optimizer=adamm"),
    Case("lr in the wrong place", r"unknown setting 'lr'; it is train\.learning_rate", command="fit d.csv -t price --set train.optimizer={sgd: {lr: 1}}"),
    Case("batch larger than the data", r"batch_size=4096, but there are \d+ training rows; use at most", command="fit d.csv -t price --set train.batch_size=4096"),
    Case("zero epochs", r"epochs=0: at least 1", command="fit d.csv -t price --epochs 0"),
    Case("epochs in words", r"train\.epochs.*'many'", command="fit d.csv -t price --set train.epochs=many"),
    Case("no such device", r"train\.device: 'gpu7' cannot be used here", command="fit d.csv -t price --set train.device=gpu7"),
    Case("stops by nobody", r"early_stopping\.by: 'pirce' is no task; did you mean 'price'", command="fit d.csv -t price --set train.early_stopping.by=pirce"),
    Case("negative seed", r"seed.*whole number from 0", command="fit d.csv -t price --seed -1"),
    Case("NaN loss while training", r"the loss of task 'price' became (nan|inf).*lower learning_rate", command="fit d.csv -t price:regression --set train.learning_rate=1e30 --set train.optimizer=sgd --set train.early_stopping.patience=null"),
    # YAML
    Case("malformed YAML", r"run\.yaml, line 2: malformed YAML", yaml("data: {path: d.csv}\ntasks: [a\n"), "fit run.yaml"),
    Case("unknown key", r"run\.yaml, line 4, trian: unknown key 'trian'; did you mean 'train'", yaml(YAML + "trian: {epochs: 2}\n"), "fit run.yaml"),
    Case("unknown inner key", r"run\.yaml, line 5, train\.epoch: unknown key 'epoch'; did you mean 'epochs'", yaml(YAML + "train:\n  epoch: 2\n"), "fit run.yaml"),
    Case("a key twice", r"line 4.*stands twice|line 4.*twice", yaml(YAML + "data: {path: d.csv}\n"), "fit run.yaml"),
    Case("a list for a mapping", r"run\.yaml.*mapping", yaml("- 1\n"), "fit run.yaml"),
    Case("no tasks in YAML", r"tasks.*mapping", yaml("data: {path: d.csv}\n"), "fit run.yaml"),
    Case("no data in YAML", r"no data.*data\.path", yaml("tasks:\n  price: {kind: regression}\n"), "fit run.yaml"),
    Case("no such YAML", r"run\.yaml: there is no such file", command="fit run.yaml"),
    Case("a setting without value", r"--set 'train\.epochs': write key=value", command="fit d.csv -t price --set train.epochs"),
    # folders and Runs
    Case("an output folder of somebody's own", r"holds 'photo\.jpg' and is no Run folder", {"d.csv": FRAME, "own/photo.jpg": b"x"}, "fit d.csv -t price -o own"),
    Case("an output that is a file", r"d\.csv is a file; a Run needs a folder", command="fit d.csv -t price -o d.csv"),
    Case("no such Run", r"no_run: there is no such Run folder", command="predict no_run d.csv"),
    Case("a folder that is no Run", r"is no finished Run|no run\.json", {"d.csv": FRAME, "x/y": b""}, "predict x d.csv"),
    Case("init overwrites nothing", r"run\.yaml exists; choose another --out, or --force", yaml(YAML), "init d.csv"),
    Case("no such catalogue", r"no catalogue 'balancer'; did you mean 'balancers'", command="list balancer"),
    Case("no such demo", r"no demo 'digit'; did you mean 'digits'", command="demo digit"),
]  # fmt: skip


def write(folder: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            content.to_csv(folder / name, index=False)
        elif isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            (folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def words(command: str) -> list[str]:
    """Splits a command; `--set key=value with {braces}` may hold blanks."""
    found = re.findall(r"'[^']*'|--set \S+?=\{.*?\}+(?= --|$)|\S+", command)
    split: list[str] = []
    for word in found:
        split += ["--set", word[6:]] if word.startswith("--set ") else [word.strip("'")]
    return split


def refuse(command: list[str], monkeypatch, capsys) -> str:
    """Runs the command line; it must end with code 2 and one sentence, which is returned."""
    from polytask.cli import main

    monkeypatch.setattr(sys, "argv", ["polytask", *command])
    with pytest.raises(SystemExit) as stop:
        main()
    shown = capsys.readouterr().err
    assert stop.value.code == 2, shown
    errors = [line for line in shown.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, shown
    assert "Traceback" not in shown
    assert shown.splitlines()[-1] == errors[0], "the sentence is one line, and the last one"
    return errors[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_is_refused_in_one_sentence(case: Case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"d.csv": FRAME} if case.files is None else case.files)
    before = contents(tmp_path)
    command = words(case.command)
    if command[0] == "fit":
        command += ["--quiet"] + ([] if "--epochs" in command else ["--epochs", "2"])
    message = refuse(command, monkeypatch, capsys)
    assert re.search(case.says, message), message
    assert contents(tmp_path) == before, "nothing half-written is left, nothing good overwritten"


def test_there_are_enough_cases():
    assert len({case.name for case in CASES}) >= 60


# What a finished Run refuses -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    import polytask as pt

    folder = tmp_path_factory.mktemp("runs") / "run"
    pt.fit(FRAME, [pt.Regression("price"), pt.Classification("sold")], epochs=2, folder=folder, quiet=True)
    return folder


@pytest.fixture
def copied(finished, tmp_path, monkeypatch) -> Path:
    import shutil

    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("d.csv", index=False)
    shutil.copytree(finished, "run")
    return tmp_path


def newer(folder: Path) -> None:
    path = folder / "run" / "run.json"
    path.write_text(re.sub(r'"format": \d+', '"format": 999', path.read_text()))


def flip(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / "run" / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / "run" / name).write_bytes(content)

    return damage


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "run" / name
        path.write_bytes(path.read_bytes()[:-20])

    return damage


def rows(frame: pd.DataFrame) -> Callable[[Path], None]:
    return lambda folder: frame.to_csv(folder / "d.csv", index=False)


NOTHING: Callable[[Path], None] = lambda folder: None  # noqa: E731
RUN_CASES = [
    ("a newer version", newer, "predict run d.csv", r"was written by polytask .* upgrade polytask"),
    ("flipped weights", flip("weights/mean.safetensors"), "predict run d.csv", r"mean\.safetensors is damaged"),
    ("flipped model", flip("model.json"), "predict run d.csv", r"model\.json is damaged"),
    ("cut preprocessing", cut("preprocessing/preprocessing.json"), "predict run d.csv", r"preprocessing\.json is damaged"),
    ("cut metrics", cut("metrics.json"), "evaluate run d.csv", r"metrics\.json is damaged"),
    ("removed weights", lambda f: (f / "run/weights/mean.safetensors").unlink(), "predict run d.csv", r"is missing; restore"),
    ("a missing input", rows(FRAME.drop(columns="age")), "predict run d.csv", r"'age'"),
    ("a word in a number column", rows(with_cell("age", 4, "old")), "predict run d.csv", r"column 'age', row 4: 'old' is no number"),
    ("an infinity", rows(with_cell("age", 4, np.inf)), "predict run d.csv", r"column 'age', row 4: inf"),
    ("a missing target", rows(FRAME.drop(columns="sold")), "evaluate run d.csv", r"task 'sold': there is no column 'sold'"),
    ("no rows file", NOTHING, "predict run none.csv", r"none\.csv: there is no such file"),
    ("an unknown task", NOTHING, "predict run d.csv -t prise", r"'prise' is no task of this Run; did you mean 'price'"),
    ("unknown weights", NOTHING, "predict run d.csv --best-for prise", r"best_for='prise' is no task of this Run"),
    ("an unknown output", NOTHING, "predict run d.csv -o p.xls", r"--out p\.xls: the suffix says the format"),
    ("an unwritable output", NOTHING, "predict run d.csv -o none/p.csv", r"none/p\.csv cannot be written"),
    ("the table was in memory", NOTHING, "evaluate run", r"trained on a table in memory"),
    ("other settings", NOTHING, "fit d.csv -t price -t sold -o run --epochs 9 --quiet", r"holds a Run with other settings: "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "damage", "command", "says"), RUN_CASES, ids=[case[0].replace(" ", "-") for case in RUN_CASES]
)
def test_a_run_refuses(name, damage, command, says, copied, monkeypatch, capsys):
    damage(copied)
    before = {name: content for name, content in contents(copied).items() if not name.endswith(".lock")}
    message = refuse(words(command), monkeypatch, capsys)
    assert re.search(says, message), message
    assert {name: content for name, content in contents(copied).items() if not name.endswith(".lock")} == before


def test_an_interrupted_run_says_so(copied, monkeypatch, capsys):
    path = copied / "run" / "run.json"
    path.write_text(path.read_text().replace('"finished"', '"training"'))
    assert "is no finished Run (its state: training); start its command again" in refuse(
        ["predict", "run", "d.csv"], monkeypatch, capsys
    )


def test_changed_data_are_noticed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("d.csv", index=False)
    command = ["fit", "d.csv", "-t", "price", "-o", "run", "--epochs", "2", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["polytask", *command])
    from polytask.cli import main

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    with_cell("age", 3, 12.0).to_csv("d.csv", index=False)
    assert "holds a Run on other data" in refuse(command, monkeypatch, capsys)
    capsys.readouterr()
    assert "are not those this Run was trained on" in refuse(["evaluate", "run"], monkeypatch, capsys)


def test_a_full_disk_at_a_checkpoint(tmp_path, monkeypatch, capsys):
    import os

    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("d.csv", index=False)
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 14:
            raise OSError(28, "No space left on device")
        real(handle)

    command = ["fit", "d.csv", "-t", "price", "-o", "run", "--epochs", "20", "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "there is no space left on the disk; free some and start the same command again" in refuse(
            command, patch, capsys
        )
    from polytask.cli import main

    monkeypatch.setattr(sys, "argv", ["polytask", *command])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0, capsys.readouterr().err


@pytest.mark.skipif(__import__("os").geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("d.csv", index=False)
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be written" in refuse(["fit", "d.csv", "-t", "price", "-o", "locked/run"], monkeypatch, capsys)
