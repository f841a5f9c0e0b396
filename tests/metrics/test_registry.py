import pytest

from pipelines.errors import SettingsError
from pipelines.metrics import METRICS, get_metric, metrics_for
from pipelines.recipe import Task

BINARY = Task(kind="classes", labels=("BL1", "PA4"))
FIVE = Task(kind="classes", labels=("BL1", "PA1", "PA2", "PA3", "PA4"), ordinal=True)
CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (BINARY, ["accuracy", "balanced-accuracy", "macro-f1", "auc", "ece"]),
        (FIVE, ["accuracy", "balanced-accuracy", "macro-f1", "auc", "ece", "ccc", "rmse", "pearson"]),
        (CONTINUOUS, ["ccc", "rmse", "pearson", "sign-agreement"]),
    ],
)
def test_metrics_that_fit_a_task(task, names):
    assert [metric.name for metric in metrics_for(task)] == names
    assert all(get_metric(name, task) is METRICS[name] for name in names)


def test_unknown_metric_lists_all():
    with pytest.raises(
        SettingsError, match=r"'f2'.*accuracy, balanced-accuracy, macro-f1, auc, ece, ccc, rmse, pearson"
    ):
        get_metric("f2", BINARY)


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("ccc", BINARY, r"'ccc'.*BL1, PA4 are not declared.*fit: accuracy, balanced-accuracy, macro-f1, auc, ece$"),
        ("sign-agreement", FIVE, r"'sign-agreement'.*compares signs, and classes have none.*fit: accuracy"),
        (
            "accuracy",
            CONTINUOUS,
            r"'accuracy'.*valence, arousal are continuous.*fit: ccc, rmse, pearson, sign-agreement$",
        ),
    ],
)
def test_misfit_says_why_and_lists_those_that_fit(name, task, message):
    with pytest.raises(SettingsError, match=message):
        get_metric(name, task)


def test_only_errors_are_better_when_lower():
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["ece", "rmse"]
