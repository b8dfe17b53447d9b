"""What the tasks' own stages start from."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from torch import nn

from polytask.feature import Chain, MakeEncoder

#: Equal weights for all tasks, those that a single-task twin starts from; or draws of each task's own.
Initialisation = Literal["equal", "own"]


def copy_of(task: str, initialisation: Initialisation) -> int | str:
    """The copy of the encoder that a task's own stages are taken from: by name, so that no order of tasks matters."""
    return 0 if initialisation == "equal" else f"task {task}"


def own_chains(
    scheme: str, make_encoder: MakeEncoder, tasks: Iterable[str], initialisation: Initialisation
) -> dict[str, Chain]:
    """A chain for every task.

    Raises:
        ValueError: an initialisation that is not known.
    """
    check_initialisation(scheme, initialisation)
    return {task: make_encoder(copy_of(task, initialisation)) for task in tasks}


def check_initialisation(scheme: str, initialisation: str) -> None:
    """Raises ValueError for one that is not known."""
    if initialisation not in get_args(Initialisation):
        raise ValueError(f"{scheme}: initialisation={initialisation!r}, one of 'equal' and 'own' is wanted")


def cut(chains: Mapping[str, Chain], depths: Mapping[str, int]) -> nn.ModuleDict:
    """Each task's stages, as many as it needs, under `task_<name>`."""
    return nn.ModuleDict({f"task_{task}": chain.stages[: depths[task]] for task, chain in chains.items()})
