"""Who runs which stage with whom."""

from polytask.sharing.aitm import AITM
from polytask.sharing.base import Sharing
from polytask.sharing.branching import Branching
from polytask.sharing.calibrator import excess
from polytask.sharing.cgc import CGC
from polytask.sharing.cross_stitch import CrossStitch
from polytask.sharing.dselect_k import DSelectK
from polytask.sharing.film import FiLM
from polytask.sharing.hard import Hard
from polytask.sharing.independent import Independent
from polytask.sharing.joint_many_task import JointManyTask
from polytask.sharing.last import LastForward
from polytask.sharing.lora import LoRA
from polytask.sharing.mixture_of_lora import MixtureOfLoRA
from polytask.sharing.mmoe import MMoE
from polytask.sharing.mtan import MTAN
from polytask.sharing.nddr import NDDR
from polytask.sharing.own_encoders import OwnEncoders
from polytask.sharing.pad_net import PadNet
from polytask.sharing.ple import PLE
from polytask.sharing.preference_conditioned import PreferenceConditioned
from polytask.sharing.record import Record
from polytask.sharing.residual_adapters import ResidualAdapters
from polytask.sharing.rotograd import RotoGrad
from polytask.sharing.shared_private import SharedPrivate
from polytask.sharing.soft import Soft
from polytask.sharing.task_norm import TaskNorm
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
    "film": FiLM,
    "residual_adapters": ResidualAdapters,
    "lora": LoRA,
    "mixture_of_lora": MixtureOfLoRA,
    "task_norm": TaskNorm,
    "preference_conditioned": PreferenceConditioned,
    "rotograd": RotoGrad,
    "own_encoders": OwnEncoders,
    "shared_private": SharedPrivate,
    "joint_many_task": JointManyTask,
    "aitm": AITM,
    "pad_net": PadNet,
}

__all__ = [
    "AITM",
    "CGC",
    "MTAN",
    "NDDR",
    "PLE",
    "SHARINGS",
    "Branching",
    "CrossStitch",
    "DSelectK",
    "FiLM",
    "Hard",
    "Independent",
    "JointManyTask",
    "LastForward",
    "LoRA",
    "MMoE",
    "MixtureOfLoRA",
    "OwnEncoders",
    "PadNet",
    "PreferenceConditioned",
    "Record",
    "ResidualAdapters",
    "RotoGrad",
    "SharedPrivate",
    "Sharing",
    "Soft",
    "TaskNorm",
    "TopK",
    "excess",
]
