"""Outside baselines: what a single task reaches without a network, on the very inputs the networks see."""

from polytask.studies.baselines.baseline import Baseline, Lesson, Rows
from polytask.studies.baselines.fit_baseline import BASELINES, FittedBaseline, can_do, fit_baseline
from polytask.studies.baselines.light_gbm import LightGBM
from polytask.studies.baselines.linear import Linear
from polytask.studies.baselines.trees import Trees

__all__ = [
    "BASELINES",
    "Baseline",
    "FittedBaseline",
    "Lesson",
    "LightGBM",
    "Linear",
    "Rows",
    "Trees",
    "can_do",
    "fit_baseline",
]
