"""What a study of several Runs may claim: pure functions of arrays, usable without the rest of polytask.

Row values of a metric (`accuracy`, `roc_auc`, …) → `influence_on_skill` → `evidence_of` → `decide`; metrics without
row values → `resampled_evidence`; repeated splits → `resplit_evidence`.
"""

from polytask.studies.evidence import Evidence, clustered_variance, evidence_of, row_variance, seed_variance
from polytask.studies.influence import (
    ROW_VALUES,
    absolute_error,
    accuracy,
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

__all__ = [
    "CANNOT_TELL",
    "HELPS",
    "HURTS",
    "NO_VERDICT",
    "PRACTICALLY_EQUAL",
    "REGION",
    "ROW_VALUES",
    "Evidence",
    "Part",
    "Verdict",
    "absolute_error",
    "accuracy",
    "clustered_variance",
    "decide",
    "evidence_of",
    "half_width",
    "holm",
    "holm_adjusted",
    "influence_on_skill",
    "log_loss",
    "macro_roc_auc",
    "mean_over",
    "minimum_detectable_effect",
    "p_value",
    "r2",
    "reason_for_none",
    "resampled_evidence",
    "resplit_evidence",
    "roc_auc",
    "root_mean_squared_error",
    "row_variance",
    "screen",
    "seed_variance",
    "squared_error",
]
