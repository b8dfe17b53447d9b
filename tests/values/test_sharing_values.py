"""Known weights and one input, known features out: a row for every sharing scheme.

The encoder has two stages without biases, x -> W₁x and x -> W₂x, W₁ = [[1, 2], [0, 1]], W₂ = [[1, -1]]; `copy` k multiplies
both by k + 1, a copy that is named by text by 2. The input is (3, 1), so the plain chain gives (5, 1) and then 4. Worked by hand.
"""

import pytest
import torch
from torch import nn

from polytask.feature import NUMBERS, Feature
from polytask.sharing import CGC, PLE, SHARINGS, DSelectK, Hard, Independent, MMoE, TopK

FIRST, SECOND = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[1.0, -1.0]])


class Stage(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def forward(self, value):
        values = value[NUMBERS] if isinstance(value, dict) else value.values
        return Feature(values @ self.weight.T)


class Chain(nn.Module):
    widths = (2, 1)

    def __init__(self, copy):
        super().__init__()
        factor = copy + 1 if isinstance(copy, int) else 2
        self.stages = nn.ModuleList([Stage(FIRST * factor), Stage(SECOND * factor)])


TWO = {"a": (-1,), "b": (-1,)}
EARLY = {"a": (-1,), "b": (0,)}
#: scheme, settings, tasks, features of each task, sizes of the shared parameters, source
ROWS = [
    (Hard, {}, TWO, {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0], [4.0]]}, [4, 2], "Caruana 1997, f_t = s_2(s_1(x))"),
    (Hard, {"split": 1}, TWO, {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0], [4.0]]}, [4], "first stage shared"),
    (Hard, {"split": 0}, TWO, {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0], [4.0]]}, [], "nothing shared"),
    (Hard, {}, EARLY, {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0]]}, [4], "b needs one stage, the second is a's own"),
    # Behind the first stage (5, 1) experts 0, 1, 2 give 4, 8, 12, a task's own 8, each by the plain mean at the start.
    (
        MMoE,
        {"experts": 3},
        TWO,
        {"a": [[5.0, 1.0], [8.0]], "b": [[5.0, 1.0], [8.0]]},
        [4, 2, 2, 2],
        "Ma et al. 2018, (4 + 8 + 12)/3",
    ),
    (
        TopK,
        {"experts": 3, "k": 3, "is_noisy": False},
        TWO,
        {"a": [[5.0, 1.0], [8.0]]},
        [4, 2, 2, 2],
        "k = E without noise is MMoE",
    ),
    (DSelectK, {"experts": 1, "k": 1}, TWO, {"a": [[5.0, 1.0], [4.0]]}, [4, 2], "one expert has weight 1"),
    (CGC, {}, TWO, {"a": [[5.0, 1.0], [6.0]], "b": [[5.0, 1.0], [6.0]]}, [4, 2], "Tang et al. 2020, (8 + 4)/2"),
    (PLE, {"experts": 2, "levels": 1}, TWO, {"a": [[5.0, 1.0], [20 / 3]]}, [4, 2, 2], "(8 + 4 + 8)/3"),
    (Independent, {}, TWO, {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0], [4.0]]}, [], "a chain for every task"),
]


@pytest.mark.parametrize(
    ("scheme", "settings", "tasks", "features", "shared", "source"), ROWS, ids=lambda value: str(value)[:40]
)
def test_known_features(scheme, settings, tasks, features, shared, source):
    sharing = scheme(Chain, tasks, torch.Generator(), **settings)
    found = sharing({NUMBERS: torch.tensor([[3.0, 1.0]])}, list(tasks))
    for task, stages in features.items():
        for stage, expected in enumerate(stages):
            torch.testing.assert_close(found[task][stage].values, torch.tensor([expected]), msg=source)
    assert [p.numel() for p in sharing.shared_parameters()] == shared, source


def test_every_scheme_has_a_row():
    assert {row[0] for row in ROWS} == set(SHARINGS.values())
