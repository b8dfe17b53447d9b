"""docs/findings.md says what the results of its two benchmarks say, and no more."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("write_findings", ROOT / "docs" / "write_findings.py")
write_findings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write_findings)


def study_row(scheme: str, word: str | None = None, **more: object) -> dict:
    row = {"data": "census", "scheme": scheme, "learning_rate": 0.003, "skill": 0.5, "tasks": {"income": 0.9}}
    row |= {"parameters_times_hard": 2.0, "seconds_times_hard": 1.5}
    if word is not None:
        row |= {"difference": -0.02, "interval": [-0.03, -0.01], "word": word, "minimum_detectable_effect": 0.015}
    return row | more


def study_result(*rows: dict) -> dict:
    counts = {"train": 8000, "validation": 4000, "test": 20000}
    fact = {"tasks": [{"name": "income", "metric": "roc_auc", "rows": counts}], "groups": None, "seeds": 5}
    return {
        "rows": [study_row("hard"), *rows],
        "studies": {"census": fact | {"chosen": "mmoe", "headline": "Nothing is shown.", "runs": 12}},
        "settings": {"census": {"epochs": 5}},
        "grid": {"learning_rate": [0.001, 0.003]},
        "left_out": {"pad_net": "it is made for pictures"},
    }


def slope(scheme: str, value: float, p: float, what: str = "slope") -> dict:
    interval = [value - 0.01, value + 0.01]
    return {"setting": "10,000 rows", "what": what, "scheme": scheme, "value": value, "interval": interval} | {
        "adjusted_p": p
    }


def related_result(*tests: dict) -> dict:
    names = dict.fromkeys(test["scheme"] for test in tests)
    rows = [
        {
            "setting": "10,000 rows",
            "scheme": name,
            "cosine": cosine,
            "seeds": 20,
            "error": 0.5,
            "hard_minus_it": None if name == "hard" else {"interval": [-0.1, 0.1 if cosine else -0.01]},
        }
        for name in names
        for cosine in (1.0, 0.0)
    ]
    return {"rows": rows, "tests": list(tests)}


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_page_is_what_the_script_gives():
    found = write_findings.page(
        write_findings.read(write_findings.STUDIES), write_findings.read(write_findings.RELATEDNESS)
    )
    assert write_findings.PAGE.read_text(encoding="utf-8") == found, "run python docs/write_findings.py"


def test_where_nothing_is_told_from_hard_that_is_the_finding():
    page = flat(
        write_findings.page(study_result(study_row("mmoe", "cannot tell"), study_row("ple", "cannot tell")), None)
    )
    assert "of 2 comparisons with `hard` on 1 data sets: *cannot tell* 2." in page
    assert "On `census` no scheme is shown to be better or worse than `hard`." in page
    assert "A difference in skill of 0.015 (the median over schemes) would mostly have been found." in page


def test_better_and_worse_schemes_are_named():
    rows = [study_row("mmoe", "better"), study_row("ple", "worse"), study_row("mtan", "practically equal")]
    page = flat(write_findings.page(study_result(*rows), None))
    assert "**Better than `hard`: `mmoe`; worse than `hard`: `ple`.** Of the others: *practically equal* 1." in page
    assert "| `ple` | 0.9000 | −0.0200 [−0.0300, −0.0100] | worse | 2 × | 1.5 × | 0.015 |" in page
    assert "no scheme is shown" not in page


@pytest.mark.parametrize(
    ("value", "p", "said"),
    [
        (-0.05, 0.01, "`hard` loses more than `mmoe`"),
        (0.05, 0.01, "`hard` loses less than `mmoe`"),
        (-0.05, 0.2, "that `hard` loses more than `mmoe` is not shown, nor that it loses less"),
    ],
)
def test_a_difference_of_slopes_is_said_only_where_it_is_shown(value, p, said):
    tests = [slope("hard", -0.1, 0.001), slope("mmoe", -0.02, 0.3)]
    page = flat(
        write_findings.page(None, related_result(*tests, slope("mmoe", value, p, "slope of hard minus its slope")))
    )
    assert "the error of `hard` rises as the cosine falls; for `mmoe` no slope is shown" in page
    assert said in page
    assert "that of `mmoe` above at 0." in page


def test_what_was_not_run_is_said():
    page = write_findings.page(None, None)
    assert page.count("Not run yet") == 2
