"""docs/methods.md and the costs of `polytask list` are what the classes and the benchmark say."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

import polytask as pt
from polytask.balance import BALANCERS
from polytask.errors import ConfigError
from polytask.sharing import SHARINGS

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("write_methods", ROOT / "docs" / "write_methods.py")
write_methods = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write_methods)

RESULT = json.loads(write_methods.MEASURED.read_text(encoding="utf-8"))
SHARING_RESULT = write_methods.read(write_methods.SHARING_MEASURED)
RERUN = "run python docs/write_methods.py"


def test_the_page_is_what_the_script_gives():
    assert write_methods.PAGE.read_text(encoding="utf-8") == write_methods.page(RESULT, SHARING_RESULT), RERUN


def test_the_costs_are_those_that_were_measured():
    assert json.loads(write_methods.COSTS.read_text(encoding="utf-8")) == write_methods.measured_costs(RESULT), RERUN
    found = json.loads(write_methods.SHARING_COSTS.read_text(encoding="utf-8"))
    assert found == write_methods.measured_sharing_costs(SHARING_RESULT), RERUN


def test_of_the_measurements_only_our_steps_of_one_kind_are_shown():
    row = {
        "implementation": "polytask",
        "method": "pcgrad",
        "model": "mlp",
        "tasks": 8,
        "batch": 256,
        "times_sum": 4.567,
    }
    others = [
        row | {"tasks": 2, "times_sum": 1.0},
        row | {"implementation": "another", "times_sum": 1.0},
        row | {"method": "of another", "times_sum": 1.0},
        row | {"way": "every=10", "times_sum": 1.0},
        row | {"way": "representation", "times_sum": 1.0},
        row | {"method": "sum", "batch": 32, "times_sum": 1.0},
    ]
    assert write_methods.measured_costs({"rows": [row | {"way": "exact"}, *others]}) == {"pcgrad": 4.57}


def test_every_method_has_a_section_and_a_paper_that_can_be_found():
    text = write_methods.PAGE.read_text(encoding="utf-8")
    found = [e for name in ("balancers", "optimizers") for e in write_methods.entries(name) if e.traits]
    assert len(found) >= 46
    for entry in found:
        assert text.count(f"### `{entry.name}`\n") == 1, entry.name
        assert entry.traits.reference is None or entry.traits.reference.link.startswith("https://"), entry.name


@pytest.mark.parametrize(("measured", "shown"), [(4.567, "| 4.57 |"), (None, "|  |")])
def test_a_cost_that_was_not_measured_is_an_empty_cell(measured, shown):
    (entry,) = (entry for entry in write_methods.entries("balancers") if entry.name == "pcgrad")
    entry = replace(entry, traits=replace(entry.traits, cost=measured))
    assert shown in write_methods.at_a_glance([entry])
    assert ("not measured" in write_methods.section(entry)) == (measured is None)


@pytest.mark.parametrize("name", [*BALANCERS, "adatask", "m_config"])
def test_a_method_can_be_cited_by_its_name(name):
    (entry,) = (
        e for catalogue in ("balancers", "optimizers") for e in write_methods.entries(catalogue) if e.name == name
    )
    if entry.paper is None:
        with pytest.raises(ConfigError, match=f"{name} is not from a paper; there is nothing to cite"):
            pt.cite(name)
    else:
        assert f"{{{entry.paper}," in pt.cite(name)


def test_every_scheme_has_a_section_and_a_line_that_says_when():
    text = write_methods.PAGE.read_text(encoding="utf-8")
    found = write_methods.entries("sharings")
    assert [entry.name for entry in found] == list(SHARINGS)
    for entry in found:
        assert text.count(f"### `{entry.name}`\n") == 1, entry.name
        assert text.count(f"[`{entry.name}`](#{entry.name})") == 1, entry.name
        assert entry.traits.use_when, entry.name
        assert (entry.traits.reference is None) == (entry.paper is None), entry.name


def test_every_setting_is_explained_with_its_default():
    for catalogue in ("balancers", "optimizers", "sharings", "regularizers"):
        for entry in write_methods.entries(catalogue):
            if catalogue != "optimizers" or entry.traits:
                assert len(write_methods.explained_settings(write_methods.class_of(entry))) == len(entry.settings), (
                    entry
                )


def test_the_settings_of_mmoe_are_explained():
    text = write_methods.PAGE.read_text(encoding="utf-8").split("### `mmoe`\n")[1].split("### ")[0]
    lines = [line for line in text.splitlines() if line.startswith("  - ")]
    assert [line.split("`")[1] for line in lines] == ["experts", "split", "dropout", "balance", "is_normalised"]
    assert lines[0] == "  - `experts` (`8`): how many, at least 1."
    # An entry that goes on in a second line, and ends there.
    assert lines[2].startswith("  - `dropout` (`0.0`): of a gate's weights in training, in [0, 1): the rest is")
    assert lines[2].endswith("choosing one expert for good).")


def test_every_regularizer_has_a_section():
    text = write_methods.PAGE.read_text(encoding="utf-8").split("## Regularizers\n")[1]
    for entry in write_methods.entries("regularizers"):
        (section,) = (part for part in text.split("### ") if part.startswith(f"`{entry.name}`\n"))
        assert "**When:** " in section, entry.name
        assert "  - `weight` (" in section, entry.name


def measured_sharing(**times):
    at = {"model": "mlp", "tasks": 8, "batch": 256, "elsewhere": {"task_norm": "mlp_bn"}}
    costs = {**at, "times_hard": times, "parameters_times_hard": {"hard": 1.0, **times}}
    return {"costs": costs, "threads": 1, "hardware": "2 CPU cores", "versions": {"torch": "2.13"}}


def test_costs_of_schemes_are_those_of_the_catalogue():
    assert write_methods.measured_sharing_costs(None) == {}
    found = write_methods.measured_sharing_costs(measured_sharing(independent=4.567, unknown=1.0))
    assert found == {"independent": {"time": 4.57, "parameters": 4.57}}


def test_the_page_says_what_schemes_were_measured_on_or_that_none_was(monkeypatch):
    costs = {"independent": {"time": 4.5, "parameters": 7.75}}
    monkeypatch.setattr("polytask.catalogue.sharing_costs", lambda: costs)
    introduction, table, *sections = write_methods.sharing_schemes(measured_sharing(independent=4.5))
    assert (
        "on an MLP, 8 tasks, 256 rows, one thread of 2 CPU cores, torch 2.13; `task_norm` on an MLP with batch norm."
        in introduction
    )
    assert "| [`independent`](#independent) | 7.75 | 4.50 |" in table
    (hard,) = (section for section in sections if section.startswith("### `hard`"))
    assert "× parameters: not measured; × hard: not measured" in hard
    assert "Not measured yet." in write_methods.sharing_schemes(None)[0]
