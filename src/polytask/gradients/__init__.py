"""What each task asks of the shared weights; knows no task and no method."""

from polytask.gradients.checks import check_losses, loss_values
from polytask.gradients.engine import (
    Engine,
    TaskGradients,
    cosines,
    gramian,
    task_gradients,
)
from polytask.gradients.signals import Signals, check_finite
from polytask.gradients.solvers import (
    cone_projection,
    min_norm,
    simplex_minimum,
    solve_live,
)

__all__ = [
    "Engine",
    "Signals",
    "TaskGradients",
    "check_finite",
    "check_losses",
    "cone_projection",
    "cosines",
    "gramian",
    "loss_values",
    "min_norm",
    "simplex_minimum",
    "solve_live",
    "task_gradients",
]
