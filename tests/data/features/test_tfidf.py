"""TF-IDF beside scikit-learn's own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from polytask.data import Preprocessor, PreprocessSettings, Table
from polytask.errors import SchemaError

TEXTS = ["The cat sat on the mat", "the dog sat", "A dog and a cat", "nothing of the kind", "cat cat cat dog"]


def fitted(texts, rows=None, **settings):
    table = Table(pd.DataFrame({"x": texts}), kinds={"x": "text"})
    rows = np.arange(len(texts)) if rows is None else np.array(rows)
    return Preprocessor.fit(table, ["x"], rows, PreprocessSettings(features={"x": {"tfidf": settings}})), table


@pytest.mark.parametrize("sublinear", [True, False])
@pytest.mark.parametrize("ngrams", [1, 2])
def test_it_is_scikit_learns(ngrams, sublinear):
    preprocessor, table = fitted(TEXTS, ngrams=ngrams, sublinear=sublinear, min_count=1)
    theirs = TfidfVectorizer(ngram_range=(1, ngrams), sublinear_tf=sublinear, token_pattern=r"\w+")
    expected = theirs.fit_transform(TEXTS).toarray()
    ours = preprocessor.transform(table)["x"].matrix.toarray()
    assert sorted(ours.round(5).T.tolist()) == sorted(expected.astype(np.float32).round(5).T.tolist())


def test_terms_come_from_training_rows_alone():
    preprocessor, table = fitted(TEXTS, rows=[0, 1], min_count=1)
    assert preprocessor.spec.vectors == {"x": 6}
    assert preprocessor.transform(table)["x"].matrix.toarray()[2].sum() > 0
    assert "kind" not in preprocessor.prepared[0].learnt["terms"]


def test_hashed_terms_need_no_vocabulary():
    preprocessor, table = fitted(TEXTS, hashed=True, max_features=64)
    assert preprocessor.spec.vectors == {"x": 64}
    assert "terms" not in preprocessor.prepared[0].learnt
    assert np.linalg.norm(preprocessor.transform(table)["x"].matrix.toarray(), axis=1) == pytest.approx(np.ones(5))


def test_it_survives_the_folder_and_missing_text(tmp_path):
    preprocessor, table = fitted([*TEXTS, None], min_count=1)
    preprocessor.save(tmp_path)
    loaded = Preprocessor.load(tmp_path)
    before, after = (each.transform(table)["x"].matrix.toarray() for each in (preprocessor, loaded))
    assert (before == after).all()
    assert (before[5] == 0).all()
    assert preprocessor.spec.numbers == ("x is missing",)


def test_texts_without_a_common_word_are_refused():
    with pytest.raises(SchemaError, match="column 'x': no word stands in 2 training texts or more"):
        fitted(["one", "two", "three"])
    table = Table(pd.DataFrame({"x": TEXTS, "n": range(5)}))
    with pytest.raises(SchemaError, match="there is no input column 'y'"):
        Preprocessor.fit(table, ["x"], np.arange(5), PreprocessSettings(features={"y": "tfidf"}))
    with pytest.raises(SchemaError, match="column 'n' is of kind number, but tfidf reads text"):
        Preprocessor.fit(table, ["n"], np.arange(5), PreprocessSettings(features={"n": "tfidf"}))
