"""Losses that keep the experts' loads even, over the gates of all tasks together.

Jointly, not gate by gate: each task evened out by itself could not choose.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polytask.sharing.gates import Gate


def importance(gates: Sequence[Gate]) -> Float[Tensor, ""]:
    """CV(Σ_rows g)²: the squared coefficient of variation of the experts' total weights; 0 where they are even.

    Paper: Shazeer et al., ICLR 2017, arXiv 1701.06538.
    """
    totals = torch.stack([_rows(gate, "weights").sum(dim=0) for gate in gates]).sum(dim=0)
    return totals.var(correction=0) / totals.mean().square().clamp_min(1e-12)


def switch_load(gates: Sequence[Gate]) -> Float[Tensor, ""]:
    """E Σ_i f_i P_i: f_i is the share of routes that go to expert i, P_i its mean smooth weight; 1 where both are even.

    Paper: Fedus, Zoph, Shazeer: Switch transformers. JMLR 2022, arXiv 2101.03961 (there for k = 1; here f_i counts all
        k routes of a row, and P_i is the softmax over all experts).
    """
    routed = torch.stack([(_rows(gate, "weights") > 0).float().mean(dim=0) for gate in gates]).mean(dim=0)
    smooth = torch.stack([_rows(gate, "smooth").mean(dim=0) for gate in gates]).mean(dim=0)
    return len(smooth) * (routed / routed.sum() * smooth).sum()


def check_factor(scheme: str, setting: str, value: float) -> None:
    """Raises ValueError for a penalty's factor that is no finite number from 0."""
    if not 0 <= value < float("inf"):
        raise ValueError(f"{scheme}: {setting} is a penalty's factor, 0 or more, got {value}")


def _rows(gate: Gate, name: str) -> Float[Tensor, "rows experts"]:
    weights: Tensor = gate.last.values[name]
    return weights.float().reshape(-1, gate.num_experts)
