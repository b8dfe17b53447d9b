"""Features: what is made of text, pictures, recordings and videos before an encoder reads it."""

from polytask.data.features.base import Featurizer, Learnt
from polytask.data.features.colour_histogram import ColourHistogram
from polytask.data.features.column import FeatureColumn
from polytask.data.features.embedding import Embedding
from polytask.data.features.frame_statistics import FrameStatistics
from polytask.data.features.hog import Hog
from polytask.data.features.log_mel import LogMel
from polytask.data.features.mfcc import Mfcc
from polytask.data.features.optical_flow import OpticalFlow
from polytask.data.features.statistics import Statistics
from polytask.data.features.tfidf import TfIdf

#: Every featurizer by the name it has in YAML.
FEATURES: dict[str, type[Featurizer]] = {
    "tfidf": TfIdf,
    "embedding": Embedding,
    "statistics": Statistics,
    "hog": Hog,
    "colour_histogram": ColourHistogram,
    "mfcc": Mfcc,
    "log_mel": LogMel,
    "frame_statistics": FrameStatistics,
    "optical_flow": OpticalFlow,
}
#: What is taken for a kind of column where nothing is said.
DEFAULT_FEATURES: dict[str, str] = {"text": "tfidf", "audio": "mfcc", "video": "frame_statistics"}

__all__ = [
    "DEFAULT_FEATURES",
    "FEATURES",
    "ColourHistogram",
    "Embedding",
    "FeatureColumn",
    "Featurizer",
    "FrameStatistics",
    "Hog",
    "Learnt",
    "LogMel",
    "Mfcc",
    "OpticalFlow",
    "Statistics",
    "TfIdf",
]
