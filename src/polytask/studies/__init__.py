"""Studies: many Runs compared, and what may be claimed of them.

The statistics are pure functions of arrays, usable without the rest of polytask. Row values of a metric (`accuracy`,
`roc_auc`, …) → `influence_on_skill` → `evidence_of` → `decide`; metrics without row values → `resampled_evidence`;
repeated splits → `resplit_evidence`.

`study` and `run_study` train what they compare; `Study` is the record of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from polytask.studies.evidence import Evidence, clustered_variance, evidence_of, row_variance, seed_variance
from polytask.studies.influence import (
    ROW_VALUES,
    absolute_error,
    accuracy,
    balanced_accuracy,
    hamming_loss,
    influence_on_skill,
    log_loss,
    macro_roc_auc,
    mean_over,
    r2,
    roc_auc,
    root_mean_squared_error,
    squared_error,
)
from polytask.studies.resampling import resampled_evidence
from polytask.studies.resplits import resplit_evidence
from polytask.studies.statistics import (
    Part,
    half_width,
    holm,
    holm_adjusted,
    minimum_detectable_effect,
    p_value,
    screen,
)
from polytask.studies.verdict import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    NO_VERDICT,
    PRACTICALLY_EQUAL,
    REGION,
    Verdict,
    decide,
    reason_for_none,
)

if TYPE_CHECKING:  # what type checkers and editors see; the same names as in _PLACES
    from polytask.studies.arguments import study
    from polytask.studies.dry_run import Forecast, forecast
    from polytask.studies.record import Study, StudyVerdict, TaskVerdict
    from polytask.studies.session import run_study
    from polytask.studies.settings import StudySettings
    from polytask.studies.terminal import verdict_table, verdict_text
    from polytask.studies.terminal_leaderboard import leaderboard_table
    from polytask.studies.terminal_metrics import metric_name, repeats_name

#: What trains, and what shows it: loaded when first used.
_PLACES = {
    "Forecast": "dry_run",
    "Study": "record",
    "StudySettings": "settings",
    "StudyVerdict": "record",
    "TaskVerdict": "record",
    "forecast": "dry_run",
    "leaderboard_table": "terminal_leaderboard",
    "metric_name": "terminal_metrics",
    "repeats_name": "terminal_metrics",
    "run_study": "session",
    "study": "arguments",
    "verdict_table": "terminal",
    "verdict_text": "terminal",
}

__all__ = [
    "CANNOT_TELL",
    "HELPS",
    "HURTS",
    "NO_VERDICT",
    "PRACTICALLY_EQUAL",
    "REGION",
    "ROW_VALUES",
    "Evidence",
    "Forecast",
    "Part",
    "Study",
    "StudySettings",
    "StudyVerdict",
    "TaskVerdict",
    "Verdict",
    "absolute_error",
    "accuracy",
    "balanced_accuracy",
    "clustered_variance",
    "decide",
    "evidence_of",
    "forecast",
    "half_width",
    "hamming_loss",
    "holm",
    "holm_adjusted",
    "influence_on_skill",
    "leaderboard_table",
    "log_loss",
    "macro_roc_auc",
    "mean_over",
    "metric_name",
    "minimum_detectable_effect",
    "p_value",
    "r2",
    "reason_for_none",
    "repeats_name",
    "resampled_evidence",
    "resplit_evidence",
    "roc_auc",
    "root_mean_squared_error",
    "row_variance",
    "run_study",
    "screen",
    "seed_variance",
    "squared_error",
    "study",
    "verdict_table",
    "verdict_text",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'polytask.studies' has no attribute {name!r}")
    found = getattr(import_module(f"polytask.studies.{_PLACES[name]}"), name)
    globals()[name] = found
    return found
