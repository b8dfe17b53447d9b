"""Names as people write them: of metrics, and of what a study repeated. results.json keeps the raw ones."""

from collections.abc import Mapping
from typing import Any

#: Metric -> how it is written; what is not here is written as it is, with blanks for its underscores.
METRICS: Mapping[str, str] = {
    "r2": "R²",
    "mae": "MAE",
    "mse": "MSE",
    "rmse": "RMSE",
    "roc_auc": "ROC-AUC",
    "macro_roc_auc": "macro ROC-AUC",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "hamming_loss": "Hamming loss",
}


def metric_name(metric: str) -> str:
    """A metric as people write it.

    Example:
        >>> metric_name("macro_roc_auc"), metric_name("quadratic_kappa"), metric_name("r2")
        ('macro ROC-AUC', 'quadratic kappa', 'R²')
    """
    return METRICS.get(metric, metric.replace("_", " "))


def in_words(sentence: str, metric: str) -> str:
    """A verdict's sentence, its metric as people write it.

    Example:
        >>> in_words("Sharing helps r2: r2 0.951 shared, 0.923 alone.", "r2")
        'Sharing helps r2: R² 0.951 shared, 0.923 alone.'
    """
    return sentence.replace(f": {metric} ", f": {metric_name(metric)} ", 1)


def repeats_name(design: Mapping[str, Any]) -> str:
    """What a verdict's `seeds` count: with repeated splits they are these.

    Example:
        >>> repeats_name({"splits": 1}), repeats_name({"splits": 5, "folds": 5}), repeats_name({"splits": 10})
        ('seeds', 'folds', 'splits')
    """
    if (design.get("splits") or 1) == 1:
        return "seeds"
    return "folds" if design.get("folds") else "splits"
