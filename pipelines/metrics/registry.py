"""Every metric by name. A new one is a class and a line here."""

from typing import Any

from pipelines.errors import SettingsError
from pipelines.metrics.agreement import SignAgreement
from pipelines.metrics.base import Metric
from pipelines.metrics.calibration import ExpectedCalibrationError
from pipelines.metrics.classification import Accuracy, AreaUnderCurve, BalancedAccuracy, MacroF1
from pipelines.metrics.regression import ConcordanceCorrelation, PearsonCorrelation, RootMeanSquaredError
from pipelines.recipe import Task

METRICS: dict[str, Metric[Any]] = {
    metric.name: metric
    for metric in (
        Accuracy(),
        BalancedAccuracy(),
        MacroF1(),
        AreaUnderCurve(),
        ExpectedCalibrationError(),
        ConcordanceCorrelation(),
        RootMeanSquaredError(),
        PearsonCorrelation(),
        SignAgreement(),
    )
}


def metrics_for(task: Task) -> tuple[Metric[Any], ...]:
    """The metrics that fit a task; the first is its headline."""
    return tuple(metric for metric in METRICS.values() if metric.fits(task))


def get_metric(name: str, task: Task) -> Metric[Any]:
    """The metric of that name.

    Raises:
        SettingsError: no metric has the name, or it makes no sense for the task; the message lists those that do.
    """
    fitting = ", ".join(metric.name for metric in metrics_for(task))
    if name not in METRICS:
        raise SettingsError(f"unknown metric {name!r}: choose one of {', '.join(METRICS)} (this task: {fitting})")
    reason = METRICS[name].misfit(task)
    if reason is not None:
        raise SettingsError(f"metric {name!r} does not fit this task: {reason}. Metrics that fit: {fitting}")
    return METRICS[name]
