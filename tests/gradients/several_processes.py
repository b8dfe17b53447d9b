"""What one of several processes does in test_processes.py: `python several_processes.py rank size store out group`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from polytask.balance import BALANCERS, Balancer, Engine, Probe, Signals
from polytask.gradients import Direction, Processes

TASKS = ("a", "b", "c")
#: Settings of methods that cannot be built without any.
SETTINGS: dict[str, dict[str, Any]] = {
    "fixed": {"weights": {"a": 1.0, "b": 3.0, "c": 2.0}},
    "cosine_gate": {"main": "a"},
    "metabalance": {"main": "a"},
    "gradnorm": {"layer": "all", "warmup": 1},
    "smooth": {"of": "pcgrad"},
    "auto_lambda": {"primary": ["a", "b"], "learning_rate": 0.05},
    "famo": {"learning_rate": 0.5},
}
ROWS = 13


class Net(nn.Module):
    """A trunk, a part that a and b alone share, a head a task, a tied bias, a layer that nobody reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.middle, self.unused = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(2, 2)
        self.heads = nn.ModuleDict({name: nn.Linear(6, 1) for name in TASKS})

    def shared(self) -> list[nn.Parameter]:
        return [p for part in (self.trunk, self.middle, self.unused) for p in part.parameters()]

    def features(self, inputs: Tensor) -> Tensor:
        return self.trunk(inputs).tanh()

    def outputs(self, features: Tensor, *, above: bool) -> dict[str, Tensor]:
        middle = features if above else self.middle(features).tanh()
        read = {"a": middle, "b": middle.sin(), "c": features}
        return {name: self.heads[name](read[name])[:, 0] for name in TASKS}


class Longest(Balancer):
    """Coordinates of the gradient that is longest there: a direction of its own."""

    reads: ClassVar[frozenset[str]] = frozenset({"jacobian"})
    scales: ClassVar[Literal["losses", "gradients"]] = "gradients"
    levels: ClassVar[frozenset[Literal["exact", "representation"]]] = frozenset({"exact"})

    def forward(self, signals: Signals) -> Direction:
        jacobian = signals.jacobian
        chosen = jacobian.abs().argmax(dim=0)
        return Direction(jacobian.gather(0, chosen[None])[0], torch.ones(len(jacobian), dtype=torch.float64))


class Batch:
    """Rows with labels: c has none in the second half, and the last step's labels are all in the first rows."""

    def __init__(self, step: int, rows: slice, dtype: torch.dtype) -> None:
        draw = torch.Generator().manual_seed(step)
        self.inputs = torch.randn(ROWS, 4, generator=draw, dtype=torch.float64).to(dtype)[rows]
        self.targets = {n: torch.randn(ROWS, generator=draw, dtype=torch.float64).to(dtype)[rows] for n in TASKS}
        self.present = {name: torch.rand(ROWS, generator=draw)[rows] < 0.7 for name in TASKS}
        self.present["c"] = (torch.arange(ROWS) < ROWS // 3)[rows]
        if step == 2:
            self.present = {name: (torch.arange(ROWS) < 3)[rows] for name in TASKS}

    def sums(self, outputs: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        found = {}
        for name, output in outputs.items():
            if (present := self.present[name]).any():
                errors = (output - self.targets[name]).square() * {"a": 1.0, "b": 5.0, "c": 0.2}[name]
                found[name] = errors[present].sum(), present.sum()
        return found


class Case:
    """A training of a few steps, by one process or several."""

    def __init__(
        self,
        make: Callable[[], Balancer],
        *,
        above: bool = False,
        penalty: bool = False,
        gathered: int = 1,
        dtype: torch.dtype = torch.float64,
        scaled: bool = False,
        wrapped: bool = False,
    ) -> None:
        self.make, self.above, self.penalty, self.gathered, self.dtype = make, above, penalty, gathered, dtype
        self.scaled, self.wrapped = scaled, wrapped

    def run(self, rows: slice, size: int) -> dict[str, Any]:
        torch.manual_seed(5)
        net = Net().to(self.dtype)
        if self.wrapped and size > 1:
            net = nn.parallel.DistributedDataParallel(net).module  # its hooks stay on the parameters
        processes = Processes(net.parameters(), TASKS) if size > 1 else None
        balancer = self.make()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if self.scaled else None
        record: dict[str, Any] = {"weights": [], "grad": [], "means": []}
        for step in range(4):
            batch, other = Batch(step, rows, self.dtype), Batch(step + 100, rows, self.dtype)

            def losses(batch: Batch) -> tuple[dict[str, Tensor], Tensor | None]:
                features = net.features(batch.inputs)
                sums = batch.sums(net.outputs(features, above=self.above))
                if processes is None:
                    return {name: total / count for name, (total, count) in sums.items()}, features
                return processes.shares(sums), features

            probe = Probe(
                net,
                losses=lambda batch=batch: losses(batch)[0],
                validation=lambda other=other: losses(other)[0],
                learning_rate=0.1,
                processes=processes,
            )
            found, features = losses(batch)
            penalty = net.trunk.weight.square().sum() + net.heads["a"].bias.sum() if self.penalty else None
            if step % self.gathered == 0:
                optimizer.zero_grad()
            weights = balancer.backward(
                found,
                shared=net.shared(),
                features=features if self.above else None,
                probe=probe,
                penalty=penalty,
                processes=processes,
                scaler=scaler,
                scores={name: 0.3 * k for k, name in enumerate(TASKS)} if step else None,
                epoch=step,
            )
            record["weights"].append(weights)
            record["grad"].append([None if p.grad is None else p.grad.clone() for p in net.parameters()])
            if scaler is not None:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            if balancer.looks_after:
                balancer.after_step(probe.losses())
        if processes is not None:
            processes.check_equal()
        return record | {"parameters": [p.detach().clone() for p in net.parameters()]}


def made(name: str, **settings: Any) -> Callable[[], Balancer]:
    return lambda: BALANCERS[name](TASKS, **(SETTINGS.get(name, {}) | settings))


def cases() -> dict[str, Case]:
    above = Engine(level="representation")
    found = {name: Case(made(name)) for name in BALANCERS}
    found |= {
        "direction": Case(lambda: Longest(TASKS)),
        "representation": Case(made("cagrad", engine=above), above=True),
        "representation, penalty": Case(made("imtl", engine=above), above=True, penalty=True),
        "representation, every": Case(made("nash_mtl", engine=Engine(level="representation", every=2)), above=True),
        "every": Case(made("upgrad", engine=Engine(every=2))),
        "chunk": Case(made("mgda", engine=Engine(chunk=10))),
        "penalty": Case(made("pcgrad"), penalty=True),
        "penalty, losses": Case(made("dwa"), penalty=True),
        "gathered": Case(made("cagrad"), gathered=2),
        "gathered, losses": Case(made("uncertainty"), gathered=2),
        "scaled": Case(made("aligned_mtl"), scaled=True),
        "smooth imtl": Case(made("smooth", of="imtl")),
        "smooth famo": Case(made("smooth", of="famo")),
        "wrapped": Case(made("cagrad", engine=Engine(every=2)), wrapped=True, penalty=True),
        "wrapped, losses": Case(made("uncertainty"), wrapped=True),
        "float32": Case(made("sum"), dtype=torch.float32),
    }
    return found


def jacobians(rows: slice, size: int) -> dict[str, Any]:
    """J and G of one batch, in both precisions, by either way of taking them."""
    found = {}
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(5)
        net = Net().to(dtype)
        batch = Batch(0, rows, dtype)
        sums = batch.sums(net.outputs(net.features(batch.inputs), above=False))
        losses = {name: total / count for name, (total, count) in sums.items()}
        more: dict[str, Any] = {}
        if size > 1:
            processes = Processes(net.parameters(), TASKS)
            losses = processes.shares(sums)
            more = {"processes": processes, "names": processes.meet(losses).names}
        gradients = Engine().differentiate(losses, net.shared(), **more)
        found[str(dtype)] = (gradients.jacobian(), gradients.gramian(), gradients.reached)
    return found


def mistakes(rank: int) -> dict[str, str]:
    """What each process is told; the second one makes the mistakes."""
    is_wrong = rank == 1
    torch.manual_seed(0)
    net = Net()
    parameters = list(net.parameters())

    def step(change: Callable[[dict[str, Tensor]], dict[str, Tensor]], known: Sequence[Tensor] = parameters) -> None:
        processes = Processes(known, TASKS)
        outputs = net.outputs(net.features(torch.ones(2, 4)), above=False)
        losses = {name: output.mean() for name, output in outputs.items()}
        BALANCERS["cagrad"](TASKS).backward(
            change(losses) if is_wrong else losses, shared=net.shared(), processes=processes
        )

    def late() -> None:
        class Breaks(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                return x.clone()

            @staticmethod
            def backward(ctx: Any, gradient: Tensor) -> Tensor:
                raise ValueError("broken on the way back")

        step(lambda losses: losses | {"a": Breaks.apply(losses["a"])})

    other = [nn.Parameter(p.detach() + is_wrong * 1e-7) for p in parameters]
    shapes = [nn.Parameter(torch.zeros(3 + is_wrong))]
    attempts: dict[str, Callable[[], object]] = {
        "values": lambda: Processes(other, TASKS),
        "shapes": lambda: Processes(shapes, TASKS),
        "number": lambda: Processes(parameters[: 4 + is_wrong], TASKS),
        "tasks": lambda: Processes(parameters, TASKS[::-1] if is_wrong else TASKS),
        "graph": lambda: step(lambda losses: losses | {"a": losses["a"].detach()}),
        "unknown": lambda: step(lambda losses: losses | {"z": losses["a"]}),
        "not finite": lambda: step(lambda losses: losses | {"a": losses["a"] * float("nan")}),
        "left out": lambda: step(dict, parameters[:-1]),
        "backward": late,
        "shared": lambda: step(dict, list(net.trunk.parameters())),
        "others": lambda: BALANCERS["sum"](["a"]).backward({}, shared=[], processes=Processes(parameters, TASKS)),
        "nobody": lambda: BALANCERS["sum"](TASKS).backward({}, shared=[], processes=Processes(parameters, TASKS)),
        "representation": lambda: BALANCERS["cagrad"](TASKS, engine=Engine(level="representation")).backward(
            {
                n: o.mean()
                for n, o in net.outputs(net.features(torch.ones(2, 4)), above=True).items()
                if n != "a" or rank
            },
            shared=net.trunk.parameters(),
            processes=Processes(parameters, TASKS),
        ),
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            found[name] = "fine"
        except ValueError as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def main(rank: int, size: int, store: str, out: str) -> None:
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    rows = torch.arange(ROWS).tensor_split(size)[rank]
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    found: dict[str, Any] = {name: case.run(part, size) for name, case in cases().items()}
    found["engine"] = jacobians(part, size)
    if size > 1:
        found["mistakes"] = mistakes(rank)
        dist.destroy_process_group()
    torch.save(found, Path(out))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
