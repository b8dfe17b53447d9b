"""Embedding: what a model that was trained on other texts says of a text."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from polytask.data.features.base import Featurizer, Learnt
from polytask.data.features.language_model import model_vectors
from polytask.data.features.word_vectors import read_vectors
from polytask.errors import SchemaError

#: A word, or one sign that is neither word nor space.
_TOKEN = re.compile(r"\w+|[^\w\s]")
#: Bytes at either end of a file that stand for all of it.
_ENDS = 2**20


class Embedding(Featurizer):
    """The mean of a text's vectors, word by word, from a file or a model on disk.

    `path` is a text file of word vectors (GloVe, word2vec, fastText `.vec`), whose unknown words are passed over (none
    known: the vector 0), or a folder with a transformers model and its tokenizer, whose last hidden states are averaged
    over the tokens. Nothing is downloaded. A Run needs it again for new rows: it notes where it was and what was in it.

    Args:
        path: of the file or folder.
        lowercase: whether words are looked up in small letters; a model's tokenizer does as it does.
        batch_size: texts at a time, of a model.
        most_tokens: a text is cut behind so many, of a model.

    Raises:
        ValueError: a setting that cannot be.

    Paper: Pennington, Socher, Manning: GloVe: global vectors for word representation. EMNLP 2014. Of a model: Reimers,
        Gurevych: Sentence-BERT: sentence embeddings using siamese BERT-networks. EMNLP 2019, arXiv 1908.10084 (the mean
        over tokens).
    """

    reads: ClassVar[tuple[str, ...]] = ("text", "tokens", "category")
    paper: ClassVar[str | None] = "pennington2014"

    def __init__(self, *, path: str = "", lowercase: bool = True, batch_size: int = 32, most_tokens: int = 512) -> None:
        if not path:
            raise ValueError("embedding: path is wanted: a text file of word vectors, or the folder of a model")
        if min(batch_size, most_tokens) < 1:
            raise ValueError(
                f"embedding: batch_size={batch_size}, most_tokens={most_tokens}: whole numbers >= 1 are wanted"
            )
        self.path, self.lowercase, self.batch_size, self.most_tokens = path, lowercase, batch_size, most_tokens

    def fit(self, cells: Sequence[Any], place: str) -> Learnt:
        """Where the vectors are, and what marks them; that some word of these texts is among them.

        Raises:
            SchemaError: there are none, or no word is known.
        """
        path = Path(self.path).absolute()
        if not path.exists():
            raise SchemaError(f"{place}: embedding: there is nothing at {str(path)!r}")
        learnt: Learnt = {"path": str(path), "mark": _mark(path)}
        if path.is_file():
            known, _ = read_vectors(path, {word for cell in cells for word in self._words(cell)})
            if not known:
                raise SchemaError(
                    f"{place}: no word of its training texts is in {str(path)!r}; its words may be written otherwise "
                    f"(lowercase: {str(not self.lowercase).lower()})"
                )
        return learnt

    def transform(self, cells: Sequence[Any], learnt: Learnt) -> np.ndarray:
        """float32 `[cells, width]`."""
        path = Path(learnt["path"])
        if not path.exists():
            raise SchemaError(f"embedding: the vectors were at {learnt['path']!r}, where there is nothing any more")
        if _mark(path) != learnt["mark"]:
            raise SchemaError(f"embedding: {learnt['path']!r} is not what this was fitted with; bring the old one back")
        if path.is_dir():
            texts = [cell if isinstance(cell, str) else " ".join(map(str, cell)) for cell in cells]
            return model_vectors(path, texts, self.batch_size, self.most_tokens)
        words = [self._words(cell) for cell in cells]
        known, width = read_vectors(path, {word for cell in words for word in cell})
        found = np.zeros((len(cells), width), dtype=np.float32)
        for k, cell in enumerate(words):
            vectors = [known[word] for word in cell if word in known]
            if vectors:
                found[k] = np.mean(vectors, axis=0, dtype=np.float64)
        return found

    def cited(self) -> tuple[str, ...]:
        """The way of word vectors, or of a model's."""
        return ("reimers2019",) if Path(self.path).is_dir() else ("pennington2014",)

    def _words(self, cell: Any) -> list[str]:
        words = [str(token) for token in cell] if not isinstance(cell, str) else _TOKEN.findall(cell)
        return [word.lower() for word in words] if self.lowercase else words


def _mark(path: Path) -> str:
    """What tells a file or folder from another: names, sizes and the ends of its files."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(path)}\0{size}\0".encode())
        with file.open("rb") as data:
            digest.update(data.read(_ENDS))
            if size > 2 * _ENDS:
                data.seek(-_ENDS, 2)
                digest.update(data.read())
    return digest.hexdigest()
