"""Selection of input columns: common to all tasks, or the best of each; learnt from training rows alone."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from polytask.data.prepared import PreprocessSettings
from polytask.data.preprocess import Preprocessor
from polytask.data.select_settings import Select
from polytask.data.table import Table
from polytask.data.targets import encode_targets, fit_task
from polytask.errors import ConfigError, SchemaError
from polytask.feature import CATEGORIES, NUMBERS
from polytask.ragged import as_padded
from polytask.tasks import Task

#: Columns of these kinds can be judged; all others stay.
SELECTABLE = ("number", "boolean", "date", "category")
#: Kinds of tasks whose targets can judge them, and whether these are classes.
IN_CLASSES, IN_NUMBERS = ("classification", "ordinal", "multilabel"), ("regression", "vector_regression")
#: Columns are judged on at most this many training rows, and at least this many.
SAMPLE, FEWEST = 5_000, 20
#: Of a category, so many most frequent values enter the lasso.
MOST_VALUES = 50


@dataclass(frozen=True)
class Selected:
    """What a selection found.

    Attributes:
        scores: column -> its score, summed over tasks.
        by_task: task -> column -> score.
        kept: columns that stay, in their order: selected ones, and those that cannot be judged.
        dropped: the others.
        kept_by_task: task -> its best columns, best first.
    """

    scores: dict[str, float]
    by_task: dict[str, dict[str, float]]
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    kept_by_task: dict[str, tuple[str, ...]]


def select_features(
    table: Table, tasks: Sequence[Task], rows: np.ndarray, columns: Sequence[str], settings: Select
) -> Selected:
    """Selects input columns by training rows of one table: see `score_features` and `choose_features`.

    Raises:
        ConfigError: no task can judge a column.
    """
    return choose_features(score_features(table, tasks, rows, columns, settings), columns, settings)


def score_features(
    table: Table, tasks: Sequence[Task], rows: np.ndarray, columns: Sequence[str], settings: Select
) -> dict[str, dict[str, float]]:
    """Task -> column -> what the column says of it, in [0, 1]; without columns that cannot be judged or are constant.

    *mutual_information* I(x; y) in nats, estimated by nearest neighbours, brought to one scale: I ÷ H(y) for classes
    (the share of the entropy that is explained), 1 − exp(−2 I) for numbers (the share of the variance, were both
    normal); the mean over the labels or dimensions of a target. Of what a column becomes (its number, whether it is
    missing), the best counts.

    *multi_task_lasso*: ‖Y − X W‖² ÷ (2n) + α Σ over columns ‖row of W‖₂, α by cross-validation, on rows in which every
    target is present; X and Y standardised, classes as 0 and 1. A task's score of a column is the norm of its part of
    the row, over the largest norm of a row.

    Args:
        table: of the rows.
        tasks: of this table; those of kinds that have no class or number a row judge nothing.
        rows: training rows; 5,000 of them are drawn, if there are more.
        columns: to be judged.
        settings: the method.

    Raises:
        ConfigError: too few rows have every target, for the lasso.

    Paper: Kraskov, Stögbauer, Grassberger: Estimating mutual information, Physical Review E 69, 2004; Obozinski,
        Taskar, Jordan: Joint covariate selection and joint subspace selection for multiple classification problems,
        Statistics and Computing 20, 2010.
    """
    rows = np.asarray(rows)
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(rows, SAMPLE, replace=False))
    judged = [column for column in columns if table.kind(column) in SELECTABLE]
    targets = _targets(table, tasks, rows)
    if not judged or not targets:
        return {}
    try:
        blocks = _blocks(table, judged, rows)
    except SchemaError:  # all are constant, which the preprocessing will say
        return {}
    if settings.method == "mutual_information":
        return {name: _information(blocks, *target) for name, target in targets.items()}
    return _lasso(blocks, targets)


def choose_features(by_task: Mapping[str, Mapping[str, float]], columns: Sequence[str], settings: Select) -> Selected:
    """The columns that stay, by their scores.

    Args:
        by_task: task -> column -> score, of one table or of several.
        columns: all of them, in order.
        settings: how many stay, for all tasks or for each.

    Raises:
        ConfigError: no task has judged a column.
    """
    judged = [column for column in columns if any(column in scores for scores in by_task.values())]
    if not judged:
        raise ConfigError(
            "data.preprocess.select: there is nothing to select by: tasks with classes or numbers are wanted, and "
            f"input columns of kind {', '.join(SELECTABLE)} that vary; leave select out"
        )
    total = {column: sum(scores.get(column, 0.0) for scores in by_task.values()) for column in judged}
    number = settings.number(len(judged))
    best = {name: tuple(_best(scores, judged)[:number]) for name, scores in by_task.items()}
    chosen = set(_best(total, judged)[:number])
    if settings.per == "task":
        chosen = {column for of_task in best.values() for column in of_task}
    else:
        best = {name: tuple(c for c in _best(scores, judged) if c in chosen) for name, scores in by_task.items()}
    dropped = tuple(column for column in judged if column not in chosen)
    kept = tuple(column for column in columns if column not in dropped)
    return Selected(total, {name: dict(scores) for name, scores in by_task.items()}, kept, dropped, best)


def _best(scores: Mapping[str, float], columns: Sequence[str]) -> list[str]:
    return sorted(columns, key=lambda column: -scores.get(column, 0.0))


def _targets(table: Table, tasks: Sequence[Task], rows: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray, bool]]:
    """Task -> targets and where they are present, `[rows, targets]`, and whether they are classes."""
    found = {}
    for task in (task for task in tasks if task.kind in (*IN_CLASSES, *IN_NUMBERS)):
        fitted = {task.name: fit_task(table, task, rows)}
        targets = encode_targets(table, [task], fitted, rows)
        values, present = (as_padded(of[task.name]).numpy() for of in (targets.values, targets.present))
        found[task.name] = (values.reshape(len(rows), -1), present.reshape(len(rows), -1), task.kind in IN_CLASSES)
    return found


def _blocks(table: Table, columns: Sequence[str], rows: np.ndarray) -> dict[str, tuple[np.ndarray, bool]]:
    """Column -> what it becomes, float64 `[rows, …]`, and whether these are codes."""
    blocks: dict[str, tuple[np.ndarray, bool]] = {}
    prepared = Preprocessor.fit(table, columns, rows, PreprocessSettings())
    for column in prepared.prepared:
        inputs = Preprocessor((column,)).transform(table, rows)
        is_code = CATEGORIES in inputs
        block = inputs[CATEGORIES if is_code else NUMBERS]
        assert isinstance(block, Tensor)
        blocks[column.name] = (block.numpy().astype(np.float64), is_code)
    return blocks


def _information(
    blocks: Mapping[str, tuple[np.ndarray, bool]], values: np.ndarray, present: np.ndarray, are_classes: bool
) -> dict[str, float]:
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block, _ in blocks.values()])
    cells = np.concatenate([block for block, _ in blocks.values()], axis=1)
    is_discrete = np.repeat([is_code for _, is_code in blocks.values()], np.bincount(owner))
    is_discrete |= np.isin(cells, (0.0, 1.0)).all(axis=0)
    total, number = np.zeros(len(blocks)), 0
    for target, known in zip(values.T, present.T, strict=True):
        y = target[known]
        if len(y) < FEWEST or (y == y[0]).all():
            continue
        estimate = mutual_info_classif if are_classes else mutual_info_regression
        labels = y.astype(int) if are_classes else y
        found = estimate(cells[known], labels, discrete_features=is_discrete, random_state=0)
        shares = np.unique(y, return_counts=True)[1] / len(y)
        entropy = -float((shares * np.log(shares)).sum())
        scaled = np.minimum(found / entropy, 1.0) if are_classes else 1 - np.exp(-2 * found)
        best = np.zeros(len(blocks))
        np.maximum.at(best, owner, scaled)
        total, number = total + best, number + 1
    return dict(zip(blocks, (total / max(number, 1)).tolist(), strict=True))


def _lasso(
    blocks: Mapping[str, tuple[np.ndarray, bool]], targets: Mapping[str, tuple[np.ndarray, np.ndarray, bool]]
) -> dict[str, dict[str, float]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import MultiTaskLassoCV

    complete = np.all([present.all(axis=1) for _, present, _ in targets.values()], axis=0)
    if complete.sum() < FEWEST:
        raise ConfigError(
            f"data.preprocess.select: multi_task_lasso wants rows in which every target is present, and there are "
            f"{int(complete.sum())} of {len(complete)} training rows; mutual_information takes each task's own rows"
        )
    wide = {name: _one_hot(block) if is_code else block for name, (block, is_code) in blocks.items()}
    owner = np.repeat(np.arange(len(wide)), [block.shape[1] for block in wide.values()])
    outputs = {name: _columns_of(values, are_classes) for name, (values, _, are_classes) in targets.items()}
    X = _standard(np.concatenate(list(wide.values()), axis=1)[complete])
    Y = _standard(np.concatenate(list(outputs.values()), axis=1)[complete])
    model = MultiTaskLassoCV(cv=5, alphas=30, max_iter=2000)
    with warnings.catch_warnings():
        # Near the smallest α the norms of rows have settled long before the solver's tolerance is met.
        warnings.simplefilter("ignore", ConvergenceWarning)
        weights = model.fit(X, Y).coef_.T
    squares = np.zeros((len(wide), Y.shape[1]))
    np.add.at(squares, owner, weights**2)
    largest = float(np.sqrt(squares.sum(axis=1).max())) or 1.0
    found, first = {}, 0
    for name, columns in outputs.items():
        norms = np.sqrt(squares[:, first : first + columns.shape[1]].sum(axis=1)) / largest
        found[name] = dict(zip(wide, norms.tolist(), strict=True))
        first += columns.shape[1]
    return found


def _one_hot(codes: np.ndarray) -> np.ndarray:
    levels, counts = np.unique(codes, return_counts=True)
    frequent = levels[np.argsort(-counts, kind="stable")[:MOST_VALUES]]
    return np.asarray(codes == frequent, dtype=np.float64)


def _columns_of(values: np.ndarray, are_classes: bool) -> np.ndarray:
    """The targets as numbers: classes of one column as 0 and 1, one column a class, for two classes one in all."""
    if not are_classes or values.shape[1] > 1:
        return np.asarray(values, dtype=np.float64)
    number = int(values.max()) + 1
    return np.asarray(values == np.arange(1 if number <= 2 else 0, max(number, 2)), dtype=np.float64)


def _standard(block: np.ndarray) -> np.ndarray:
    spread = block.std(axis=0)
    return np.asarray((block - block.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
