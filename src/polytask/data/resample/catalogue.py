"""The ways to resample, by the name a user writes."""

from polytask.data.resample.base import Resampler
from polytask.data.resample.ml_ros import MLROS
from polytask.data.resample.of_class import Oversample, Undersample
from polytask.data.resample.smote import SMOTE

#: Name -> class.
RESAMPLERS: dict[str, type[Resampler]] = {
    "oversample": Oversample,
    "undersample": Undersample,
    "ml_ros": MLROS,
    "smote": SMOTE,
}
