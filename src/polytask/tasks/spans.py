"""Spans of tagged tokens: where names, places and slots begin and end, by BIO or BIOES tags."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int

from polytask.tasks.classes import Class

#: Beginning, inside and end of a span, one that is a single token, and outside all of them.
_PREFIXED = re.compile(r"[BIES]-.+", re.DOTALL)
OUTSIDE = "O"


def has_spans(tags: Iterable[Class]) -> bool:
    """Whether the tags are of the form B-type, I-type (E-type, S-type) and O.

    Example:
        >>> has_spans(["B-city", "I-city", "O"]), has_spans(["noun", "verb"]), has_spans(["O"])
        (True, False, False)
    """
    prefixed = [isinstance(tag, str) and _PREFIXED.fullmatch(tag) is not None for tag in tags]
    return any(prefixed) and all(known or tag == OUTSIDE for known, tag in zip(prefixed, tags, strict=True))


class SpanFinder:
    """Finds the spans in rows of tag codes, all rows at once.

    A span begins at B- and S-; at I- and E- after O, after E- and S-, or after a tag of another type. It ends before
    the next beginning, before O and after E- and S-. This is the rule of CoNLL-2000's conlleval, which takes a wrong
    I- at the beginning of a span for B-.

    Args:
        tags: what the codes mean; see `has_spans`.
    """

    def __init__(self, tags: Sequence[Class]) -> None:
        texts = [str(tag) for tag in tags]
        types = {name: k for k, name in enumerate(dict.fromkeys(text[2:] for text in texts if text != OUTSIDE))}
        # The last code, −1, is outside: what is padded, and what ends the last row.
        self._prefix = np.array([text[0] for text in texts] + [OUTSIDE])
        self._type = np.array([-1 if text == OUTSIDE else types[text[2:]] for text in texts] + [-1])

    def __call__(
        self, codes: Int[np.ndarray, "rows length"]
    ) -> tuple[Int[np.ndarray, " spans"], Int[np.ndarray, " spans"], Int[np.ndarray, " spans"]]:
        """Of every span its first place, its last place and its type; places are counted through over all rows.

        Args:
            codes: of the tags; −1: outside.
        """
        # One place outside behind each row, so that no span goes on in the next one.
        flat = np.pad(codes, ((0, 0), (0, 1)), constant_values=-1).ravel()
        prefix, kind = self._prefix[flat], self._type[flat]
        before = np.concatenate([[OUTSIDE], prefix[:-1]])
        kind_before = np.concatenate([[-1], kind[:-1]])
        is_other = kind != kind_before
        closes: Bool[np.ndarray, " places"] = np.isin(before, ["E", "S"])
        goes_on = np.isin(prefix, ["I", "E"])
        begins = np.isin(prefix, ["B", "S"]) | (goes_on & (closes | (before == OUTSIDE) | is_other))
        ends_before = (before != OUTSIDE) & (~goes_on | closes | is_other)
        first = np.flatnonzero(begins)
        return first, np.flatnonzero(ends_before) - 1, kind[first]


def span_f1(
    predicted: Int[np.ndarray, "rows length"], wanted: Int[np.ndarray, "rows length"], find: SpanFinder
) -> float:
    """2 TP / (spans predicted + spans wanted); a span is right where its beginning, end and type are.

    NaN where there is none of either.
    """
    found, true = find(predicted), find(wanted)
    total = len(found[0]) + len(true[0])
    if not total:
        return float("nan")
    _, here, there = np.intersect1d(found[0], true[0], assume_unique=True, return_indices=True)
    is_right = (found[1][here] == true[1][there]) & (found[2][here] == true[2][there])
    return 2 * int(is_right.sum()) / total
