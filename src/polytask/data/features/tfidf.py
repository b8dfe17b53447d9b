"""TF-IDF: how often each word stands in a text, weighed by how few texts have it."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from polytask.data.features.base import Featurizer, Learnt
from polytask.errors import SchemaError

#: A word: letters, digits and underscores.
_WORD = re.compile(r"\w+")


class TfIdf(Featurizer):
    """Words (and sequences of words) of a text as one sparse vector, by scikit-learn.

    A term's number is tf · (ln((1 + n) / (1 + df)) + 1) with n training texts, df of them with the term; every vector
    has length 1. A token list is read as it is. A text without any known term is the vector 0.

    Args:
        max_features: the most frequent terms that are kept.
        ngrams: the longest sequence of words that is a term.
        min_count: training texts that a term has to stand in.
        sublinear: 1 + ln(tf) in place of tf.
        lowercase: whether case is ignored.
        hashed: terms fall into `max_features` places by a hash of their text, so that no vocabulary is kept; terms that
            meet share a place, and min_count has no say.

    Raises:
        ValueError: a setting that cannot be.

    Paper: Salton, Buckley: Term-weighting approaches in automatic text retrieval. Information Processing and
        Management 1988. Hashing: Weinberger et al.: Feature hashing for large scale multitask learning. ICML 2009.
    """

    reads: ClassVar[tuple[str, ...]] = ("text", "tokens", "category")
    paper: ClassVar[str | None] = "salton1988"
    is_standardised: ClassVar[bool] = False

    def __init__(
        self,
        *,
        max_features: int = 5000,
        ngrams: int = 1,
        min_count: int = 2,
        sublinear: bool = True,
        lowercase: bool = True,
        hashed: bool = False,
    ) -> None:
        if min(max_features, ngrams, min_count) < 1:
            raise ValueError(
                f"tfidf: max_features, ngrams and min_count are whole numbers >= 1, got {max_features}, {ngrams} and "
                f"{min_count}"
            )
        self.max_features, self.ngrams, self.min_count = max_features, ngrams, min_count
        self.sublinear, self.lowercase, self.hashed = sublinear, lowercase, hashed

    def fit(self, cells: Sequence[Any], place: str) -> Learnt:
        """The terms and how rare each is."""
        from sklearn.feature_extraction.text import TfidfTransformer

        counter, learnt = self._counter(), Learnt()
        if self.hashed:
            counts = counter.transform(cells)
        else:
            try:
                counts = counter.fit_transform(cells)
            except ValueError:
                raise SchemaError(
                    f"{place}: no word stands in {self.min_count} training texts or more; give it more rows, take "
                    "min_count: 1, or ignore the column"
                ) from None
            learnt["terms"] = [str(term) for term in counter.get_feature_names_out()]
        return learnt | {"idf": np.asarray(TfidfTransformer().fit(counts).idf_, dtype=np.float64)}

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> Any:
        """Sparse `[cells, terms]`."""
        from sklearn.preprocessing import normalize

        counts = self._counter(learnt.get("terms")).transform(cells).astype(np.float64)
        if self.sublinear:
            counts.data = 1 + np.log(counts.data)
        return normalize(counts.multiply(learnt["idf"]).tocsr())

    def cited(self) -> tuple[str, ...]:
        """The weights; and the hashing where terms are hashed."""
        return ("salton1988", "weinberger2009") if self.hashed else ("salton1988",)

    def _counter(self, terms: list[str] | None = None) -> Any:
        from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

        shared: dict[str, Any] = {"analyzer": self._terms}
        if self.hashed:
            return HashingVectorizer(n_features=self.max_features, norm=None, alternate_sign=False, **shared)
        if terms is not None:
            return CountVectorizer(vocabulary=terms, **shared)
        return CountVectorizer(max_features=self.max_features, min_df=self.min_count, **shared)

    def _terms(self, cell: Any) -> list[str]:
        """All terms of a text or token list."""
        words = [str(token) for token in cell] if not isinstance(cell, str) else _WORD.findall(cell)
        words = [word.lower() for word in words] if self.lowercase else words
        spans = range(2, self.ngrams + 1)
        return words + [" ".join(words[k : k + n]) for n in spans for k in range(len(words) - n + 1)]
