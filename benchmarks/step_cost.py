"""How much does a training step cost beside the same step with the plain sum?

Every balancer of the catalogue: forward, balance, optimiser (Adam), on a trunk of 0.9 M parameters (MLP 512-1024-384)
with linear heads, 256 rows, 8 tasks, one thread. All are timed in turn, round after round; the ratio is that of
medians. By the engine as it is: a gradient a task by a loop of autograd.grad.

    python benchmarks/step_cost.py [--rounds 5] [--steps 4]
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

import polytask
from polytask.balance import BALANCERS, Balancer, Probe

ROOT = Path(__file__).resolve().parent.parent
TASKS, ROWS, INPUTS = 8, 256, 512
#: Settings without which a balancer cannot be made.
NEEDED: dict[str, dict[str, Any]] = {
    "fixed": {"weights": [1.0] * TASKS},
    "achievement": {"targets": [0.9] * TASKS},
    "cosine_gate": {"main": "t0"},
    "metabalance": {"main": "t0"},
    # After its first steps, which cost less.
    "gradnorm": {"warmup": 1},
    "smooth": {"of": "pcgrad"},
}


class Stand:
    """One balancer with a model and data of its own, the same for all."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(0)
        names = [f"t{k}" for k in range(TASKS)]
        self.trunk = nn.Sequential(nn.Linear(INPUTS, 1024), nn.ReLU(), nn.Linear(1024, 384), nn.ReLU())
        self.heads = nn.ModuleDict({task: nn.Linear(384, 1) for task in names})
        self.optimizer = torch.optim.Adam([*self.trunk.parameters(), *self.heads.parameters()])
        self.x, self.y = torch.randn(ROWS, INPUTS), torch.randn(ROWS, TASKS)
        choice = BALANCERS[name].with_(**NEEDED.get(name, {}))
        self.balancer: Balancer = choice(names, torch.Generator().manual_seed(0))
        self.scores = dict.fromkeys(names, 0.5)

    def step(self) -> None:
        """One training step, with the looks that the balancer asks for."""
        self.optimizer.zero_grad()
        modules, probe = [self.trunk, *self.heads.values()], None
        if "probe" in self.balancer.reads:
            probe = Probe(modules, losses=self.losses, validation=self.losses, learning_rate=1e-3)
        self.balancer.backward(self.losses(), shared=self.trunk.parameters(), scores=self.scores, probe=probe)
        self.optimizer.step()
        if probe is not None and self.balancer.looks_after:
            self.balancer.after_step(probe.losses())

    def losses(self) -> dict[str, torch.Tensor]:
        """Every task's loss on the batch."""
        features = self.trunk(self.x)
        return {
            task: nn.functional.mse_loss(head(features).squeeze(1), self.y[:, k])
            for k, (task, head) in enumerate(self.heads.items())
        }


def measure(rounds: int, steps: int) -> list[dict[str, Any]]:
    stands = {name: Stand(name) for name in BALANCERS}
    for stand in stands.values():
        for _ in range(2):
            stand.step()
    times: dict[str, list[float]] = {name: [] for name in stands}
    for _ in range(rounds):
        for name, stand in stands.items():
            for _ in range(steps):
                began = time.perf_counter()
                stand.step()
                times[name].append(time.perf_counter() - began)
    plain = statistics.median(times["sum"])
    return [
        {
            "balancer": name,
            "reads": sorted(stands[name].balancer.reads),
            "milliseconds": round(1000 * statistics.median(found), 2),
            "times_sum": round(statistics.median(found) / plain, 3),
        }
        for name, found in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "step_cost.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.time()
    rows = measure(options.rounds, options.steps)
    for row in rows:
        print(f"{row['balancer']:<21} {row['milliseconds']:8.2f} ms  {row['times_sum']:6.2f} x sum")
    from_losses = max(row["times_sum"] for row in rows if not {"gramian", "jacobian", "probe"} & {*row["reads"]})
    name = "balancers that read only losses: the dearest one, times sum"
    result = {
        "question": (__doc__ or "").splitlines()[0],
        "command": f"python benchmarks/step_cost.py --rounds {options.rounds} --steps {options.steps}",
        "versions": {"polytask": polytask.__version__, "torch": torch.__version__},
        "hardware": f"{os.cpu_count()} CPU cores",
        "threads": 1,
        "seconds": round(time.time() - began, 1),
        "rows": rows,
        "targets": [
            {"name": name, "value": from_losses, "target": 1.05, "better": "lower", "met": from_losses <= 1.05}
        ],
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
