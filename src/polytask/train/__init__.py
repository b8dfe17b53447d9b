"""Training: the step, the agenda, the loop."""

from polytask.train.adatask import AdaTask
from polytask.train.agenda import AGENDAS, Agenda, Alternating, Joint
from polytask.train.conflict import gradient_cosines
from polytask.train.looks import probe_of
from polytask.train.loop import TrainingError, train
from polytask.train.m_config import MConFIG
from polytask.train.optimizers import OPTIMIZERS, check_balancer, optimizer_class
from polytask.train.progress import Progress, Quiet, clock, make_progress
from polytask.train.session import Session, TrainingData
from polytask.train.settings import EarlyStopping, Training
from polytask.train.step import Step, task_losses, training_step
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
    "Progress",
    "Quiet",
    "Session",
    "Step",
    "TaskOptimizer",
    "Training",
    "TrainingData",
    "TrainingError",
    "check_balancer",
    "clock",
    "gradient_cosines",
    "make_progress",
    "optimizer_class",
    "probe_of",
    "task_losses",
    "train",
    "training_step",
]
