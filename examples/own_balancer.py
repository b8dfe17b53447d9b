"""A balancer of one's own: in a plain PyTorch loop, and by name in `pt.fit` and YAML.

    python examples/own_balancer.py

It says what it reads, whether its weights scale losses or gradients, and gives the weights of the tasks that are
present; the rest (absent tasks, mixed precision, checkpoints, one backward pass) comes with `Balancer`.
"""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

import polytask as pt
from polytask.balance import BALANCERS, Balancer, Engine, Signals


class Lagging(Balancer):
    """w_i = T · L_i^p / Σ L^p: the larger a task's loss, the more it counts; p = 0 is the sum."""

    reads = frozenset({"losses"})
    scales = "losses"
    weights_like = "sum"

    def __init__(self, tasks, generator=None, *, engine: Engine = Engine(), power: float = 0.5) -> None:
        super().__init__(tasks, generator, engine=engine)
        self.power = power

    def forward(self, signals: Signals) -> torch.Tensor:
        """The weights of the tasks present."""
        powers = signals.losses.clamp_min(1e-8) ** self.power
        return len(powers) * powers / powers.sum()


def plain_loop() -> dict[str, float]:
    """The weights after some steps of a loop of one's own."""
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 8), nn.ModuleDict({"near": nn.Linear(8, 1), "far": nn.Linear(8, 1)})
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()])
    balancer = Lagging(list(heads), power=1.0)
    for _ in range(20):
        x = torch.randn(64, 4)
        targets = {"near": x[:, :1], "far": 3 * x[:, 1:2]}
        optimizer.zero_grad()
        features = trunk(x).relu()
        losses = {task: nn.functional.mse_loss(head(features), targets[task]) for task, head in heads.items()}
        weights = balancer.backward(losses, shared=trunk.parameters())
        optimizer.step()
    return weights


def main(folder: str = "runs/own-balancer", epochs: int = 30) -> pt.Run:
    weights = plain_loop()
    assert weights["far"] > 1 > weights["near"]

    BALANCERS["lagging"] = Lagging  # once, before anything names it: also before a Run with it is loaded
    cells = load_breast_cancer(as_frame=True).frame
    frame = cells.filter(like="mean ").assign(malignant=cells["target"] == 0, worst_area=cells["worst area"])
    run = pt.fit(
        frame,
        [pt.Classification("malignant"), pt.Regression("worst_area")],
        balancer={"lagging": {"power": 1.0}},
        batch_size=32,
        epochs=epochs,
        folder=folder,
        quiet=True,
    )
    for task, scores in run.evaluate().items():
        weight = run.history[f"weights.{task}"].iloc[-1]
        print(f"{task}: skill {scores['skill']:.3f}, weight {weight:.2f} in the last epoch")
    return run


if __name__ == "__main__":
    main()
