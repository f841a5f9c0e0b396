import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cache.annotations import Annotation, write_annotations
from pipelines.cache.tables import ClipRow
from pipelines.recipe import ClipWindow, SlidingWindows
from pipelines.training.samples import Sample, label_around, make_samples, window_centres
from pipelines.workspace import Workspace, atomic_path


def row(clip, group="video"):
    return ClipRow(clip, group, None, "", {}, {"faces": 0.9, "audio": 1.0})


@pytest.fixture
def workspace(tmp_path):
    """Two trials of one video: 12 rows, the first two not annotated; and 3 rows."""
    workspace = Workspace(tmp_path)
    values = np.stack([np.arange(12) / 12, -np.arange(12) / 12], axis=1).astype("float32")
    values[:2] = np.nan
    trials = {
        "video_left": Annotation(values, 5.0 + np.arange(12) / 25),
        "video_right": Annotation(np.full((3, 2), np.nan, "float32"), np.arange(3) / 25),
    }
    with atomic_path(workspace.shard("annotations", "video")) as path:
        write_annotations(path, trials)
    return workspace


def test_a_clip_with_one_window_is_its_own_sample(tmp_path):
    rows = [ClipRow("a", "s", 1, "PA4", {}, {"faces": 1.0}), ClipRow("b", "s", None, "")]
    samples = make_samples(rows, Workspace(tmp_path), ClipWindow())
    assert samples == [Sample("a", "s", 1, {"faces": 1.0}), Sample("b", "s", None)]
    assert [sample.name for sample in samples] == ["a", "b"]


def test_windows_lie_a_hop_apart_and_know_their_label_and_time(workspace):
    samples = make_samples([row("video_left")], workspace, SlidingWindows(hop=4))
    assert [sample.frame for sample in samples] == [2, 6, 10]
    assert [sample.name for sample in samples] == ["video_left@2", "video_left@6", "video_left@10"]
    assert samples[0].label == pytest.approx((2.5 / 12, -2.5 / 12)), "only annotated rows count"
    assert samples[1].label == pytest.approx((5.5 / 12, -5.5 / 12))
    assert samples[1].time_s == pytest.approx(5.0 + 6 / 25)
    assert {sample.group for sample in samples} == {"video"}
    assert samples[0].coverage == {"faces": 0.9, "audio": 1.0}


def test_a_window_without_any_annotated_row_has_no_label_and_a_short_trial_one_window(workspace):
    (only,) = make_samples([row("video_right")], workspace, SlidingWindows(hop=15))
    assert (only.frame, only.label) == (1, None)


def test_a_clip_without_annotations_has_no_samples(workspace):
    assert make_samples([row("other"), row("lost", "nowhere")], workspace, SlidingWindows()) == []


def test_new_annotations_are_read_again(workspace):
    assert len(make_samples([row("video_left")], workspace, SlidingWindows(hop=4))) == 3
    with atomic_path(workspace.shard("annotations", "video")) as path:
        write_annotations(path, {"video_left": Annotation(np.zeros((40, 2), "float32"), np.arange(40) / 25)})
    assert len(make_samples([row("video_left")], workspace, SlidingWindows(hop=4))) == 10


@given(st.integers(1, 500), st.integers(1, 60))
def test_every_row_counts_for_exactly_one_window_or_for_the_nearest(frames, hop):
    centres = window_centres(frames, hop)
    assert centres
    assert 0 <= centres[0] < frames
    assert centres[-1] < frames
    distance = np.abs(np.arange(frames)[:, None] - np.array(centres)).min(axis=1)
    assert distance.max() <= hop
    values = np.full((frames, 1), np.nan)
    values[centres[-1]] = 0.5
    assert label_around(values, centres[-1], hop) == (0.5,)
