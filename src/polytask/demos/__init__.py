"""Tables to try polytask on: real data that come inside Python packages, with honest splits and tasks."""

from polytask.demos.demo import DEMOS, Demo
from polytask.demos.digits import multi_digits
from polytask.demos.flights import nyc_flights
from polytask.demos.run_demo import run_demo

__all__ = ["DEMOS", "Demo", "multi_digits", "nyc_flights", "run_demo"]
