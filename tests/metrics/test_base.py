import numpy as np
import pytest

from pipelines.errors import MtpkdError
from pipelines.metrics import Predictions, concatenate


def predictions(target, scores, groups=None):
    n = len(target)
    names = np.array(groups or ["s"] * n)
    return Predictions(names, np.array([f"clip-{i}" for i in range(n)]), np.asarray(target), np.asarray(scores))


def test_a_diverged_model_is_an_error_that_names_the_clip():
    with pytest.raises(MtpkdError, match=r"prediction of clip clip-1 .* \(1 of 2 clips\).*learning rate"):
        predictions([0, 1], [[0.5, 0.5], [np.nan, 0.5]])


@pytest.mark.parametrize(("clips", "rows"), [(["a", "b"], "clips"), (["a", "a"], "frames")])
def test_continuous_rows_are_frames_where_clips_come_again(clips, rows):
    values = np.array([[0.1], [np.nan]])
    with pytest.raises(MtpkdError, match=rf"\(1 of 2 {rows}\)"):
        Predictions(np.array(["g", "g"]), np.array(clips), np.zeros((2, 1)), values)


def test_an_undefined_label_is_an_error_that_names_the_clip():
    with pytest.raises(MtpkdError, match="label of clip clip-1"):
        predictions([[0.1], [np.inf]], [[0.1], [0.2]])


@pytest.mark.parametrize(
    ("target", "scores", "message"),
    [
        ([0, 1], [[2.0, -1.0], [0.5, 0.5]], "probabilities.*clip-0"),
        ([0, 1], [[0.5, 0.5], [3.0, 1.0]], "probabilities.*clip-1"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "class index 2 for 2 columns"),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]], "class index -1"),
        ([0.0, 1.0], [[0.5, 0.5], [0.5, 0.5]], "integers"),
        ([0, 1], [[0.5, 0.5]], "one row a clip"),
        ([[0.1], [0.2]], [[0.5, 0.5], [0.5, 0.5]], "differ in shape"),
    ],
)
def test_what_does_not_belong_together_is_refused(target, scores, message):
    with pytest.raises(ValueError, match=message):
        predictions(target, scores)


def test_folds_are_concatenated_row_by_row():
    first = predictions([0], [[0.9, 0.1]], ["a"])
    second = predictions([1, 0], [[0.2, 0.8], [0.6, 0.4]], ["b", "b"])
    both = concatenate([first, second])
    assert both.groups.tolist() == ["a", "b", "b"]
    assert both.target.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(both.scores, [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
