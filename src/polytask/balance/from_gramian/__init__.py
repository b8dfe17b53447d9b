"""Methods that see G = J Jᵀ: one backward pass a task, then a small problem on a tasks × tasks matrix."""

from polytask.balance.from_gramian.cagrad import CAGrad
from polytask.balance.from_gramian.pcgrad import PCGrad

__all__ = ["CAGrad", "PCGrad"]
