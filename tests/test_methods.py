"""docs/methods.md and the costs of `polytask list` are what the classes and the benchmark say."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

import polytask as pt
from polytask.balance import BALANCERS
from polytask.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("write_methods", ROOT / "docs" / "write_methods.py")
write_methods = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write_methods)

RESULT = json.loads(write_methods.MEASURED.read_text(encoding="utf-8"))
RERUN = "run python docs/write_methods.py"


def test_the_page_is_what_the_script_gives():
    assert write_methods.PAGE.read_text(encoding="utf-8") == write_methods.page(RESULT), RERUN


def test_the_costs_are_those_that_were_measured():
    assert json.loads(write_methods.COSTS.read_text(encoding="utf-8")) == write_methods.measured_costs(RESULT), RERUN


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
