"""The energy counters of a machine: read, wrapped round, missing."""

import pytest

from polytask.studies.energy import Meter


@pytest.fixture
def counters(tmp_path):
    """Two packages with counters that can be set, and a part of one that must not be counted twice."""

    def write(*energies: int, most: int = 1_000_000):
        for number, energy in enumerate(energies):
            folder = tmp_path / f"intel-rapl:{number}"
            folder.mkdir(exist_ok=True)
            (folder / "energy_uj").write_text(f"{energy}\n")
            (folder / "max_energy_range_uj").write_text(f"{most}\n")
        inner = tmp_path / "intel-rapl:0:0"
        inner.mkdir(exist_ok=True)
        (inner / "energy_uj").write_text("77")
        return tmp_path

    return write


def test_joules_of_all_packages(counters):
    meter = Meter(counters=counters(100_000, 200_000))
    counters(600_000, 450_000)
    assert meter.joules() == 0.75
    counters(700_000, 450_000)
    assert meter.joules() == 0.85


def test_a_counter_that_starts_again_from_0(counters):
    meter = Meter(counters=counters(900_000))
    counters(100_000)
    assert meter.joules() == 0.2


@pytest.mark.parametrize("content", ["", "many"])
def test_a_counter_that_cannot_be_read(counters, content):
    folder = counters(1)
    meter = Meter(counters=folder)
    (folder / "intel-rapl:0/energy_uj").write_text(content)
    assert meter.joules() is None
    assert Meter(counters=folder).joules() is None


def test_a_counter_that_goes_away(counters):
    folder = counters(1)
    meter = Meter(counters=folder)
    (folder / "intel-rapl:0/energy_uj").unlink()
    assert meter.joules() is None


def test_no_counters_and_none_wanted(counters, tmp_path):
    assert Meter(counters=tmp_path / "nowhere").joules() is None
    assert Meter(enabled=False, counters=counters(1)).joules() is None
