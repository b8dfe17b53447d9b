"""Every sharing scheme with settings that together have every option, and how a test builds one."""

from dataclasses import dataclass, field
from typing import Any

import torch

from polytask.config import as_choice
from polytask.encoders import ENCODERS
from polytask.feature import CATEGORIES, NUMBERS, InputSpec, SequenceSpec, mask_of
from polytask.sharing import SHARINGS

TABLE = InputSpec(numbers=("a", "b", "c"), categories=(("d", 5), ("e", 4)))
PICTURE = InputSpec(images={"photo": (1, 16, 16)})
BOTH = InputSpec(numbers=("a", "b", "c"), images={"photo": (1, 16, 16)})
SPECS = {"lenet": PICTURE, "fusion": BOTH, "conv1d": InputSpec(sequences={"words": SequenceSpec(num_codes=9)})}
#: Narrow forms of the encoders, so that the product stays cheap; the wide ones where there is none.
NARROW: dict[str, dict[str, Any]] = {
    "mlp": {"widths": [8, 6]},
    "resnet": {"width": 6, "blocks": 2},
    "lenet": {"channels": [3, 4], "widths": [6]},
    "conv1d": {"embedding": 5, "widths": [6], "kernel": 3},
    "fusion": {
        "table": {"mlp": {"widths": [5]}},
        "images": {"lenet": {"channels": [2, 3], "widths": [4]}},
        "widths": [6],
    },
}
TASKS = {"price": (-1,), "sold": (0, -1), "grade": (0,)}


@dataclass(frozen=True)
class Case:
    """A scheme with settings.

    Attributes:
        name: of the scheme.
        settings: of the scheme.
        tasks: task -> stages its head reads.
        is_chain_alone: with one task it is the plain chain.
        refuses: encoders it cannot work on -> a part of the sentence that says so.
        encoders: encoders that have to be other than `NARROW` for it -> their settings.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, tuple[int, ...]] = field(default_factory=lambda: dict(TASKS))
    is_chain_alone: bool = False
    refuses: dict[str, str] = field(default_factory=dict)
    encoders: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.settings.items())])


NO_NORM = {"lenet": "has none in the stages", "fusion": "has none in the stages", "conv1d": "has none in the stages"}
NORMED = {"mlp": {**NARROW["mlp"], "batch_norm": True}}

#: At least one a scheme; the first of each is the one that is tried on every encoder.
CASES = [
    Case("independent", is_chain_alone=True),
    Case("independent", {"initialisation": "own"}),
    Case("hard", is_chain_alone=True),
    Case("hard", {"split": 1}, is_chain_alone=True),
    Case("mmoe"),
    Case("mmoe", {"experts": 3, "split": 2, "dropout": 0.5, "balance": 0.1, "is_normalised": True}),
    Case("top_k"),
    Case("top_k", {"experts": 3, "k": 1, "is_noisy": False, "balance": "switch", "balance_weight": 0.01}),
    Case("dselect_k"),
    Case("dselect_k", {"experts": 5, "k": 3, "gamma": 0.5, "entropy": 0.1, "is_per_row": True}),
    Case("cgc"),
    Case("cgc", {"experts": 2, "task_experts": 2, "split": 2, "dropout": 0.2, "is_normalised": True}),
    Case("ple"),
    Case("ple", {"experts": 2, "task_experts": 2, "levels": 2, "dropout": 0.2, "is_normalised": True}),
    Case("ple", {"experts": 2, "task_experts": 0}),
    Case("ple", {"experts": 0, "task_experts": 2}),
    Case("ple", {"levels": 1}, tasks={"price": (-1,), "sold": (1,), "grade": (1, 2)}),
    Case("ple", {}, tasks={"price": (-1,), "sold": (1,), "grade": (-1,), "area": (0,)}),
    Case("hard", {"split": 1, "initialisation": "own"}),
    Case("soft", is_chain_alone=True),
    Case("soft", {"distance": "trace", "weight": 0.01, "initialisation": "own"}),
    Case("soft", {"weight": [0.0, 1.0, 2.0]}),
    Case("branching", is_chain_alone=True),
    Case("branching", {"tree": [[["price", "sold", "grade"]], [["price", "grade"], ["sold"]]]}),
    Case("branching", {"tree": [[["grade", "sold"], ["price"]]], "initialisation": "own"}),
    Case("cross_stitch", is_chain_alone=True),
    Case("cross_stitch", {"stages": [0, -2], "per_channel": False, "diagonal": 0.7, "unit_rate": 10.0}),
    Case("cross_stitch", {"initialisation": "own"}),
    Case("nddr", is_chain_alone=True),
    Case("nddr", {"stages": [-2], "diagonal": 0.6, "initialisation": "own"}),
    Case("mtan"),
    Case("mtan", {"reduction": 2}),
    Case("film", is_chain_alone=True),
    Case("film", {"stages": [0, -1]}, is_chain_alone=True),
    Case("residual_adapters", is_chain_alone=True),
    Case("residual_adapters", {"bottleneck": 2, "stages": [0, 1]}, is_chain_alone=True),
    Case("lora", is_chain_alone=True),
    Case("lora", {"rank": 2, "alpha": 3.0, "stages": [0, 1]}, is_chain_alone=True),
    Case("mixture_of_lora", is_chain_alone=True),
    Case(
        "mixture_of_lora",
        {"experts": 2, "rank": 4, "alpha": 1.0, "embedding_dim": 3, "stages": [0, 1]},
        is_chain_alone=True,
    ),
    Case("task_norm", is_chain_alone=True, refuses=NO_NORM, encoders=NORMED),
    Case("task_norm", {"groups": [["sold", "price"], ["grade"]]}, refuses=NO_NORM, encoders=NORMED),
    Case("preference_conditioned", is_chain_alone=True),
    Case(
        "preference_conditioned",
        {"stage": 1, "alpha": 1.2, "preference": {"price": 0.5, "sold": 1.0, "grade": 0.0}},
    ),
    Case("rotograd", is_chain_alone=True),
    Case("own_encoders", {"encoders": {"price": {"fusion": NARROW["fusion"]}}}),
    Case(
        "own_encoders",
        {
            "encoders": {"sold": {"mlp": {"widths": [5]}}, "grade": {"resnet": {"width": 4, "blocks": 1}}},
            "beside": True,
        },
        refuses={"lenet": "own_encoders: the encoder of task 'sold'", "fusion": "own_encoders: the encoder of task"},
    ),
    Case("shared_private", {"adversarial": 0.0}),
    Case("pad_net", {"channels": 5}),
    Case(
        "pad_net",
        {"channels": None, "kernel": 1, "initial_weight": 0.0},
        tasks={"price": (0,), "sold": (0,), "grade": (-1,)},
    ),
    Case("joint_many_task", is_chain_alone=True),
    Case("joint_many_task", {"successive": 0.0}, tasks={"price": (-1,), "sold": (1,), "grade": (0,)}),
    Case(
        "joint_many_task",
        {"order": ["grade", "price", "sold"]},
        tasks={"price": (-1,), "sold": (0, -1), "grade": (1,)},
    ),
    Case("aitm", {"order": ["grade", "price", "sold"]}),
    Case("aitm", {"order": ["price", "grade", "sold"], "split": 0, "calibrator": 0.0}),
    Case("aitm", {"order": ["sold", "grade", "price"], "split": 2}),
    Case("shared_private", {"adversarial": 0.1, "orthogonality": 0.0}),
]
#: The schemes that every encoder is tried under: one whole, one stage by stage.
ON_EVERY_ENCODER = ("hard", "cross_stitch")
#: The encoders that every scheme is tried on.
OF_EVERY_SCHEME = ("mlp", "lenet")


def inputs_for(spec: InputSpec, rows: int = 6, seed: int = 1) -> dict[str, torch.Tensor]:
    """Random inputs of this kind."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    if spec.numbers:
        found[NUMBERS] = torch.randn(rows, len(spec.numbers), generator=generator)
    if spec.categories:
        columns = [torch.randint(0, size, (rows,), generator=generator) for _, size in spec.categories]
        found[CATEGORIES] = torch.stack(columns, dim=1)
    for name, shape in spec.images.items():
        found[name] = torch.randn(rows, *shape, generator=generator)
    for name, width in spec.vectors.items():
        found[name] = torch.randn(rows, width, generator=generator)
    for name, each in spec.sequences.items():
        length = torch.arange(rows) % 5 + 1
        mask = torch.arange(5) < length.unsqueeze(1)
        codes = torch.randint(1, max(each.num_codes, 2), (rows, 5), generator=generator)
        values = torch.randn(rows, 5, max(each.channels, 1), generator=generator)
        found[name] = codes * mask if each.num_codes else values * mask.unsqueeze(-1)
        found[mask_of(name)] = mask
    return found


def maker(encoder, settings=None):
    """`make_encoder` of this encoder, and what it reads."""
    spec = SPECS.get(encoder, TABLE)
    choice = as_choice({encoder: NARROW.get(encoder, {}) if settings is None else settings}, ENCODERS, "encoder")

    def make_encoder(copy, other=None):
        torch.manual_seed(sum(f"copy {copy}".encode()))
        return (choice if other is None else as_choice(other, ENCODERS, "encoder"))(spec)

    return make_encoder, spec


def build(case: Case, encoder: str, tasks=None):
    """The scheme on this encoder, and what it reads."""
    make_encoder, spec = maker(encoder, case.encoders.get(encoder))
    choice = as_choice({case.name: case.settings}, SHARINGS, "sharing")
    return choice(make_encoder, case.tasks if tasks is None else tasks, torch.Generator().manual_seed(3)), spec


def takes_together(sharing):
    """Whether it trains several tasks on the same rows."""
    try:
        sharing.check_rows([[*sharing.tasks]], is_one_task_a_step=False)
    except ValueError:
        return False
    return True
