"""A study from its question to its answer: train, choose, open the test rows, judge, write down."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask.config import Source as Place
from polytask.data import Finding, read_splits, split_bytes
from polytask.errors import ConfigError
from polytask.experiment import ALL, Experiment, Say, absolute, of_made_splits, own_state
from polytask.runs import RunFolder, environment, pick_device
from polytask.studies.bench import Bench, additions, defined_in_script, threads_for
from polytask.studies.citations import citations
from polytask.studies.conduct import Conducted, Conductor
from polytask.studies.data import StudyData
from polytask.studies.folder import check_not_lost, check_same_study, finish, head_of, opened_at, study_folder
from polytask.studies.judge import Judge
from polytask.studies.live import make_study_progress
from polytask.studies.opening import Answers, check_groups, foreseen, judged_rows
from polytask.studies.pool import Pool
from polytask.studies.record import Study
from polytask.studies.results import Findings, results_of
from polytask.studies.settings import StudySettings
from polytask.studies.setup import Setup, set_up
from polytask.studies.units import first_units
from polytask.train import refuse_several
from polytask.yaml_file import write_yaml


def run_study(
    experiment: Experiment,
    settings: StudySettings,
    *,
    data: Any = None,
    folder: str | Path | None = None,
    jobs: int = 1,
    title: str | None = None,
    quiet: bool = False,
    say: Say = lambda sentence: None,
    place: Place = Place(),
) -> Study:
    """Trains all that is to be compared and says, per task, whether sharing helps.

    Started again with the same settings, data and folder, it goes on where it was; a finished study is given back.

    Args:
        experiment: what candidates override.
        settings: of the study.
        data: one table for all tasks, or `{task: table}`; `experiment.data.path` is read where not given.
        folder: of the study; `runs/study-<tasks>-<digest>` where not given.
        jobs: worker processes at once; 0: train in this process.
        title: of the report.
        quiet: show no progress.
        say: takes notices.
        place: where the settings are written, for errors.

    Raises:
        SchemaError: the data do not fit the tasks.
        ConfigError: settings that do not fit, candidates that cannot be compared.
        RunError: the folder cannot be written, holds something else, or a Run in it is damaged.
    """
    check_jobs(jobs)
    refuse_several("a study")
    setup = set_up(experiment, settings, data, place)
    target = study_folder(folder or default_folder(setup))
    is_new = not target.path.exists()
    target.create()
    with target.locked(), ExitStack() as undo:
        state, rows = target.state(), None
        if state == "empty":
            check_not_lost(target)
            undo.callback(target.forget, whole=is_new)
            target.clear()
            rows = _prepare(setup, target)
        else:
            check_same_study(target, setup.written, setup.fingerprints)
        undo.pop_all()
        again = target.read_json("study.json").get("crashed", 0)
        if state == "finished" and not again:
            say("this study is finished: it is given back as it is")
        else:
            if again:
                say(f"{again} of its Runs crashed before: they are tried again")
            _Session(setup, rows or _prepared(setup, target), target, _workers(jobs, say), title, quiet, say).work()
    return Study(target.path)


def check_jobs(jobs: int) -> None:
    """Refuses what is no number of processes.

    Raises:
        ConfigError: it is below 0.
    """
    if jobs < 0:
        raise ConfigError(f"jobs={jobs}: a number of worker processes, or 0 to train in this one")


def default_folder(setup: Setup) -> Path:
    """`runs/study-<tasks>-<digest>`: the same settings and data always meet the same folder."""
    names = "-".join(task.name for task in setup.experiment.tasks[:3])[:60]
    return Path("runs") / f"study-{names}-{setup.digest[:10]}"


def _workers(jobs: int, say: Say) -> int:
    own = defined_in_script()
    if own is None or not jobs:
        return jobs
    say(
        f"{own} is defined in the script that runs, where worker processes cannot find it: all is trained in this "
        f"process; put it into a module of its own to use several"
    )
    return 0


def _prepare(setup: Setup, folder: RunFolder) -> StudyData:
    """Divides the rows, looks them over, and writes down what is asked, before anything is trained."""
    splits = setup.splits()
    data = setup.data(splits)
    first_units(setup.candidates, setup.settings, data)  # what cannot be trained is refused before anything is written
    check_groups(data, setup.group)
    folder.write("config.yaml", write_yaml(_with_absolute_path(setup.written)))
    folder.write_json("schema.json", {name: s.table.schema.to_json() for name, s in setup.sources.items()})
    for number, of_tables in enumerate(splits):
        folder.write(f"splits/{number}.parquet", split_bytes(of_tables))
    folder.write_json("lint.json", [finding.to_dict() for finding in data.findings])
    device = pick_device(setup.experiment.train.device, "train.device")
    folder.write_json("environment.json", environment(device))
    folder.write_json("study.json", head_of(setup.digest, "training", setup.fingerprints))
    return data


def _prepared(setup: Setup, folder: RunFolder) -> StudyData:
    """What `_prepare` wrote."""
    splits = [read_splits(folder / f"splits/{k}.parquet") for k in range(setup.settings.num_splits)]
    return setup.data(splits, [Finding(**values) for values in folder.read_json("lint.json")])


def _with_absolute_path(written: dict[str, Any]) -> dict[str, Any]:
    """So that `polytask study config.yaml` finds the data from within the folder."""
    path = written["data"].get("path")
    if path is None:
        return written
    found = {name: absolute(one) for name, one in path.items()} if isinstance(path, Mapping) else absolute(path)
    return written | {"data": written["data"] | {"path": found}}


@dataclass
class _Session:
    """One sitting of a study."""

    setup: Setup
    data: StudyData
    folder: RunFolder
    workers: int
    title: str | None
    quiet: bool
    say: Say

    def work(self) -> None:
        """All that is still to be done."""
        setup, data, folder = self.setup, self.data, self.folder
        digest = folder.read_json("study.json")["digest"]  # of the polytask that began it
        self._tell()
        bench = Bench(
            data=data,
            path=folder.path,
            digest=digest,
            threads=threads_for(self.workers) if self.workers else None,
            meters_energy=self.workers <= 1,
            additions=additions(),
        )
        with _progress(quiet=self.quiet) as progress:
            pool = Pool(bench, self.workers, progress)
            try:
                conductor = Conductor(
                    setup.candidates, setup.settings, data, setup.seeds, folder, digest, pool, progress
                )
                conducted = conductor.conduct()
            finally:
                pool.close()
        for path, reason in conducted.crashed.items():
            self.say(f"crashed: {path}: {reason}")
        judge, opened = self._open(conducted)
        found = Findings(
            judge=judge,
            data=data,
            conducted=conducted,
            settings=setup.settings,
            group=setup.group,
            overrides=setup.overrides,
            folder=folder,
            opened=opened,
            jobs=self.workers,
            title=self.title,
            by_time=setup.is_by_time,
        )
        folder.write("citations.bib", citations(folder, conducted, setup.settings.num_splits))
        finish(folder, results_of(found), folder.read_json("study.json"))

    def _tell(self) -> None:
        for note in dict.fromkeys(note for table in self.data.tables.values() for note in table.notes):
            self.say(note)
        for sentence in of_made_splits(self.setup.experiment.data, self.setup.sources):
            self.say(sentence)
        for name, split in self.data.splits[0].items():
            where = "" if name == ALL else f"{name}: "
            counts = split.counts()
            shown = ", ".join(f"{counts[part]:,} {part}" for part in ("train", "validation", "test"))
            self.say(f"{where}rows: {shown}")
        for finding in self.data.findings:
            self.say(f"warning: {finding.text}; {finding.remedy}")
        for sentence in foreseen(self.data, self.setup.group, self.setup.settings):
            self.say(f"warning: {sentence}")

    def _open(self, conducted: Conducted) -> tuple[Judge, str]:
        """Reads the test rows: once, now that all is trained and chosen."""
        data = self.data
        opened = opened_at(self.folder)
        answers = Answers(judged_rows(data, self.setup.group))
        with own_state(None):
            for job in conducted.main:
                if job.folder not in conducted.crashed:
                    answers.add(job, data, self.folder.path)
        for fitted in conducted.baselines:
            answers.add_baseline(fitted, data, self.folder.path)
        drawn = {job.name for job in conducted.baselines if job.seed != self.setup.seeds[0]}
        parts = [split.counts() for split in data.splits[0].values()]
        test, train = (sum(counts[part] for counts in parts) for part in ("test", "train"))
        judge = Judge(
            answers=answers,
            tasks=[task.name for task in data.tasks],
            seeds=self.setup.seeds,
            num_splits=self.setup.settings.num_splits,
            test_share=test / (test + train),
            fixed=frozenset({job.name for job in conducted.baselines} - drawn),
            is_one_table=ALL in data.tables,
        )
        return judge, opened


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    progress = make_study_progress(quiet=quiet)
    try:
        yield progress
    finally:
        progress.close()
