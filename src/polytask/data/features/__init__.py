"""Features: what is made of text, pictures, recordings and videos before an encoder reads it."""

from polytask.data.features.base import FeatureColumn, Featurizer, Learnt
from polytask.data.features.tfidf import TfIdf

#: Every featurizer by the name it has in YAML.
FEATURES: dict[str, type[Featurizer]] = {"tfidf": TfIdf}
#: What is taken for a kind of column where nothing is said.
DEFAULT_FEATURES: dict[str, str] = {"text": "tfidf"}

__all__ = ["DEFAULT_FEATURES", "FEATURES", "FeatureColumn", "Featurizer", "Learnt", "TfIdf"]
