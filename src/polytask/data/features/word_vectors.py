"""A file of word vectors: a word and its numbers a line, as GloVe, word2vec and fastText write them as text."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from polytask.errors import SchemaError


def read_vectors(path: Path, wanted: Collection[str] | None) -> tuple[dict[str, np.ndarray], int]:
    """The vectors of these words, float32 `[width]`, of all where None; and their width.

    A first line of two whole numbers (words, width) is passed over. A word may hold spaces; of one that comes twice the
    first counts.

    Raises:
        SchemaError: no such file, or one that is no text of vectors of one width.
    """
    if not path.is_file():
        raise SchemaError(f"embedding: there is no file {str(path)!r}")
    found: dict[str, np.ndarray] = {}
    width = 0
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            parts = line.rstrip().split(" ")
            if number == 1:
                if len(parts) == 2 and all(part.isdigit() for part in parts):
                    width = int(parts[1])
                    continue
                width = len(parts) - 1
            width = width or len(parts) - 1
            word = " ".join(parts[:-width])
            if len(parts) <= width or width < 1:
                raise SchemaError(_broken(path, number, f"a word and {width} numbers are wanted"))
            if word in found or (wanted is not None and word not in wanted):
                continue
            try:
                found[word] = np.array(parts[-width:], dtype=np.float32)
            except ValueError:
                raise SchemaError(_broken(path, number, f"a word and {width} numbers are wanted")) from None
    if not width:
        raise SchemaError(f"embedding: the file {str(path)!r} is empty")
    return found, width


def _broken(path: Path, line: int, why: str) -> str:
    return f"embedding: {str(path)!r}, line {line}: {why}, as GloVe and word2vec write them as text"
