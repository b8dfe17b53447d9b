"""Methods that look at losses after the step, or ahead of it: more passes a step than a plain sum."""

from polytask.balance.from_probes.auto_lambda import AutoLambda
from polytask.balance.from_probes.famo import FAMO

__all__ = ["FAMO", "AutoLambda"]
