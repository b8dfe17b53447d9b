"""How to train: every setting of the loop, validated where it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from polytask.train.mean_teacher import MeanTeacher


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """When training ends before its last epoch, and which weights are kept.

    Args:
        patience: epochs without gain before training stops; None trains all epochs. An epoch whose skill is undefined
            gains nothing.
        by: what is watched: `"mean"` (mean skill over tasks), a task's name, or weights by task for the mean.
        min_gain: the least gain in skill that patience counts; weights are kept for any gain.
        per_task: a task whose own skill has not gained for `patience` epochs stops, while others go on.

    Raises:
        ValueError: a setting out of its range.
    """

    patience: int | None = 10
    by: str | dict[str, float] = "mean"
    min_gain: float = 0.0
    per_task: bool = False

    def __post_init__(self) -> None:
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"early_stopping.patience={self.patience}: at least 1, or none at all (null)")
        if self.min_gain < 0:
            raise ValueError(f"early_stopping.min_gain={self.min_gain}: at least 0")
        if isinstance(self.by, Mapping) and not (self.by and min(self.by.values()) >= 0 < sum(self.by.values())):
            raise ValueError(f"early_stopping.by={self.by}: weights by task, none negative, not all 0")
        if self.per_task and self.patience is None:
            raise ValueError("early_stopping.per_task has no effect without a patience; give one")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train.

    Args:
        epochs: at most this many; an epoch is one pass over the training rows (of all tables, by the agenda).
        batch_size: rows a batch; None chooses by the number of training rows (32 to 1024).
        optimizer: any torch.optim class by its name in small letters, `adatask` or `m_config`, or `{name: settings}`.
        learning_rate: of the optimiser.
        weight_decay: of the optimiser; None leaves the optimiser's own default.
        schedule: of the learning rate: `"constant"`, `"cosine"` (to 0 over all epochs), or `"plateau"`
            (a tenth of it after half the patience of early stopping, or 5 epochs, without gain).
        warmup: share of all steps over which the learning rate rises linearly from 0, 0 to 1.
        clip_norm: the gradient's norm is cut to this.
        clip_value: every coordinate of the gradient is cut to ± this.
        ema: decay of an exponential moving average of the parameters, in (0, 1), used wherever the model is judged.
        mean_teacher: learn from rows without labels too, by keeping to an average of past weights (see `MeanTeacher`).
        precision: `"float32"` or `"bfloat16"` (autocast).
        compile: run the model through torch.compile.
        device: `"auto"` (CUDA, then MPS, then CPU) or a torch device.
        threads: torch's threads on the CPU; None leaves torch's choice. Recorded, and restored on resuming.
        early_stopping: when to stop and which weights to keep.
        checkpoint_seconds: a checkpoint is written at the end of every epoch and after this many seconds within one.

    Raises:
        ValueError: a setting out of its range.
    """

    epochs: int = 100
    batch_size: int | None = None
    optimizer: str | dict[str, dict[str, Any] | None] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float | None = None
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    warmup: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    ema: float | None = None
    mean_teacher: MeanTeacher | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    device: str = "auto"
    threads: int | None = None
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("threads", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}={value}: at least {least}")
        for name in ("learning_rate", "clip_norm", "clip_value"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value}: a number above 0")
        if self.weight_decay is not None and self.weight_decay < 0:
            raise ValueError(f"weight_decay={self.weight_decay}: at least 0")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup={self.warmup}: a share of all steps, 0 to 1")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema={self.ema}: a decay between 0 and 1, such as 0.999")
        if self.ema is not None and self.mean_teacher is not None and self.ema != self.mean_teacher.decay:
            raise ValueError(
                f"ema={self.ema} and mean_teacher.decay={self.mean_teacher.decay} are of one average, which both use; "
                "leave ema out"
            )
        if self.checkpoint_seconds < 0:
            raise ValueError(f"checkpoint_seconds={self.checkpoint_seconds}: at least 0")

    def batch_size_for(self, num_rows: int) -> int:
        """The batch size, chosen by the number of training rows where none was given: about 60 steps an epoch.

        Example:
            >>> [Training().batch_size_for(n) for n in (100, 5000, 100_000)]
            [32, 64, 1024]
        """
        if self.batch_size is not None:
            return self.batch_size
        return int(min(1024, max(32, 2 ** (max(num_rows // 60, 1).bit_length() - 1))))
