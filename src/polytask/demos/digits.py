"""Multi-Digits: two handwritten digits over each other, and four questions about them.

The 1,797 digits of 8×8 pixels that come with scikit-learn are overlapped in pairs, as MultiMNIST does with
MNIST: the left digit at the top left of a 12×12 canvas, the right one four pixels further down and right, the
brighter pixel on top.

The digits are dealt to the three parts *before* they are paired, so that no digit is seen in two parts. A
digit of the test is in exactly one pair: its rows are independent. Digits of training and validation are
paired anew several times.

A quarter of the digits of every part is paired within its own class first; the rest are paired at random,
where one pair in ten is equal too: about a third of all pairs is equal, where chance alone would give a
tenth.

Paper: Sabour, Frosst, Hinton, Dynamic Routing Between Capsules, NeurIPS 2017, arXiv:1710.09829 (overlapped
digits); Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI 1998 (the digits).
"""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.datasets import load_digits

from polytask.tasks import Classification, Regression, Task

#: Shares of the source digits: about half for testing, since each of them makes half a row there.
PARTS = {"train": 0.4, "validation": 0.1, "test": 0.5}
#: In how many validation pairs a validation digit is, at most: weights and candidates are chosen on them.
VALIDATION_PAIRS = 4
#: Share of a part's digits that are paired with one of their own class.
EQUAL_SHARE = 0.25
#: How far the right digit stands below and right of the left one, in pixels.
OFFSET = 4
#: Pixels of scikit-learn's digits go from 0 to this.
WHITE = 16.0


def multi_digits(*, pairs_per_digit: int = 12, seed: int = 0) -> pd.DataFrame:
    """Pairs of overlapping digits.

    Args:
        pairs_per_digit: in how many training pairs each training digit is.
        seed: of the parts and of the pairing.

    Returns:
        Columns `image` ([12, 12] float32 from 0 to 1), `left`, `right` (0 to 9), `total` (0 to 18), `equal`
        (bool) and `part` ("train", "validation", "test").

    Raises:
        ValueError: `pairs_per_digit` below 1.

    Example:
        >>> table = multi_digits(pairs_per_digit=1)
        >>> table.groupby("part").size().to_dict()
        {'test': 449, 'train': 359, 'validation': 89}
    """
    if pairs_per_digit < 1:
        raise ValueError(f"pairs_per_digit is at least 1, got {pairs_per_digit}")
    digits = load_digits()
    labels = digits.target
    pairs = pair_sources(labels, pairs_per_digit=pairs_per_digit, seed=seed)
    left, right = (np.concatenate([found[:, side] for found in pairs.values()]) for side in (0, 1))
    images = overlap(digits.images[left], digits.images[right])
    return pd.DataFrame(
        {
            "image": pd.Series(list(images), dtype=object),
            "left": labels[left],
            "right": labels[right],
            "total": (labels[left] + labels[right]).astype(np.float64),
            "equal": labels[left] == labels[right],
            "part": np.repeat(list(pairs), [len(found) for found in pairs.values()]),
        }
    )


def overlap(
    left: Float[np.ndarray, "pairs size size"], right: Float[np.ndarray, "pairs size size"]
) -> Float[np.ndarray, "pairs canvas canvas"]:
    """Both digits on one canvas from 0 to 1: the brighter pixel wins."""
    num_pairs, size, _ = left.shape
    canvas = np.zeros((num_pairs, size + OFFSET, size + OFFSET), dtype=np.float32)
    canvas[:, :size, :size] = left
    canvas[:, OFFSET:, OFFSET:] = np.maximum(canvas[:, OFFSET:, OFFSET:], right)
    return canvas / np.float32(WHITE)


def pair_sources(
    labels: Int[np.ndarray, " digits"], *, pairs_per_digit: int, seed: int
) -> dict[str, Int[np.ndarray, "pairs 2"]]:
    """The positions of the left and right source digit of every pair, by part."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    ends = np.rint(np.cumsum(list(PARTS.values())) * len(labels)).astype(int)
    sources = dict(zip(PARTS, np.split(order, ends[:-1]), strict=True))
    rounds = {"train": pairs_per_digit, "validation": min(pairs_per_digit, VALIDATION_PAIRS), "test": 1}
    return {
        part: np.concatenate([_pair_once(sources[part], labels, generator) for _ in range(rounds[part])])
        for part in PARTS
    }


def _pair_once(
    sources: Int[np.ndarray, " sources"], labels: Int[np.ndarray, " digits"], generator: np.random.Generator
) -> Int[np.ndarray, "pairs 2"]:
    """Pairs every source with one other (the last one of an odd number stays alone)."""
    shuffled = generator.permutation(sources)
    alike, rest = [], []
    for digit in np.unique(labels[shuffled]):
        own = shuffled[labels[shuffled] == digit]
        num_alike = 2 * round(len(own) * EQUAL_SHARE / 2)
        alike.append(own[:num_alike])
        rest.append(own[num_alike:])
    free = generator.permutation(np.concatenate(rest))
    line = np.concatenate([*alike, free[: len(free) // 2 * 2]])
    # A digit's neighbour in the line is its partner; the pairs come in random order.
    pairs: Int[np.ndarray, "pairs 2"] = generator.permutation(line.reshape(-1, 2), axis=0)
    return pairs


def tasks() -> tuple[Task, ...]:
    """The two digits, their total, and whether they are equal."""
    return Classification("left"), Classification("right"), Regression("total"), Classification("equal")


def settings() -> dict[str, Any]:
    """What `fit` needs besides its defaults."""
    return {
        "encoder": "lenet",
        "split": {"column": "part"},
        "epochs": 30,
        "threads": 1,
        "batch_size": 128,
        "learning_rate": 3e-3,
        "schedule": "cosine",
        "early_stopping": {"patience": 10},
    }
