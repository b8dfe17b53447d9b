"""Training rows more or fewer times than they came, so that rare classes and labels count."""

from polytask.data.resample.base import Resampler, make_resampler, renamed, resample, restricted
from polytask.data.resample.catalogue import RESAMPLERS
from polytask.data.resample.imbalance import imbalance_ratios, mean_imbalance_ratio
from polytask.data.resample.ml_ros import MLROS
from polytask.data.resample.of_class import Oversample, Undersample
from polytask.data.resample.smote import SMOTE

__all__ = [
    "MLROS",
    "RESAMPLERS",
    "SMOTE",
    "Oversample",
    "Resampler",
    "Undersample",
    "imbalance_ratios",
    "make_resampler",
    "mean_imbalance_ratio",
    "renamed",
    "resample",
    "restricted",
]
