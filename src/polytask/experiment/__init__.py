"""One training, from its written choices to its Run."""

from polytask.experiment.arguments import experiment_from, fit
from polytask.experiment.choices import CATALOGUES, DataSettings, Experiment
from polytask.experiment.run import run

__all__ = ["CATALOGUES", "DataSettings", "Experiment", "experiment_from", "fit", "run"]
