"""One training, from its written choices to its Run."""

from polytask.experiment.arguments import experiment_from, fit, with_path
from polytask.experiment.choices import CATALOGUES, DataSettings, Experiment
from polytask.experiment.derived import as_trained
from polytask.experiment.given import (
    Given,
    fit_preprocessor,
    input_columns,
    load_sources,
    look_over,
)
from polytask.experiment.machine import own_state
from polytask.experiment.notices import Say, tell, to_stderr
from polytask.experiment.prepare import absolute, make_blueprint
from polytask.experiment.pseudo_labels import pseudo_label
from polytask.experiment.resume import first_difference, without_path
from polytask.experiment.run import run
from polytask.experiment.sources import ALL, Source
from polytask.experiment.split_notices import of_made_splits

__all__ = [
    "ALL",
    "CATALOGUES",
    "DataSettings",
    "Experiment",
    "Given",
    "Say",
    "Source",
    "absolute",
    "as_trained",
    "experiment_from",
    "first_difference",
    "fit",
    "fit_preprocessor",
    "input_columns",
    "load_sources",
    "look_over",
    "make_blueprint",
    "of_made_splits",
    "own_state",
    "pseudo_label",
    "run",
    "tell",
    "to_stderr",
    "with_path",
    "without_path",
]
