import numpy as np
import pytest

from pipelines.training.labels import LabelScale


def test_training_labels_are_centred_and_restored():
    labels = [(0.0, 100.0), (50.0, 300.0), (100.0, 200.0)]
    scale = LabelScale.of(labels, 2)
    learned = np.array([scale.standardised(label) for label in labels])
    np.testing.assert_allclose(learned.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(learned.std(0), 1)
    np.testing.assert_allclose(LabelScale.from_schema(scale.to_schema()).restored(learned), labels)


def test_a_dimension_that_does_not_vary_is_only_centred_and_no_label_changes_nothing():
    assert LabelScale.of([(7.0,), (7.0,)], 1).standardised((8.0,)) == (1.0,)
    assert LabelScale.of([], 2).standardised((3.0, -1.0)) == pytest.approx((3.0, -1.0))
