import math

import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.objectives import select_teacher

NAN = math.nan


def spoke(view, selection):
    """Which teacher spoke for each sample (1, 2, 3; 0: none), and the counts."""
    embedding, counts = select_teacher(view, selection)
    assert bool((embedding[:, 0] == embedding[:, 1]).all())
    return embedding[:, 0].tolist(), counts.tolist()


LOSSES = [[0.1, 0.9, 0.5], [0.8, 0.2, 0.5], [0.9, 0.3, 0.6]]  # means .6, .467, .533


@pytest.mark.parametrize(
    ("selection", "expected", "counts"),
    [
        ("batch", [2, 2, 2], [0, 3, 0]),
        ("sample", [1, 2, 2], [1, 2, 0]),
        ("joint", [3, 3, 3], [0, 0, 3]),
    ],
)
def test_the_lowest_loss_speaks(make_view, selection, expected, counts):
    assert spoke(make_view(LOSSES), selection) == (expected, counts)


def test_confidence_weighs_by_softmax_over_minus_the_losses(make_view):
    embedding, counts = select_teacher(make_view(LOSSES), "confidence")
    weights = torch.softmax(-torch.tensor(LOSSES), 1)
    torch.testing.assert_close(embedding[:, 0], weights @ torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(counts, weights.sum(0))


@pytest.mark.parametrize("selection", ["batch", "sample"])
def test_the_first_of_equals_speaks(make_view, selection):
    assert spoke(make_view([[0.5, 0.5, 0.5]] * 2), selection) == ([1, 1], [2, 0, 0])


def test_unknown_losses_are_left_out_of_means(make_view):
    assert spoke(make_view([[0.4, NAN, 0.5], [0.4, 0.3, NAN]]), "batch") == ([2, 2], [0, 2, 0])


def test_an_unknown_loss_is_never_the_lowest_of_a_sample(make_view):
    assert spoke(make_view([[NAN, 0.9, NAN], [0.1, 0.9, 0.5]]), "sample") == ([2, 1], [1, 1, 0])


@pytest.mark.parametrize("selection", ["sample", "confidence"])
def test_a_sample_without_any_loss_uses_the_means_of_the_batch(make_view, selection):
    unlabelled = make_view([[0.1, 0.9, 0.5], [0.3, 0.5, 0.5], [NAN] * 3])
    means = make_view([[0.1, 0.9, 0.5], [0.3, 0.5, 0.5], [0.2, 0.7, 0.5]])
    torch.testing.assert_close(select_teacher(unlabelled, selection), select_teacher(means, selection))


@pytest.mark.parametrize("selection", ["batch", "sample", "confidence", "joint"])
def test_without_any_known_loss_the_joint_teacher_speaks(make_view, selection):
    assert spoke(make_view([[NAN] * 3] * 2), selection) == ([3, 3], [0, 0, 2])


def test_samples_that_lack_the_elected_teacher_fall_back(make_view):
    view = make_view([[0.6, 0.1, 0.9], [0.6, 0.1, 0.9], [0.6, 0.1, 0.9]], absent=[(1, 1), (2, 1), (2, 2)])
    assert spoke(view, "batch") == ([2, 3, 1], [1, 1, 1])


def test_samples_that_lack_the_joint_teacher_fall_back_to_the_best_present(make_view):
    view = make_view([[0.6, 0.1, 0.9], [0.6, 0.1, 0.9]], absent=[(1, 2)])
    assert spoke(view, "joint") == ([3, 2], [0, 1, 1])


@pytest.mark.parametrize("selection", ["batch", "sample", "confidence", "joint"])
def test_a_loss_of_an_absent_teacher_is_ignored_and_nobody_speaks_where_all_are_absent(make_view, selection):
    view = make_view([[0.0, 0.1, 0.2], [0.5, 0.6, 0.7]], absent=[(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)])
    assert spoke(view, selection) == ([3, 0], [0, 0, 1])


def test_no_gradient_reaches_a_teacher(make_view):
    view = make_view(LOSSES)
    view.embeddings.requires_grad_()
    assert not select_teacher(view, "confidence")[0].requires_grad


def test_joint_selection_needs_a_joint_teacher(make_view):
    view = make_view([[0.1, 0.2]], names=("eda", "ecg"))
    assert spoke(view, "batch") == ([1], [1, 0])
    with pytest.raises(SettingsError, match="needs a teacher of all modalities; there are eda, ecg"):
        select_teacher(view, "joint")


def test_unknown_selections_are_refused(make_view):
    with pytest.raises(SettingsError, match="'best': expected one of batch, sample, confidence, joint"):
        select_teacher(make_view(LOSSES), "best")
