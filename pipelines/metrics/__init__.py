"""How good predictions are, and how uncertain that number is.

`Predictions` -> `Metric.accumulate` -> statistics a group -> `summarise`, `paired_difference`, `group_values`.
Between methods: `corrected_t_test`, `effect_size`, `holm`, `negative_transfer`, and `judge_gain` for the words.
Confidence: `fit_temperature`, `tempered`, `expected_calibration_error`, `interval_half_widths`, `count_covered`.
"""

from pipelines.metrics.base import GroupStatistics, Metric, Predictions, concatenate
from pipelines.metrics.calibration import (
    Covered,
    ExpectedCalibrationError,
    count_covered,
    expected_calibration_error,
    fit_temperature,
    groups_needed,
    interval_half_widths,
    merge_covered,
    tempered,
)
from pipelines.metrics.classification import confusion_matrix
from pipelines.metrics.comparison import (
    EffectSize,
    FoldTest,
    NegativeTransfer,
    corrected_t_test,
    effect_size,
    holm,
    negative_transfer,
)
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
from pipelines.metrics.verdict import Verdict, better_side, judge_gain

__all__ = [
    "METRICS", "Covered", "EffectSize", "Estimate", "ExpectedCalibrationError", "FoldTest", "GroupStatistics",
    "Metric", "NegativeTransfer", "Predictions", "Verdict", "better_side", "bootstrap_weights", "concatenate",
    "concordance_correlation", "confusion_matrix", "corrected_t_test", "count_covered", "effect_size",
    "expected_calibration_error", "fit_temperature", "get_metric", "group_values", "groups_needed", "holm", "interval",
    "interval_half_widths", "judge_gain", "merge_covered", "metrics_for", "negative_transfer", "paired_difference",
    "summarise", "tempered",
]  # fmt: skip
