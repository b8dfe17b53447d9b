"""What each task asks of the shared weights; knows no task and no method."""

from polytask.gradients.checks import (
    check_is_dict,
    check_losses,
    check_names,
    check_penalty,
    listed,
    loss_values,
)
from polytask.gradients.collectives import Collectives
from polytask.gradients.engine import Engine, weighted_backward
from polytask.gradients.equal_cosines import equal_cosines
from polytask.gradients.loop import cosines, gramian
from polytask.gradients.probe import Probe, length
from polytask.gradients.processes import Met, Processes, Shares
from polytask.gradients.signals import Signals, check_rows_finite
from polytask.gradients.solvers import (
    VANISHED,
    cone_projection,
    cone_projections,
    factor,
    live_rows,
    min_norm,
    shortest_combination,
    solve_live,
)
from polytask.gradients.solvers_newton import Root, power_root
from polytask.gradients.task_gradients import Direction, TaskGradients, add_gradient

__all__ = [
    "VANISHED",
    "Collectives",
    "Direction",
    "Engine",
    "Met",
    "Probe",
    "Processes",
    "Root",
    "Shares",
    "Signals",
    "TaskGradients",
    "add_gradient",
    "check_is_dict",
    "check_losses",
    "check_names",
    "check_penalty",
    "check_rows_finite",
    "cone_projection",
    "cone_projections",
    "cosines",
    "equal_cosines",
    "factor",
    "gramian",
    "length",
    "listed",
    "live_rows",
    "loss_values",
    "min_norm",
    "power_root",
    "shortest_combination",
    "solve_live",
    "weighted_backward",
]
