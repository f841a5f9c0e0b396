"""How good predictions are, and how uncertain that number is.

`Predictions` -> `Metric.accumulate` -> statistics a group -> `summarise`, `paired_difference`, `group_values`.
"""

from pipelines.metrics.base import GroupStatistics, Metric, Predictions, concatenate
from pipelines.metrics.classification import confusion_matrix
from pipelines.metrics.registry import METRICS, get_metric, metrics_for
from pipelines.metrics.regression import concordance_correlation
from pipelines.metrics.resampling import (
    Estimate,
    bootstrap_weights,
    group_values,
    interval,
    paired_difference,
    summarise,
)

__all__ = [
    "METRICS", "Estimate", "GroupStatistics", "Metric", "Predictions", "bootstrap_weights", "concatenate",
    "concordance_correlation", "confusion_matrix", "get_metric", "group_values", "interval", "metrics_for",
    "paired_difference", "summarise",
]  # fmt: skip
