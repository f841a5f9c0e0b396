"""scikit-learn is the oracle, also for resampled groups: there it sees the rows really replicated."""

import warnings

import numpy as np
import pytest

from pipelines.metrics import METRICS, Predictions, bootstrap_weights, confusion_matrix

CASES = [(classes, seed) for classes in (2, 3, 5) for seed in range(4)]


def by_scikit_learn(name: str, predictions: Predictions) -> float:
    from sklearn import metrics

    target, scores = predictions.target, predictions.scores
    predicted = scores.argmax(axis=1)
    if name == "accuracy":
        return metrics.accuracy_score(target, predicted)
    if name == "balanced-accuracy":
        return metrics.balanced_accuracy_score(target, predicted)
    if name == "macro-f1":
        return metrics.f1_score(target, predicted, average="macro")
    classes = range(scores.shape[1]) if scores.shape[1] > 2 else [1]
    if len(np.unique(target)) < scores.shape[1]:
        return np.nan
    return np.mean([metrics.roc_auc_score(target == c, scores[:, c]) for c in classes])


@pytest.mark.parametrize(("classes", "seed"), CASES)
@pytest.mark.parametrize("name", ["accuracy", "balanced-accuracy", "macro-f1", "auc"])
def test_equals_scikit_learn_on_all_and_on_resampled_groups(name, classes, seed, predictions_of_classes, replicated):
    predictions = predictions_of_classes(classes, seed)
    metric = METRICS[name]
    statistics = metric.accumulate(predictions)
    groups = len(statistics.groups)
    weights = np.concatenate([np.ones((1, groups)), bootstrap_weights(groups, 6, seed), np.eye(groups)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [by_scikit_learn(name, replicated(predictions, row)) for row in weights]
    np.testing.assert_allclose(metric.value(statistics, weights), expected, rtol=0, atol=1e-12)


def test_multi_class_auc_is_scikit_learns_macro_one_vs_rest(predictions_of_classes):
    from sklearn.metrics import roc_auc_score

    predictions = predictions_of_classes(4, 11)
    metric = METRICS["auc"]
    value = metric.value(metric.accumulate(predictions), np.ones((1, 9)))[0]
    expected = roc_auc_score(predictions.target, predictions.scores, multi_class="ovr", average="macro")
    assert value == pytest.approx(expected, abs=1e-12)


def test_confusion_matrix_has_true_classes_in_rows(predictions_of_classes):
    from sklearn.metrics import confusion_matrix as oracle

    predictions = predictions_of_classes(5, 0)
    matrix = confusion_matrix(predictions)
    np.testing.assert_array_equal(matrix, oracle(predictions.target, predictions.scores.argmax(axis=1)))
    assert np.issubdtype(matrix.dtype, np.integer)


def test_auc_of_one_class_is_undefined_not_half():
    only_positives = Predictions(
        np.array(["a", "b"]), np.array(["x", "y"]), np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]])
    )
    metric = METRICS["auc"]
    assert np.isnan(metric.value(metric.accumulate(only_positives), np.ones((1, 2)))).all()


def test_no_weight_no_value(predictions_of_classes):
    predictions = predictions_of_classes(2, 0)
    for name in ("accuracy", "balanced-accuracy", "macro-f1", "auc"):
        assert np.isnan(METRICS[name].value(METRICS[name].accumulate(predictions), np.zeros((1, 9)))).all()


def test_size_of_statistics_does_not_grow_with_clips():
    rng = np.random.default_rng(0)
    sizes = []
    for n in (100, 10_000):
        score = rng.random(n)
        predictions = Predictions(
            np.array([f"s{i % 5}" for i in range(n)]),
            np.arange(n).astype(str),
            rng.integers(0, 2, n),
            np.stack([1 - score, score], axis=1),
        )
        statistics = [METRICS[name].accumulate(predictions) for name in ("accuracy", "auc", "ccc")]
        arrays = [a for s in statistics for a in vars(s).values() if isinstance(a, np.ndarray)]
        sizes.append(sum(a.nbytes for a in arrays))
    assert sizes[0] == sizes[1]
