"""Training: the step, the agenda, the loop."""

from polytask.train.agenda import AGENDAS, Agenda, Alternating, Joint
from polytask.train.conflict import gradient_cosines
from polytask.train.looks import probe_of
from polytask.train.loop import TrainingError, train
from polytask.train.optimizers import OPTIMIZERS
from polytask.train.progress import Progress, Quiet, clock, make_progress
from polytask.train.session import Session, TrainingData
from polytask.train.settings import EarlyStopping, Training
from polytask.train.step import Step, task_losses, training_step

__all__ = [
    "AGENDAS",
    "OPTIMIZERS",
    "Agenda",
    "Alternating",
    "EarlyStopping",
    "Joint",
    "Progress",
    "Quiet",
    "Session",
    "Step",
    "Training",
    "TrainingData",
    "TrainingError",
    "clock",
    "gradient_cosines",
    "make_progress",
    "probe_of",
    "task_losses",
    "train",
    "training_step",
]
