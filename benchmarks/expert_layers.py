"""Experts of one layer (Linear and ReLU) or two as our mixtures run them, and as a Python loop: forward and backward.

All experts read the same rows. `milliseconds` is the time of `polytask.sharing.experts.Experts`: one batched product a
layer, or one by one where a product is so large that this is faster (`runs_together` says which); `loop_milliseconds`
that of separate modules called in turn. Both have the same weights and give the same sum. Time is the process's on
processors; on a GPU the clock's, with the device waited for.
"""

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from polytask.encoders import MLP
from polytask.feature import Feature, InputSpec
from polytask.sharing.experts import Experts


@dataclass(frozen=True)
class Size:
    """How many experts of how many layers, of what width (in and out), on how many rows."""

    layers: int
    experts: int
    width: int
    rows: int


SIZES = [
    Size(layers, experts, width, rows)
    for layers in (1, 2)
    for experts in (4, 8, 16)
    for width in (64, 256)
    for rows in (32, 256)
]
#: A form is run for so long in a round, at least three times.
ROUND_SECONDS = 0.05


def chains_of(size: Size) -> list[list[nn.Module]]:
    """The stages of each expert: those of an MLP behind its embedding."""
    torch.manual_seed(0)
    spec, widths = InputSpec(numbers=tuple(map(str, range(size.width)))), (size.width,) * size.layers
    return [list(MLP(spec, widths=widths, dropout=0.0).stages[1:]) for _ in range(size.experts)]


def forms_of(size: Size, device: str) -> tuple[dict[str, Callable[[], Tensor]], bool]:
    """The two forms, each giving the sum that it has gone back from; and whether ours runs all experts together."""
    chains = chains_of(size)
    apart = nn.ModuleList(nn.Sequential(*chain) for chain in copy.deepcopy(chains)).to(device)
    together = Experts(chains).to(device)
    x = torch.randn(size.rows, size.width, device=device, requires_grad=True)

    def finish(values: Tensor) -> Tensor:
        for parameter in (*apart.parameters(), *together.parameters(), x):
            parameter.grad = None
        total = values.square().mean()
        total.backward()
        return total.detach()

    def loop() -> Tensor:
        return finish(torch.stack([expert(Feature(x)).values for expert in apart]))

    def ours() -> Tensor:
        last = size.layers - 1
        return finish(together(Feature(x), size.layers, {last})[last].values)

    return {"loop": loop, "ours": ours}, together.stages[0].runs_together(size.rows, x.device)


def seconds_of(form: Callable[[], Tensor], device: str) -> float:
    if device == "cpu":
        began = time.process_time()
        form()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    form()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def measure(rounds: int, sizes: list[Size]) -> list[dict[str, Any]]:
    """A row a size and a device: on the CPU, and on a GPU where there is one."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return [row_of(size, device, rounds) for device in devices for size in sizes]


def row_of(size: Size, device: str, rounds: int) -> dict[str, Any]:
    forms, runs_together = forms_of(size, device)
    first = {name: float(form()) for name, form in forms.items()}
    if abs(first["loop"] - first["ours"]) > 1e-4 * abs(first["loop"]):
        raise RuntimeError(f"{size} on {device}: the forms differ: {first}")
    slowest = max(seconds_of(form, device) for form in forms.values())
    count = max(3, int(ROUND_SECONDS / max(slowest, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            times[name].append(statistics.median(seconds_of(form, device) for _ in range(count)))
    loop, ours = (statistics.median(times[name]) for name in ("loop", "ours"))
    return {
        "kind": "experts",
        "device": device,
        "layers": size.layers,
        "experts": size.experts,
        "width": size.width,
        "batch": size.rows,
        "runs_together": runs_together,
        "loop_milliseconds": round(1000 * loop, 4),
        "milliseconds": round(1000 * ours, 4),
        "times_loop": round(ours / loop, 3),
    }
