"""Who runs which stage with whom."""

from polytask.sharing.base import Sharing
from polytask.sharing.hard import Hard
from polytask.sharing.independent import Independent
from polytask.sharing.record import Record

#: Every sharing scheme by its catalogue name.
SHARINGS: dict[str, type[Sharing]] = {"independent": Independent, "hard": Hard}

__all__ = ["SHARINGS", "Hard", "Independent", "Record", "Sharing"]
