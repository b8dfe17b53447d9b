"""Three balancers beside the plain sum, in a training loop that is PyTorch and nothing else.

    python examples/balancers_in_a_plain_loop.py

The data are scikit-learn's handwritten digits: which digit is it, is it odd, and how much ink is there? All train the
same network from the same start for the same number of steps; what is printed is on rows that none of them saw:
accuracy, and R² of the ink. One seed and one learning rate are no ranking: docs/choosing.md says what is.
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from polytask.balance import FAMO, Balancer, NashMTL, Sum, Uncertainty

CRITERIA = {
    "digit": nn.functional.cross_entropy,
    "odd": nn.functional.binary_cross_entropy_with_logits,
    "ink": nn.functional.mse_loss,
}


def rows() -> tuple[Tensor, dict[str, Tensor]]:
    """Pixels, and the target of each task."""
    digits = load_digits()
    pixels = torch.tensor(digits.data, dtype=torch.float32)
    digit = torch.tensor(digits.target)
    return pixels / 16, {"digit": digit, "odd": (digit % 2).float()[:, None], "ink": pixels.mean(1, keepdim=True)}


def train(balancer: Balancer, x: Tensor, y: dict[str, Tensor], steps: int) -> tuple[nn.Module, nn.ModuleDict]:
    """The loop: what a balancer asks for is `backward` in the place of `loss.backward()`."""
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
    heads = nn.ModuleDict({"digit": nn.Linear(32, 10), "odd": nn.Linear(32, 1), "ink": nn.Linear(32, 1)})
    optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=3e-3)

    def losses(batch: Tensor) -> dict[str, Tensor]:
        features = trunk(x[batch])
        return {task: CRITERIA[task](head(features), y[task][batch]) for task, head in heads.items()}

    for _ in range(steps):
        batch = torch.randint(len(x), (128,))
        optimizer.zero_grad()
        balancer.backward(losses(batch), shared=trunk.parameters())
        optimizer.step()
        if balancer.looks_after:  # FAMO: what did the step do to the losses of its own batch?
            with torch.no_grad():
                balancer.after_step(losses(batch))
    return trunk, heads


def judged(outputs: dict[str, Tensor], y: dict[str, Tensor]) -> dict[str, float]:
    """Accuracy of the classes, R² of the ink."""
    right = (outputs["digit"].argmax(1) == y["digit"]).float().mean()
    parity = ((outputs["odd"] > 0) == (y["odd"] > 0)).float().mean()
    unexplained = (outputs["ink"] - y["ink"]).square().sum() / (y["ink"] - y["ink"].mean()).square().sum()
    return {"digit": float(right), "odd": float(parity), "ink": 1 - float(unexplained)}


def main(steps: int = 400) -> dict[str, dict[str, float]]:
    x, y = rows()
    train_x, train_y = x[:1200], {task: values[:1200] for task, values in y.items()}
    held_x, held_y = x[1200:], {task: values[1200:] for task, values in y.items()}
    reached = {}
    for kind in (Sum, Uncertainty, NashMTL, FAMO):
        trunk, heads = train(kind(list(CRITERIA)), train_x, train_y, steps)
        with torch.no_grad():
            features = trunk(held_x)
            reached[kind.__name__] = judged({task: head(features) for task, head in heads.items()}, held_y)
    for name, scores in reached.items():
        print(f"{name:<12} " + "   ".join(f"{task} {score:.3f}" for task, score in scores.items()))
    return reached


if __name__ == "__main__":
    main()
