"""Who runs which stage with whom."""

from polytask.sharing.base import Sharing
from polytask.sharing.cgc import CGC
from polytask.sharing.dselect_k import DSelectK
from polytask.sharing.hard import Hard
from polytask.sharing.independent import Independent
from polytask.sharing.mmoe import MMoE
from polytask.sharing.ple import PLE
from polytask.sharing.record import Record
from polytask.sharing.top_k import TopK

#: Every sharing scheme by its catalogue name.
SHARINGS: dict[str, type[Sharing]] = {
    "independent": Independent,
    "hard": Hard,
    "mmoe": MMoE,
    "top_k": TopK,
    "dselect_k": DSelectK,
    "cgc": CGC,
    "ple": PLE,
}

__all__ = ["CGC", "PLE", "SHARINGS", "DSelectK", "Hard", "Independent", "MMoE", "Record", "Sharing", "TopK"]
