"""Worker processes: what they do, what becomes of those that fail, and that none is left behind."""

import importlib
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import polytask as pt
from polytask.errors import RunError
from polytask.experiment import Experiment
from polytask.studies.bench import additions, defined_in_script
from polytask.studies.live import Silent
from polytask.studies.pool import Pool, _Worker

#: What a user may add: a balancer, a kind of task.
MODULE = """
    from polytask.balance import Sum
    from polytask.tasks import Classification

    class Calm(Sum):
        pass

    class Sale(Classification):
        kind = "sale"
"""

#: Ends its process, or raises, under one seed.
BALANCER = """
    import os, signal
    from polytask.balance import Sum

    class Fatal(Sum):
        def __init__(self, tasks, generator=None, *, engine=None, how="kill", seed_of_generator=None):
            super().__init__(tasks, generator, engine=engine)
            self.how, self.seed = how, generator.initial_seed()
            self.fatal = seed_of_generator

        def forward(self, signals):
            if self.seed == self.fatal:
                if self.how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise ArithmeticError("the planted mistake\\nof two lines")
            return super().forward(signals)
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """An importable module of the user's; what it adds to the catalogues goes with it."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(text: str):
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    sys.modules.pop(name, None)


def fatal_seed(seed: int) -> int:
    from polytask.model import seed_of

    return seed_of(seed, "balancer")


@pytest.mark.parametrize(("how", "jobs"), [("kill", 1), ("raise", 0), pytest.param("raise", 2, marks=pytest.mark.slow)])
def test_a_run_that_fails_takes_only_itself(study, own_module, monkeypatch, how, jobs):
    module = own_module(BALANCER)
    monkeypatch.setitem(pt.balance.BALANCERS, "fatal", module.Fatal)
    fatal = {"fatal": {"how": how, "seed_of_generator": fatal_seed(1)}}
    found = study(candidates=["sum", fatal], jobs=jobs, epochs=1)
    crashed = [run for run in found.results["runs"] if run["state"] == "crashed"]
    assert [(run["arm"].partition("(")[0], run["seed"]) for run in crashed] == [("fatal", 1)]
    says = {
        "kill": "its process was ended by SIGKILL; the system may be out of memory: use fewer jobs",
        "raise": "ArithmeticError: the planted mistake of two lines",
    }[how]
    assert crashed[0]["reason"] == says
    assert crashed[0].keys().isdisjoint({"validation", "epochs"})
    assert any(says in warning for warning in found.warnings)
    assert found.results["cost"]["runs"] == 3 + 2 + 6
    arm = next(arm for arm in found.results["arms"] if arm["name"] == crashed[0]["arm"])
    assert [value is None for value in arm["scores"]["price"]["by_seed"]] == [False, True, False]


@pytest.mark.slow
def test_workers_and_this_process_train_alike(study, own_module, monkeypatch):
    module = own_module(MODULE)
    monkeypatch.setitem(pt.balance.BALANCERS, "calm", module.Calm)
    monkeypatch.setitem(pt.tasks.TASKS, "sale", module.Sale)
    tasks = [pt.Regression("price"), module.Sale("sold")]
    settings = {"candidates": ["calm"], "tasks": tasks, "threads": 1, "baselines": ("linear",)}
    here, there = study(folder="here", jobs=0, **settings), study(folder="there", jobs=2, **settings)
    assert not [run for run in there.results["runs"] if run["state"] == "crashed"]
    assert there.results["verdict"] == here.results["verdict"]
    for one, other in zip(here.results["arms"], there.results["arms"], strict=True):
        assert one["scores"] == other["scores"]
    for one, other in zip(here.runs("twins"), there.runs("twins"), strict=True):
        assert (one.path / "weights/mean.safetensors").read_bytes() == (
            other.path / "weights/mean.safetensors"
        ).read_bytes()
    assert sorted(p.name for p in (there.path / "workers").iterdir()) == ["0.log", "1.log"]


# Users' own classes --------------------------------------------------------------------------------------------------


def test_what_only_the_script_has_is_trained_in_this_process(houses, tasks, tmp_path, monkeypatch):
    class Local(pt.balance.BALANCERS["sum"]):
        pass

    assert defined_in_script() is None
    monkeypatch.setitem(pt.balance.BALANCERS, "local", Local)
    assert defined_in_script() == "Local"
    assert list(additions()["balancer"]) == ["local"]
    from polytask.experiment import experiment_from
    from polytask.studies import StudySettings, run_study

    said: list[str] = []
    made = run_study(
        experiment_from(tasks, epochs=1, encoder={"mlp": {"widths": [4]}}, balancer="local"),
        StudySettings(seeds=1, baselines=()),
        data=houses,
        folder=tmp_path / "s",
        jobs=2,
        quiet=True,
        say=said.append,
    )
    (notice,) = [s for s in said if "worker processes cannot find it" in s]
    assert notice.startswith("Local is defined in the script that runs")
    assert not (made.path / "workers").exists()
    assert made.results["design"]["jobs"] == 0


def test_a_class_that_workers_cannot_import_is_one_sentence(study, own_module, monkeypatch):
    module = own_module("from polytask.balance import Sum\nclass Lost(Sum):\n    pass\n")
    monkeypatch.setitem(pt.balance.BALANCERS, "lost", module.Lost)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "modules" not in p])
    with pytest.raises(RunError, match=r"a worker process could not take up its work: ModuleNotFoundError.*use jobs=0"):
        study(candidates=["lost"], jobs=1)


# Processes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executable", ["/bin/false", "/bin/true"])
def test_a_worker_that_cannot_start_is_one_sentence(study, monkeypatch, executable):
    monkeypatch.setattr("polytask.studies.pool.sys.executable", executable)
    with pytest.raises(RunError, match=r"a worker process could not start: its process ended with code \d"):
        study(jobs=2, epochs=1)


def bench_of(rows_of, tmp_path):
    from polytask.studies.bench import Bench

    return Bench(data=rows_of(), path=tmp_path, digest="x", threads=1, additions=additions())


def unit_of(rows_of):
    from polytask.experiment import experiment_from
    from polytask.studies.plan import candidate_units

    made: Experiment = experiment_from([pt.Regression("price"), pt.Classification("sold")], epochs=1)
    return candidate_units({"sum": made}, rows_of())[0]


@pytest.mark.slow
def test_an_idle_worker_that_died_is_noticed(rows_of, tmp_path):
    from polytask.studies.plan import Job

    unit = unit_of(rows_of)
    pool = Pool(bench_of(rows_of, tmp_path), 1, progress := Silent())
    try:
        for seed in range(3):
            job = Job(unit, seed)
            progress.planned([job], [])
            (outcome,) = pool.do([job])
            assert outcome.reason == ("" if seed != 1 else "its process was ended by SIGTERM")
            if seed == 0:
                (worker,) = pool._workers
                deadline = time.monotonic() + 60
                while not worker.connection.poll(0.1) and time.monotonic() < deadline:
                    pass
                worker.connection.recv()  # it is ready
                worker.is_ready = True
                worker._process.terminate()
                worker._process.wait()
    finally:
        processes = [worker._process for worker in pool._workers]
        pool.close()
    assert all(process.poll() is not None for process in processes)


def test_closing_ends_workers_in_the_middle_of_a_job(rows_of, tmp_path, monkeypatch):
    monkeypatch.setattr("polytask.studies.pool.PATIENCE", 1.0)
    worker = _Worker(bench_of(rows_of, tmp_path), 0)
    worker.job = "something"
    began = time.monotonic()
    worker.end()
    assert worker._process.poll() is not None
    assert time.monotonic() - began < 10


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_end_when_the_study_is_killed(houses, tmp_path):
    houses.to_csv(tmp_path / "houses.csv", index=False)
    command = [
        sys.executable, "-m", "polytask", "study", "houses.csv", "-t", "price", "-t", "sold", "-o", "s", "-q", "-j", "1",
        "--epochs", "100000", "--set", "train.early_stopping.patience=null",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("s/runs/**/history.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.05)
        children = [
            int(pid)
            for path in Path(f"/proc/{process.pid}/task").glob("*/children")
            for pid in path.read_text().split()
        ]
        assert len(children) == 1
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
