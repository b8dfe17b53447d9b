"""CoNLL files: a line a token, columns by tabs or spaces, a blank line between sentences."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from polytask.errors import SchemaError

#: The columns of CoNLL-U (Universal Dependencies), in order.
CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_COMMENT = re.compile(r"#\s*([\w:.-]+)\s*=\s?(.*)")


def frame_of_conll(text: str, path: Path, columns: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """A row a sentence: a list of strings a column, and each comment `# key = value` as a column.

    In CoNLL-U (`.conllu`, or `columns` of its ten names) the tokens of a range (`3-4`) and empty nodes (`3.1`) are
    skipped, the words inside the range are kept; other comments (`# newpar`) are skipped too. Elsewhere a line is a
    comment only as `# key = value`, and a sentence that is nothing but `-DOCSTART-` is skipped.

    Args:
        text: of the file.
        path: of the file.
        columns: names; where not given, those of CoNLL-U for `.conllu`, else c0, c1, …

    Returns:
        The columns, and what is to be said.

    Raises:
        SchemaError: a line with another number of fields, or no sentence.
    """
    names = tuple(columns) or (CONLLU if path.suffix.lower() == ".conllu" else ())
    is_u = names == CONLLU
    rows: list[dict[str, object]] = []
    tokens: list[list[str]] = []
    comments: dict[str, str] = {}
    skipped = {"ranges of words": 0, "empty nodes": 0, "sentences of -DOCSTART- alone": 0}
    for number, raw in enumerate([*text.split("\n"), ""], start=1):
        line = raw.rstrip("\r")
        if not line.strip():
            if len(tokens) == 1 and tokens[0][0] == "-DOCSTART-":
                skipped["sentences of -DOCSTART- alone"] += 1
            elif tokens:
                lists = dict(zip(names, map(list, zip(*tokens, strict=True)), strict=True))
                rows.append(lists | {key if key not in names else f"comment_{key}": v for key, v in comments.items()})
            if tokens or not line:
                tokens, comments = [], {} if tokens else comments
            continue
        comment = _COMMENT.fullmatch(line)
        if line.startswith("#") and (is_u or comment) and not tokens:
            if comment:
                comments[comment[1]] = comment[2].strip()
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        names = names or tuple(f"c{k}" for k in range(len(fields)))
        if len(fields) != len(names):
            raise SchemaError(
                f"{path}, line {number}: {len(fields)} fields, but {len(names)} are wanted "
                f"({', '.join(names)}): {line[:60]!r}"
            )
        if is_u and not fields[0].isdecimal():
            what = "ranges of words" if "-" in fields[0] else "empty nodes"
            skipped[what] += 1
            continue
        tokens.append(fields)
    if not rows:
        raise SchemaError(f"{path}: the file holds no sentence")
    counts = ", ".join(f"{count:,} {what}" for what, count in skipped.items() if count)
    keys = dict.fromkeys(key for row in rows for key in row)
    frame = pd.DataFrame({key: pd.Series([row.get(key) for row in rows], dtype=object) for key in keys})
    return frame, [f"{path.name}: skipped {counts}"] if counts else []
