"""Training: the step, the agenda, the loop."""

from polytask.train.adatask import AdaTask
from polytask.train.agenda import AGENDAS, Agenda, Alternating, Joint, Step
from polytask.train.conflict import gradient_cosines
from polytask.train.distributed import Team, refuse_several, team
from polytask.train.looks import probe_of
from polytask.train.loop import TrainingError, train
from polytask.train.m_config import MConFIG
from polytask.train.mean_teacher import MeanTeacher, compared
from polytask.train.optimizers import OPTIMIZERS, check_balancer, optimizer_class
from polytask.train.progress import Progress, Quiet, clock, make_progress
from polytask.train.session import Session, TrainingData
from polytask.train.settings import EarlyStopping, Training
from polytask.train.step import task_losses, training_step
from polytask.train.task_optimizer import TaskOptimizer

__all__ = [
    "AGENDAS",
    "OPTIMIZERS",
    "AdaTask",
    "Agenda",
    "Alternating",
    "EarlyStopping",
    "Joint",
    "MConFIG",
    "MeanTeacher",
    "Progress",
    "Quiet",
    "Session",
    "Step",
    "TaskOptimizer",
    "Team",
    "Training",
    "TrainingData",
    "TrainingError",
    "check_balancer",
    "clock",
    "compared",
    "gradient_cosines",
    "make_progress",
    "optimizer_class",
    "probe_of",
    "refuse_several",
    "task_losses",
    "team",
    "train",
    "training_step",
]
