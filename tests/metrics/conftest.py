"""Random predictions of several subjects, with ties, rare classes and subjects of unequal size."""

from collections.abc import Callable

import numpy as np
import pytest

from pipelines.metrics import Predictions


def draw(classes: int, seed: int, groups: int = 9) -> Predictions:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 25, size=groups)
    names = np.repeat([f"s{g:02d}" for g in rng.permutation(groups)], sizes)
    target = rng.integers(0, classes, size=len(names))
    target[:classes] = np.arange(classes)
    logits = rng.normal(size=(len(names), classes)) + 1.5 * np.eye(classes)[target]
    # Steps of 1/8 make ties frequent.
    scores = np.round(8 * np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)) / 8
    scores[:, 0] += 1 - scores.sum(axis=1)
    scores = np.where((scores < 0).any(axis=1, keepdims=True), 1 / classes, scores)
    order = rng.permutation(len(names))
    clips = np.array([f"{name}-{i}" for i, name in enumerate(names)])
    return Predictions(names[order], clips[order], target[order], scores[order])


def replicate(predictions: Predictions, weights: np.ndarray) -> Predictions:
    """What a resample means: each group's rows as often as its weight says (groups in sorted order)."""
    index = np.unique(predictions.groups, return_inverse=True)[1]
    rows = np.repeat(np.arange(len(index)), weights[index].astype(int))
    return Predictions(*(getattr(predictions, name)[rows] for name in ("groups", "clips", "target", "scores")))


@pytest.fixture
def predictions_of_classes() -> Callable[..., Predictions]:
    return draw


@pytest.fixture
def replicated() -> Callable[[Predictions, np.ndarray], Predictions]:
    return replicate
