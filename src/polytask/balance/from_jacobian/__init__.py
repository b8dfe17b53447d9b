"""Methods that see J itself: coordinates, or gradients remembered over steps."""

from polytask.balance.from_jacobian.db_mtl import DBMTL
from polytask.balance.from_jacobian.excess_mtl import ExcessMTL
from polytask.balance.from_jacobian.graddrop import GradDrop
from polytask.balance.from_jacobian.metabalance import MetaBalance
from polytask.balance.from_jacobian.moco import MoCo

__all__ = ["DBMTL", "ExcessMTL", "GradDrop", "MetaBalance", "MoCo"]
