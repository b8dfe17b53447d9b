"""Who is judged, what is refused, and what is foreseen before anything is trained."""

import numpy as np
import pytest

import polytask as pt
from polytask.errors import ConfigError, RunError
from polytask.studies import StudySettings, decide, evidence_of, forecast
from polytask.studies.opening import foreseen
from polytask.studies.sentences import advice, with_mean
from polytask.studies.units import first_units


def test_a_candidate_that_shares_nothing_is_never_the_one_judged(study):
    found = study(candidates=[{"sharing": "independent"}, "sum"])
    assert found.verdict.candidate == "sum"
    arms = {arm["name"]: arm for arm in found.results["arms"]}
    assert not arms["sharing=independent"]["chosen"]
    assert "shares nothing, so that it is not judged" in arms["sharing=independent"]["summary"]
    assert [run.path for run in found.runs()] == [run.path for run in found.runs("sum")]


def test_without_any_that_shares_there_is_nothing_to_judge(setup):
    made = setup(settings={"candidates": [{"sharing": "independent"}]})
    with pytest.raises(ConfigError, match="none of them shares a parameter between tasks"):
        first_units(made.candidates, made.settings, made.data(made.splits()))


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        ([pt.Regression("price")], "there is one task only, 'price'; name another"),
        (
            [pt.Regression("price"), pt.Regression("again", column="price")],
            "'price' and 'again' predict the same column",
        ),
    ],
)
def test_tasks_that_cannot_share(setup, tasks, says):
    with pytest.raises(ConfigError, match=says):
        setup(tasks=tasks)


def test_tasks_of_several_tables_may_have_columns_of_one_name(setup, houses):
    tables = {"north": houses[["rooms", "age", "sold"]], "south": houses[["rooms", "age", "sold"]]}
    made = setup(tables, [pt.Classification(name, column="sold") for name in tables])
    assert set(made.sources) == {"north", "south"}


@pytest.mark.parametrize(
    ("candidates", "says"),
    [
        (["hard"], r"'hard' is no balancer, but one for sharing: write \{sharing: hard\}"),
        ([{"cagard": {"c": 0.4}}], "'cagard' is no balancer and no section of an experiment; did you mean 'cagrad'"),
    ],
)
def test_a_name_in_the_wrong_place_is_answered_with_the_right_one(setup, candidates, says):
    with pytest.raises(ConfigError, match=says):
        setup(settings={"candidates": candidates})


def test_a_verdict_that_cannot_be_is_foreseen(setup, houses):
    grouped = houses.assign(person=np.arange(len(houses)) % 12)
    made = setup(grouped, split={"by_group": "person"})
    rows = made.data(made.splits())
    (few,) = foreseen(rows, made.group, made.settings)
    assert few.startswith("no verdict will be given on price, sold: ")
    assert "groups of test rows, and at least 6 are needed" in few
    (seeds,) = foreseen(rows, None, StudySettings(seeds=2))
    assert "2 seeds, and at least 3 are needed" in seeds
    assert foreseen(rows, None, StudySettings(seeds=3)) == []


def test_the_groups_column_is_no_input(setup, houses):
    made = setup(houses.assign(person=np.arange(len(houses)) % 40), settings={"group": "person"})
    assert made.experiment.data.ignore == ("person",)
    assert all(candidate.data.ignore == ("person",) for candidate in made.candidates.values())


def test_a_dry_run_says_so_and_looks_at_its_folder(houses, tmp_path, setup):
    made = setup(houses)
    (tmp_path / "somebodys").mkdir()
    (tmp_path / "somebodys" / "thesis.txt").write_text("")
    with pytest.raises(RunError, match=r"holds 'thesis.txt'"):
        forecast(made.experiment, made.settings, data=houses, folder=tmp_path / "somebodys")
    said: list[str] = []
    found = forecast(made.experiment, StudySettings(seeds=2), data=houses, folder=tmp_path / "new", say=said.append)
    assert any("no verdict will be given" in sentence for sentence in said)
    assert {line.arm for line in found.lines if line.seconds_per_epoch is None} == {"trees", "linear"}
    assert not (tmp_path / "new").exists()


def test_intervals_are_of_95_percent_whatever_the_level():
    evidence = {"price": evidence_of(np.random.default_rng(0).normal(0.05, 1, (5, 400)))}
    strict, loose = (decide(evidence, level=level)["price"] for level in (0.01, 0.2))
    assert strict.interval == loose.interval == evidence["price"].interval(0.05)
    assert strict.adjusted_interval[0] < strict.interval[0] < loose.adjusted_interval[0]


def test_crashed_runs_are_tried_again(study, monkeypatch):
    from polytask.studies import bench

    whole = bench.Bench.do

    def sometimes(self, job, progress):
        if job.folder == "runs/twins/sold/seed-1":
            raise ValueError("no luck")
        return whole(self, job, progress)

    monkeypatch.setattr(bench.Bench, "do", sometimes)
    first = study()
    assert [run["reason"] for run in first.results["runs"] if run["state"] == "crashed"] == ["ValueError: no luck"]
    monkeypatch.setattr(bench.Bench, "do", whole)
    again = study()
    assert again.path == first.path
    assert not [run for run in again.results["runs"] if run["state"] == "crashed"]
    assert again.results["design"]["test_opened"] == first.results["design"]["test_opened"]


def test_the_file_that_data_come_from_is_written_down(study, houses, tmp_path):
    houses.to_csv(tmp_path / "houses.csv", index=False)
    found = study(str(tmp_path / "houses.csv"))
    assert f"path: {tmp_path / 'houses.csv'}" in (found.path / "config.yaml").read_text(encoding="utf-8")


def test_what_is_simpler_and_better_is_said():
    skills = {"sum": 0.5, "twins": 0.6, "trees": 0.7, "linear": float("nan")}
    (sentence,) = advice(skills, "sum", "twins", ["trees", "linear"])
    assert sentence.startswith("trees is ahead of shared and single-task networks")
    assert advice({**skills, "trees": 0.59}, "sum", "twins", ["trees", "linear"]) == []


def test_the_headline_has_the_mean_where_it_is_certain():
    assert with_mean("So.", {"word": "helps", "difference": 0.021}).startswith(
        "So. On the mean over tasks it helps (+0.021"
    )
    assert with_mean("So.", {"word": "cannot tell", "difference": 0.021}) == with_mean("So.", None) == "So."
