"""The behavioural expectation calibrator: what happens after something is no likelier than it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor


def excess(logits: Mapping[str, Float[Tensor, " batch"]], order: Sequence[str]) -> Float[Tensor, ""] | None:
    """Σ over neighbours of the mean over rows of max(p_later − p_earlier, 0); None where fewer than two are there.

    Args:
        logits: of the tasks of two classes that are present.
        order: of the tasks; those that are not present are passed over.
    """
    present = [torch.sigmoid(logits[task]) for task in order if task in logits]
    terms = [(later - earlier).clamp_min(0).mean() for earlier, later in pairwise(present)]
    return torch.stack(terms).sum() if terms else None
