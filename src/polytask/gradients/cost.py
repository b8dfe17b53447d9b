"""Which way is cheaper: a cost model, fitted by `benchmarks/gradient_paths.py`.

Not a calibration at run time: the clock would then decide how numbers are rounded, and no run could be repeated bit
for bit.
"""

from collections.abc import Iterable

from polytask.gradients.graph import Node

#: What moving one number costs, in multiplications of a matrix product.
MOVED = 8
#: What a multiplication costs in products of the examples with each other, which are small and square.
SQUARE = 1.3
#: Nodes that `torch.vmap` takes for all tasks at once at least as fast as one after another.
_BATCHED = """
    AddBackward0 AddmmBackward0 BmmBackward0 CatBackward0 CloneBackward0 CosBackward0 DivBackward0 DivBackward1
    EluBackward0 ExpandBackward0 GeluBackward0 HardtanhBackward0 LeakyReluBackward0 MeanBackward1 MmBackward0
    MulBackward0 MulBackward1 NativeDropoutBackward0 NegBackward0 PermuteBackward0 ReluBackward0 ReshapeAliasBackward0
    SelectBackward0 SigmoidBackward0 SiluBackward0 SinBackward0 SliceBackward0 SoftplusBackward0 SqueezeBackward0
    SqueezeBackward1 StackBackward0 SubBackward0 SumBackward1 TBackward0 TanhBackward0 TransposeBackward0
    TransposeBackward1 UnbindBackward0 UnsafeSplitBackward0 UnsafeViewBackward0 UnsqueezeBackward0 ViewBackward0
    torch::autograd::AccumulateGrad
"""
BATCHED = frozenset(_BATCHED.split())
#: Below so many tasks the loop has less to do than `torch.vmap` to prepare.
LEAST_BATCHED = 4
#: Few tasks with at most so many numbers in J are taken by the loop: there is nothing to save.
LOOPED = 2**18


def is_looped(tasks: int, numbers: int) -> bool:
    """Whether a pass a task from the losses is cheaper than taking the graph apart; `numbers` of J in all."""
    return tasks < LEAST_BATCHED and numbers <= LOOPED


def keeps_outputs(tasks: int, examples: int, inputs: int, outputs: int) -> bool:
    """Whether a linear layer's Gramian is cheaper from what it saw than from a gradient of its weight a task."""
    from_outputs = (
        SQUARE * examples * examples * (inputs + tasks * outputs)  # AAᵀ, and that times δ
        + examples * outputs * (inputs + tasks * tasks)  # the update, and the products
        + 2 * MOVED * tasks * examples * outputs
    )
    explicit = tasks * inputs * outputs * (examples + tasks + 3 * MOVED)
    return from_outputs < explicit


def is_batched(tasks: int, nodes: Iterable[Node]) -> bool:
    """Whether the tasks' gradients pass these nodes side by side."""
    return tasks >= LEAST_BATCHED and all(node.name() in BATCHED for node in nodes)
