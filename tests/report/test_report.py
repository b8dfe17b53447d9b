"""One report, three files: the same numbers in each, and nothing of anybody's overwritten."""

import json
import os
import re
import shutil

import pytest

from polytask.errors import RunError
from polytask.report import report

SECTIONS = [
    "Verdict", "Leaderboard", "Learning curves", "Balancer weights", "Gradient cosines", "Who shares what", "Data",
    "What was tried and what it cost", "Configuration and environment", "How to cite",
]  # fmt: skip


def numbers_of(text):
    """Every number with decimals, as it is written."""
    return re.findall(r"[+−]?\d[\d,]*\.\d+", text)


def signed(value):
    return f"{value:+.3f}".replace("-", "−")


def test_three_files_beside_each_other(study, tmp_path):
    path = report(study, tmp_path / "out" / "digits.html")
    assert path == tmp_path / "out" / "digits.html"
    assert sorted(p.name for p in path.parent.iterdir()) == ["digits.html", "digits.md", "results.json"]
    assert json.loads(path.with_name("results.json").read_text()) == json.loads((study / "results.json").read_text())


def test_in_the_studys_own_folder_its_results_stay_as_they_are(study):
    before = (study / "results.json").read_bytes()
    report(str(study), study / "report.html")
    assert (study / "results.json").read_bytes() == before
    assert (study / "report.md").is_file()


def test_anything_with_a_folder_is_a_source(study, tmp_path):
    class Study:
        path = study

    assert report(Study(), tmp_path / "a.html").is_file()


def test_a_report_may_be_written_again(study, tmp_path):
    path = report(study, tmp_path / "out" / "a.html")
    before = path.read_bytes()
    assert report(study, path).read_bytes() == before


def test_the_order_of_the_sections(study, tmp_path, read_page):
    path = report(study, tmp_path / "a.html")
    page = read_page(path.read_text())
    assert [h["text"] for h in page.all("h2")] == SECTIONS
    assert re.findall(r"^## (.*)$", path.with_suffix(".md").read_text(), flags=re.M) == SECTIONS


def test_the_same_numbers_on_the_page_and_in_markdown(study, tmp_path, read_page):
    path = report(study, tmp_path / "a.html")
    page = read_page(path.read_text())
    text = path.with_suffix(".md").read_text()
    for table in page.all("table"):
        for number in numbers_of(table["text"]):
            assert number in text, number
    tables = " ".join(table["text"] for table in page.all("table"))
    words = (
        f"{page.words()} {' '.join(c['attrs']['aria-label'] for c in page.all('div') if 'aria-label' in c['attrs'])}"
    )
    for number in numbers_of(text):
        assert number in words, number
    assert len(numbers_of(tables)) > 100


def test_the_numbers_are_those_of_the_results(study, tmp_path, read_page):
    words = read_page(report(study, tmp_path / "a.html").read_text()).words()
    results = json.loads((study / "results.json").read_text())
    for name, verdict in results["verdict"]["tasks"].items():
        assert verdict["sentence"] in words
        assert signed(verdict["difference"]) in words, name
        if verdict["interval"][0] is not None:
            for key in ("interval", "adjusted_interval"):
                assert f"[{signed(verdict[key][0])}, {signed(verdict[key][1])}]" in words
    for arm in results["arms"]:
        assert f"{arm['mean_skill']:.3f}" in words
        for score in arm["scores"].values():
            assert f"{score['value']:.3f} [{score['interval'][0]:.3f}, {score['interval'][1]:.3f}]" in words
    for text in (results["verdict"]["headline"], *results["warnings"], results["title"]):
        assert text in words
    for shown in ("−1.2 %", "51,234", "2 min 03 s", "8 min 32 s", "uncertainty (judged)", "2026-11-25 13:00 UTC"):
        assert shown in words


def test_what_was_tried_names_the_crash_and_its_reason(study, tmp_path, read_page):
    page = read_page(report(study, tmp_path / "a.html").read_text())
    crashed = next(t for t in page.all("table") if t["text"].strip().startswith("Trainings that crashed"))
    assert "is not finite in epoch 3" in crashed["text"]
    assert "learning_rate: 0.001, 0.003" in page.words()


def test_configuration_environment_and_citations(study, tmp_path, read_page):
    page = read_page(report(study, tmp_path / "a.html").read_text())
    config, cite = (block["text"] for block in page.all("pre"))
    assert config.strip() == (study / "config.yaml").read_text().strip()
    assert "@software{polytask," in cite
    assert "@article{caruana1997," in cite
    assert "torch 2.13.0" in page.words()


def test_many_tasks_are_judged_on_their_mean(study_maker, tmp_path, read_page):
    tasks = [f"assay {i}" for i in range(16)]
    study = study_maker(tmp_path / "study", tasks=tasks, epochs=4)
    page = read_page(report(study, tmp_path / "a.html").read_text())
    assert "Named: assay 0." in page.words()
    assert "The curves of all 16 tasks" in page.words()
    assert "whose weight varied most" in page.words()


def changed(study, change):
    """The study, its results.json changed in place."""
    results = json.loads((study / "results.json").read_text())
    change(results)
    (study / "results.json").write_text(json.dumps(results))
    return study


def columns_of(page):
    """Caption of each table -> its headings."""
    found = {}
    for element in page.elements:
        if element["tag"] == "caption":
            headings = found.setdefault(element["text"].strip(), [])
        elif element["tag"] == "th" and "thead" in element["parents"]:
            headings.append(element["text"].strip())
    return found


@pytest.mark.parametrize(("folds", "noun"), [(5, "folds"), (None, "splits")])
def test_repeated_splits_are_called_what_they_are(study, tmp_path, read_page, folds, noun):
    def change(results):
        results["design"] |= {"splits": 5, "folds": folds}
        results["runs"][1]["split"] = 1

    page = read_page(report(changed(study, change), tmp_path / "a.html").read_text())
    words, columns = page.words(), columns_of(page)
    assert f"5 {noun} of 3 seeds each" in words
    assert noun in columns["How sure it can be"]
    assert not {"seeds", "error from seeds"} & set(columns["How sure it can be"])
    assert f"means over {noun} and seeds" in words
    assert f"Repeated over 5 {noun}." in words
    assert f"Labelled rows by task, in the first of 5 {noun}" in columns
    assert "split" in columns["Every training"]
    assert f"over {noun} of the rows" in words


def test_metrics_are_written_as_people_write_them(study, tmp_path, read_page):
    def change(results):
        results["tasks"][0]["metric"] = "roc_auc"
        results["verdict"]["tasks"]["left"]["sentence"] = "Sharing helps left: roc_auc 0.951 shared, 0.923 alone."

    path = report(changed(study, change), tmp_path / "a.html")
    for text in (read_page(path.read_text()).words(), path.with_suffix(".md").read_text()):
        assert "Sharing helps left: ROC-AUC 0.951 shared" in text
        assert text.count("ROC-AUC") == 3  # and in two tables
        assert "roc_auc" not in text
    assert "roc_auc" in path.with_name("results.json").read_text()


def test_class_counts_are_told_from_class_names(study, tmp_path, read_page):
    page = read_page(report(study, tmp_path / "a.html").read_text())
    cell = next(td for td in page.all("td") if "3,111" in td["text"])
    assert cell["text"].strip() == "<b>no: 3,111, yes: 1,889"
    assert cell["attrs"]["class"] == "wide"


def test_arms_stand_by_their_skill_and_those_without_one_last(study, tmp_path, read_page):
    def change(results):
        for arm, skill in zip(results["arms"], [-0.2, 0.0, None, -0.1], strict=True):
            arm |= {"mean_skill": skill, "delta_m": skill, "mean_rank": None if skill is None else 1.0}

    page = read_page(report(changed(study, change), tmp_path / "a.html").read_text())
    text = next(t["text"] for t in page.all("table") if t["text"].strip().startswith("All tasks together"))
    order = ("candidate sum", "baseline trees", "candidate uncertainty", "twins twins")
    places = [text.index(f"the {name} in plain words") for name in order]
    assert places == sorted(places)
    assert text[places[-1] :].split()[6:10] == ["twins", "–", "–", "–"]


def test_one_task_alone(study_maker, tmp_path, read_page):
    study = study_maker(tmp_path / "study", tasks=["only"], epochs=2)
    words = read_page(report(study, tmp_path / "a.html").read_text()).words()
    assert "mean of tasks" not in words
    assert "nothing is shared, or there is one task" in words


def test_without_the_folders_of_the_runs(study, tmp_path, read_page):
    shutil.rmtree(study / "runs")
    words = read_page(report(study, tmp_path / "a.html").read_text()).words()
    assert "The folders of the Runs are not here" in words
    assert "0.912" in words


def test_null_wherever_a_number_may_be_missing(study, tmp_path, read_page):
    results = json.loads((study / "results.json").read_text())
    verdict = results["verdict"]["tasks"]["left"]
    results["verdict"]["tasks"]["left"] = {
        key: value if isinstance(value, str) else None for key, value in verdict.items()
    } | {"interval": [None, None], "adjusted_interval": None}
    for arm in results["arms"]:
        arm |= {"mean_skill": None, "delta_m": None, "mean_rank": None, "parameters": None, "seconds": None}
        arm["scores"]["left"] |= {"value": None, "interval": [None, None], "skill": None}
    results["tasks"][0] |= {"constant": None, "unit": None, "region": None}
    results["title"] = None
    (study / "results.json").write_text(json.dumps(results))
    path = report(study, tmp_path / "a.html")
    assert read_page(path.read_text()).all("h1")[0]["text"] == "Does sharing help left, right, sum, larger, …?"
    assert "None" not in path.with_suffix(".md").read_text()
    assert "nan" not in path.with_suffix(".md").read_text().lower().replace("finance", "")


# A Run.


def test_a_run_without_a_verdict(trained, tmp_path, read_page):
    path = report(trained, tmp_path / "run.html")
    page = read_page(path.read_text())
    assert [h["text"] for h in page.all("h2")] == ["Scores", *SECTIONS[2:7], *SECTIONS[8:]]
    assert page.all("h1")[0]["text"] == "Run houses"
    written = json.loads(path.with_name("results.json").read_text())
    assert written["kind"] == "run"
    assert written["scores"] == {part: trained.metrics[part] for part in ("validation", "test")}
    for part in ("validation", "test"):
        for task in trained.tasks:
            assert f"{trained.metrics[part][task.name]['skill']:.3f}" in page.words()
    assert "weights of epoch" in page.words()
    assert f"{written['parameters']['shared']:,} of them shared" in page.words()


def test_a_run_by_its_folder_is_the_same(trained, tmp_path):
    one, other = report(trained, tmp_path / "a" / "r.html"), report(trained.path, tmp_path / "b" / "r.html")
    assert one.read_bytes() == other.read_bytes()


# What is refused.


def damaged(results, key, value):
    place = results
    *way, last = key.split(".")
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return results


DAMAGE = [
    ("verdict", KeyError, "it has no verdict;"),
    ("verdict", 3, "verdict is no mapping"),
    ("verdict.candidate", "nobody", "names the arm 'nobody', which is not among arms"),
    ("verdict.tasks.left.interval", KeyError, r"it has no verdict\.tasks\.left\.interval"),
    ("verdict.tasks.left.difference", "much", r"verdict\.tasks\.left\.difference is 'much', of another kind"),
    ("verdict.mean.difference", KeyError, r"it has no verdict\.mean\.difference"),
    ("tasks.1.region", KeyError, r"it has no tasks\[1\]\.region"),
    ("tasks.0.name", "other", "name different tasks"),
    ("arms", {}, r"it has no arms\[0\]\.name"),
    ("cost.runs", "many", "cost.runs is 'many', of another kind"),
    ("kind", "run", "its kind is not 'study'"),
    ("format", 2, "format 2.* upgrade polytask"),
]


@pytest.mark.parametrize(("key", "value", "said"), DAMAGE)
def test_a_damaged_results_json(study, tmp_path, key, value, said):
    results = json.loads((study / "results.json").read_text())
    (study / "results.json").write_text(json.dumps(damaged(results, key, value)))
    with pytest.raises(RunError, match=said):
        report(study, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_a_truncated_results_json(study, tmp_path):
    (study / "results.json").write_text('{"format": 1,')
    with pytest.raises(RunError, match=r"results\.json is damaged"):
        report(study, tmp_path / "a.html")


def test_a_damaged_history(study, tmp_path):
    history = next((study / "runs").rglob("history.jsonl"))
    history.write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(RunError, match=r"history\.jsonl is damaged"):
        report(study, tmp_path / "a.html")


def test_folders_that_are_neither(study, tmp_path):
    with pytest.raises(RunError, match="there is no such folder"):
        report(tmp_path / "nowhere", tmp_path / "a.html")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="neither a study nor a Run"):
        report(tmp_path / "empty", tmp_path / "a.html")
    (study / "results.json").unlink()
    with pytest.raises(RunError, match="is an unfinished study: start its command again"):
        report(study, tmp_path / "a.html")


def test_a_name_that_is_no_pages(study, tmp_path):
    with pytest.raises(RunError, match=r"its name ends in \.html: .*report\.html"):
        report(study, tmp_path / "report.pdf")


def test_nothing_of_anybodys_is_overwritten(study, study_maker, tmp_path):
    (tmp_path / "readme.md").write_text("# mine")
    with pytest.raises(RunError, match=r"readme\.md is there and was not written by a report"):
        report(study, tmp_path / "readme.html")
    other = study_maker(tmp_path / "other", tasks=["a", "b"], epochs=2)
    before = (other / "results.json").read_bytes()
    with pytest.raises(RunError, match=r"results\.json is there and was not written by a report"):
        report(study, other / "report.html")
    assert (other / "results.json").read_bytes() == before
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "results.json").write_text("[1]")
    with pytest.raises(RunError, match="was not written by a report"):
        report(study, tmp_path / "x" / "report.html")


def test_places_that_cannot_be_written(study, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file is a file; a report needs a folder"):
        report(study, tmp_path / "file" / "a.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        report(study, tmp_path / "folder.html")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(study, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(RunError, match="permission denied"):
        report(study, tmp_path / "locked" / "a.html")
