"""Methods that see the losses' values only: one backward pass, what a plain sum costs."""

from polytask.balance.from_losses.dwa import DWA
from polytask.balance.from_losses.fixed import Fixed
from polytask.balance.from_losses.sum import Sum
from polytask.balance.from_losses.uncertainty import Uncertainty

__all__ = ["DWA", "Fixed", "Sum", "Uncertainty"]
