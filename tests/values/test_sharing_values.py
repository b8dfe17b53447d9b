"""Known weights and one input, known features out: a row for every sharing scheme.

The encoder has two stages without biases, x -> W₁x and x -> W₂x, W₁ = [[1, 2], [0, 1]], W₂ = [[1, -1]]; `copy` k multiplies
both by k + 1, a copy that is named by text by 2, another encoder by 10. The input is (3, 1), so the plain chain gives (5, 1) and then 4. Worked by hand.
"""

import pytest
import torch
from torch import nn

from polytask.feature import NUMBERS, Feature
from polytask.sharing import (
    AITM,
    CGC,
    MTAN,
    NDDR,
    PLE,
    SHARINGS,
    Branching,
    CrossStitch,
    DSelectK,
    FiLM,
    Hard,
    Independent,
    JointManyTask,
    LoRA,
    MixtureOfLoRA,
    MMoE,
    OwnEncoders,
    PadNet,
    PreferenceConditioned,
    ResidualAdapters,
    RotoGrad,
    SharedPrivate,
    Soft,
    TaskNorm,
    TopK,
)

FIRST, SECOND = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[1.0, -1.0]])


class Stage(nn.Linear):
    def __init__(self, weight):
        super().__init__(*reversed(weight.shape), bias=False)
        self.weight = nn.Parameter(weight.clone())

    def forward(self, value):
        values = value[NUMBERS] if isinstance(value, dict) else value.values
        return Feature(values @ self.weight.T)


class Normed(nn.Module):
    """A stage and a batch norm in evaluation, its means 1 and its variances 4: (W x - 1) / 2."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage
        self.norm = nn.BatchNorm1d(len(stage.weight), eps=0.0).eval()
        self.norm.running_mean.fill_(1.0)
        self.norm.running_var.fill_(4.0)

    def forward(self, value):
        return Feature(self.norm(self.stage(value).values))


class Chain(nn.Module):
    widths = (2, 1)

    def __init__(self, copy, other=None):
        super().__init__()
        factor = copy + 1 if isinstance(copy, int) else 2
        factor *= 1 if other is None else 10
        self.stages = nn.ModuleList([Stage(FIRST * factor), Stage(SECOND * factor)])

    def kinds(self):
        return ("vector", "vector")


class NormedChain(Chain):
    def __init__(self, copy):
        super().__init__(copy)
        self.stages = nn.ModuleList(map(Normed, self.stages))


#: Schemes that need another chain.
CHAINS = {TaskNorm: NormedChain}

TWO = {"a": (-1,), "b": (-1,)}
EARLY = {"a": (-1,), "b": (0,)}
PLAIN = {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0], [4.0]]}
#: What batch norm divides by where running statistics, a variance of 1, stand in for those of a single row.
BN = (1 + 1e-5) ** 0.5
NORM = {"a": [[2.0, 0.0], [0.5]], "b": [[2.0, 0.0], [0.5]]}
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
    (FiLM, {}, TWO, PLAIN, [4, 2], "Perez et al. 2018 with g = b = 0"),
    (ResidualAdapters, {}, TWO, PLAIN, [4, 2], "Rebuffi et al. 2017 with A = 0"),
    (ResidualAdapters, {"bottleneck": 1}, TWO, PLAIN, [4, 2], "Houlsby et al. 2019 with U = 0"),
    (LoRA, {}, TWO, PLAIN, [4, 2], "Hu et al. 2022 with B = 0"),
    (MixtureOfLoRA, {}, TWO, PLAIN, [8, 4, 2, 16, 8 * 64], "Liu et al. 2024 with B = 0: trunk, A and B, gate shared"),
    (TaskNorm, {}, TWO, NORM, [4, 2], "(5 - 1)/2 and (1 - 1)/2, then (2 - 0 - 1)/2; norms are the tasks' own"),
    (TaskNorm, {"groups": [["a", "b"]]}, TWO, NORM, [4, 2, 2, 2, 1, 1], "one group: norms are shared"),
    (PreferenceConditioned, {}, TWO, PLAIN, [4, 4, 4, 2], "Ruchte and Grabocka 2021 with G = B = 0, each [2, tasks]"),
    (RotoGrad, {}, TWO, PLAIN, [4, 2], "Javaloy and Valera 2022 with R = I"),
    (
        OwnEncoders,
        {"encoders": {"b": "mlp"}},
        TWO,
        {"a": [[5.0, 1.0], [4.0]], "b": [[50.0, 10.0], [400.0]]},
        [],
        "b's chain is 10 times as much at either stage, and a alone runs the other",
    ),
    (
        OwnEncoders,
        {"encoders": {"b": "mlp"}, "beside": True},
        TWO,
        {"a": [[5.0, 1.0], [4.0]], "b": [[50.0, 10.0], [4.0, 400.0]]},
        [4, 2],
        "[shared ; own] at the last stage",
    ),
    (
        SharedPrivate,
        {"adversarial": 0.0},
        {"a": (0, -1), "b": (0, -1)},
        {"a": [[5.0, 1.0, 10.0, 2.0], [4.0, 16.0]], "b": [[5.0, 1.0, 10.0, 2.0], [4.0, 16.0]]},
        [4, 2],
        "Liu et al. 2017, [s ; p]; a private chain is 2 times as much at either stage",
    ),
    (
        PadNet,
        {"channels": 3, "kernel": 1},
        TWO,
        {"a": [[5.0, 1.0]], "b": [[5.0, 1.0]]},
        [4, 2, 3, 3, 3, 3],
        "Xu et al. 2018: each f_j = 3 weights and 3 biases; the last stage: tests/sharing/test_pad_net.py",
    ),
    (
        JointManyTask,
        {},
        EARLY,
        {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0]]},
        [4],
        "Hashimoto et al. 2017 at its start, P = E = 0: hard; others: tests/sharing/test_joint_many_task.py",
    ),
    (
        AITM,
        {},
        TWO,
        {"a": [[5.0, 1.0], [4.0]]},
        [4, 2],
        "Xi et al. 2021, z_1 = q_1; b's z_2: tests/sharing/test_aitm.py",
    ),
    (Independent, {}, TWO, {"a": [[5.0, 1.0], [4.0]], "b": [[5.0, 1.0], [4.0]]}, [], "a chain for every task"),
    (Independent, {"initialisation": "own"}, EARLY, {"a": [[10, 2], [16]], "b": [[10, 2]]}, [], "copies by name"),
    (Hard, {"split": 1, "initialisation": "own"}, TWO, {"a": [[5, 1], [8]], "b": [[5, 1], [8]]}, [4], "tails by name"),
    (Soft, {}, TWO, PLAIN, [], "Duong 2015, a chain for every task"),
    (Branching, {}, TWO, PLAIN, [4], "the last stage is each task's own"),
    (Branching, {"tree": [[["b", "a"]]]}, TWO, PLAIN, [4, 2], "one group throughout is hard sharing"),
    (Branching, {"tree": [[["a"], ["b"]]]}, TWO, PLAIN, [], "tasks alone throughout share nothing"),
    # Rows of A sum to 1, so that equal nets stay as they are; the last mixtures are each task's own.
    (CrossStitch, {"diagonal": 0.75}, TWO, PLAIN, [4, 2, 4, 2, 4, 4], "Misra 2016, equation 1"),
    (CrossStitch, {"diagonal": 0.75}, EARLY, {"a": PLAIN["a"], "b": [[5, 1]]}, [4, 4], "only the first stage is mixed"),
    # (5, 1) and (5, 1) reduced by 3/4 and 1/4 are (5, 1), then batch norm; 4 likewise, once more.
    (
        NDDR,
        {"diagonal": 0.75},
        TWO,
        {task: [[5 / BN, 1 / BN], [4 / BN**2]] for task in "ab"},
        [4, 2, 4, 2, 8, 2, 2, 8, 2, 2],
        "Gao 2019, figure 2",
    ),
    # Layer norm of the single hidden channel is 0, so every mask is sigmoid(0) = 1/2: (5, 1) / 2 and 4 / 2.
    (MTAN, {"reduction": 2}, TWO, {t: [[2.5, 0.5], [2.0]] for t in "ab"}, [4, 2, 2, 1, 1, 1], "Liu 2019, equation 1"),
    (MTAN, {"reduction": 2}, EARLY, {"a": [[2.5, 0.5], [2.0]], "b": [[2.5, 0.5]]}, [4], "no refinement is shared"),
]


@pytest.mark.parametrize(
    ("scheme", "settings", "tasks", "features", "shared", "source"), ROWS, ids=lambda value: str(value)[:40]
)
def test_known_features(scheme, settings, tasks, features, shared, source):
    sharing = scheme(CHAINS.get(scheme, Chain), tasks, torch.Generator(), **settings)
    found = sharing({NUMBERS: torch.tensor([[3.0, 1.0]])}, list(tasks))
    for task, stages in features.items():
        for stage, expected in enumerate(stages):
            assert found[task][stage].values.tolist() == [pytest.approx(expected)], source
    assert sorted(p.numel() for p in sharing.shared_parameters()) == sorted(shared), source


def test_every_scheme_has_a_row():
    assert {row[0] for row in ROWS} == set(SHARINGS.values())
