"""Methods that see G = J Jᵀ: one backward pass a task, then a small problem on a tasks × tasks matrix."""

from polytask.balance.from_gramian.aligned_mtl import AlignedMTL
from polytask.balance.from_gramian.cagrad import CAGrad
from polytask.balance.from_gramian.config import ConFIG
from polytask.balance.from_gramian.cosine_gate import CosineGate
from polytask.balance.from_gramian.dualproj import DualProj
from polytask.balance.from_gramian.epo import EPO
from polytask.balance.from_gramian.fairgrad import FairGrad
from polytask.balance.from_gramian.gradnorm import GradNorm
from polytask.balance.from_gramian.gradvac import GradVac
from polytask.balance.from_gramian.imtl import IMTL
from polytask.balance.from_gramian.imtl_g import IMTLG
from polytask.balance.from_gramian.mgda import MGDA
from polytask.balance.from_gramian.nash_mtl import NashMTL
from polytask.balance.from_gramian.pcgrad import PCGrad
from polytask.balance.from_gramian.sdmgrad import SDMGrad
from polytask.balance.from_gramian.upgrad import UPGrad

__all__ = [
    "EPO",
    "IMTL",
    "IMTLG",
    "MGDA",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "CosineGate",
    "DualProj",
    "FairGrad",
    "GradNorm",
    "GradVac",
    "NashMTL",
    "PCGrad",
    "SDMGrad",
    "UPGrad",
]
