"""Several processes give what one gives on the same global batch: weights, gradients, J and G, steps."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from polytask.balance import BALANCERS
from polytask.gradients import Processes

PROGRAM = Path(__file__).with_name("several_processes.py")
OTHERS = (
    "direction", "representation", "representation, penalty", "representation, every", "every", "chunk", "penalty",
    "penalty, losses", "gathered", "gathered, losses", "scaled", "smooth imtl", "smooth famo", "wrapped", "wrapped, losses",
)  # fmt: skip
SIZES = (2, pytest.param(3, marks=pytest.mark.slow))


def start(rank: int, size: int, folder: Path) -> subprocess.Popen:
    command = [sys.executable, str(PROGRAM), str(rank), str(size), str(folder / f"store{size}"), f"{size}-{rank}.pt"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


class Found(dict[int, list[dict[str, Any]]]):
    """Number of processes -> what each of them found; run when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, size: int) -> list[dict[str, Any]]:
        running = [start(rank, size, self.folder) for rank in range(size)]
        try:
            for process in running:
                output, _ = process.communicate(timeout=120)
                assert process.returncode == 0, output
        finally:
            for process in running:
                process.kill()
        self[size] = [torch.load(self.folder / f"{size}-{rank}.pt") for rank in range(size)]
        return self[size]


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Found:
    return Found(tmp_path_factory.mktemp("processes"))


def close(one: Any, other: Any, tolerance: float) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*BALANCERS, *OTHERS])
def test_several_processes_train_as_one(found, size, name):
    alone, together = found[1][0][name], found[size][0][name]
    for seen, expected in zip(together["weights"], alone["weights"], strict=True):
        assert list(seen) == list(expected)
        assert list(seen.values()) == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-10)
    for seen, expected in zip(together["grad"], alone["grad"], strict=True):
        for one, other in zip(seen, expected, strict=True):
            assert (one is None) == (other is None), "what no process reaches has no gradient"
            if one is not None:
                close(one, other, 1e-10)
    for one, other in zip(together["parameters"], alone["parameters"], strict=True):
        close(one, other, 1e-10)


@pytest.mark.parametrize("size", SIZES)
def test_all_processes_hold_the_same_bits(found, size):
    first, *others = found[size]
    for name in (*BALANCERS, *OTHERS, "float32"):
        for other in others:
            assert other[name]["weights"] == first[name]["weights"], name
            for one, same in zip(other[name]["parameters"], first[name]["parameters"], strict=True):
                assert torch.equal(one, same), name
            for step, same_step in zip(other[name]["grad"], first[name]["grad"], strict=True):
                for one, same in zip(step, same_step, strict=True):
                    assert (one is None) == (same is None)
                    assert one is None or torch.equal(one, same), name


@pytest.mark.parametrize("size", SIZES)
def test_the_gradients_are_those_of_the_global_batch(found, size):
    for dtype, tolerance in (("torch.float32", 1e-6), ("torch.float64", 1e-14)):
        jacobian, gramian, reached = found[1][0]["engine"][dtype]
        for ranks in found[size]:
            theirs, products, theirs_reached = ranks["engine"][dtype]
            assert (theirs - jacobian).norm() <= tolerance * jacobian.norm()
            assert (products - gramian).norm() <= tolerance * gramian.trace()
            assert theirs_reached == reached


#: Mistake -> what the process that made it is told, and what the others are.
TOLD = {
    "values": ("parameter 0 (shape [6, 4]) has other values in process 1 than in process 0: seed",) * 2,
    "shapes": ("parameter 0 has another shape or type in process 1", "parameter 0 has another shape or type"),
    "number": ("process 1 has other 5 parameters than in process 0 (4 parameters)",) * 2,
    "tasks": ("process 1 has other tasks",) * 2,
    "graph": ("ValueError: task 'a': its loss has no graph", "process 1 could not take part"),
    "unknown": ("ValueError: unknown task 'z' in losses", "process 1 could not take part"),
    "not finite": ("ValueError: task 'a': its loss is nan",) * 2,
    "left out": ("ValueError: a loss reaches a parameter of shape [1]", "ValueError: a loss reaches a parameter"),
    "backward": ("ValueError: broken on the way back", "process 1 could not take part"),
    "shared": ("ValueError: shared[2] [6, 6] is not among the parameters",) * 2,
    "others": ("ValueError: processes have the tasks ['a', 'b', 'c'], Sum has ['a']",) * 2,
    "nobody": ("ValueError: losses is empty in every process",) * 2,
    "representation": ("process 0 could not take part", "this process has no loss of 'a', so where"),
}


@pytest.mark.parametrize("mistake", TOLD)
def test_a_mistake_of_one_process_ends_the_step_in_all(found, mistake):
    of_others, own = (ranks["mistakes"][mistake] for ranks in found[2])
    assert TOLD[mistake][0] in own
    assert TOLD[mistake][1] in of_others


@pytest.mark.slow
def test_the_loop_of_the_page_trains_as_one_process(tmp_path):
    page = (PROGRAM.parents[2] / "docs" / "howto" / "several_processes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "loop.py").write_text(block, encoding="utf-8")
    printed = []
    for size in (1, 2):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [*command, str(tmp_path / "loop.py")], env=environment, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        printed.append(ast.literal_eval(ended.stdout))
    assert printed[1] == pytest.approx(printed[0], abs=2e-5)


def test_without_a_process_group_it_says_what_to_do():
    with pytest.raises(ValueError, match=r"no process group is there: start the program by torchrun"):
        Processes([nn.Parameter(torch.ones(1))], ["a"])


def test_nothing_to_add_up_is_refused():
    with pytest.raises(ValueError, match="processes: 0 parameters"):
        Processes([nn.Parameter(torch.ones(1), requires_grad=False)], ["a"])
