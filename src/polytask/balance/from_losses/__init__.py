"""Methods that see the losses' values and the validation skills only: one backward pass, what a plain sum costs."""

from polytask.balance.from_losses.achievement import Achievement
from polytask.balance.from_losses.cosmos import COSMOS
from polytask.balance.from_losses.cov_weighting import CoVWeighting
from polytask.balance.from_losses.dtp import DTP
from polytask.balance.from_losses.dwa import DWA
from polytask.balance.from_losses.ema_normalised import EMANormalised
from polytask.balance.from_losses.fixed import Fixed
from polytask.balance.from_losses.gls import GLS
from polytask.balance.from_losses.imtl_l import IMTLL
from polytask.balance.from_losses.mean import Mean
from polytask.balance.from_losses.penalty_coefficients import PenaltyCoefficients
from polytask.balance.from_losses.rlw import RLW
from polytask.balance.from_losses.scale_invariant import ScaleInvariant
from polytask.balance.from_losses.stch import STCH
from polytask.balance.from_losses.sum import Sum
from polytask.balance.from_losses.tchebycheff import Tchebycheff
from polytask.balance.from_losses.uncertainty import Uncertainty
from polytask.balance.from_losses.uncertainty_revised import UncertaintyRevised
from polytask.balance.from_losses.uw_o import UWO
from polytask.balance.from_losses.uw_so import UWSO

__all__ = [
    "COSMOS",
    "DTP",
    "DWA",
    "GLS",
    "IMTLL",
    "RLW",
    "STCH",
    "UWO",
    "UWSO",
    "Achievement",
    "CoVWeighting",
    "EMANormalised",
    "Fixed",
    "Mean",
    "PenaltyCoefficients",
    "ScaleInvariant",
    "Sum",
    "Tchebycheff",
    "Uncertainty",
    "UncertaintyRevised",
]
