"""Who runs which stage with whom."""

from polytask.sharing.base import Sharing
from polytask.sharing.branching import Branching
from polytask.sharing.cgc import CGC
from polytask.sharing.cross_stitch import CrossStitch
from polytask.sharing.dselect_k import DSelectK
from polytask.sharing.hard import Hard
from polytask.sharing.independent import Independent
from polytask.sharing.mmoe import MMoE
from polytask.sharing.mtan import MTAN
from polytask.sharing.nddr import NDDR
from polytask.sharing.ple import PLE
from polytask.sharing.record import Record
from polytask.sharing.soft import Soft
from polytask.sharing.top_k import TopK

#: Every sharing scheme by its catalogue name.
SHARINGS: dict[str, type[Sharing]] = {
    "independent": Independent,
    "hard": Hard,
    "soft": Soft,
    "branching": Branching,
    "cross_stitch": CrossStitch,
    "nddr": NDDR,
    "mtan": MTAN,
    "mmoe": MMoE,
    "top_k": TopK,
    "dselect_k": DSelectK,
    "cgc": CGC,
    "ple": PLE,
}

__all__ = [
    "CGC",
    "MTAN",
    "NDDR",
    "PLE",
    "SHARINGS",
    "Branching",
    "CrossStitch",
    "DSelectK",
    "Hard",
    "Independent",
    "MMoE",
    "Record",
    "Sharing",
    "Soft",
    "TopK",
]
