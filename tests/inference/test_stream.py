"""Windows and frames as they come: which there are, in what order, and how much is held."""

import tracemalloc

import numpy as np
import pytest

from pipelines.inference.estimates import FrameEstimate, Meaning, WindowEstimate
from pipelines.inference.stream import stream
from pipelines.training.dense import Trial, dense_values
from pipelines.training.samples import window_centres

CLIP = {"windows.start": 1.0, "windows.stop": 2.0, "windows.frames": 4, "faces.min_coverage": 0.2}
TRIAL = {"windows.frames": 2, "windows.stride": 3, "windows.hop": 10, "windows.context": 3}


@pytest.fixture
def said(describe, runtime, crops):
    def run(levels, *, sliding=False, calibration=None, hop=1.0, width=1, live=False, meaning=None, **changes):
        description = describe(sliding=sliding, calibration=calibration, **{**(TRIAL if sliding else CLIP), **changes})
        estimates = list(
            stream(
                crops(levels),
                runtime(description),
                meaning=Meaning(description, **(meaning or {})),
                hop=hop,
                width=width,
                live=live,
            )
        )
        windows = [each for each in estimates if isinstance(each, WindowEstimate)]
        return windows, [each for each in estimates if isinstance(each, FrameEstimate)]

    return run


def brightness(probabilities):
    """What BrightnessRuntime saw, by the probabilities of its logits."""
    return np.log(probabilities[1] / probabilities[0]) / 2


@pytest.mark.parametrize(
    ("hop", "starts"),
    [(1.0, [0, 1, 2, 3]), (0.5, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]), (0.6, [0.4, 1, 1.6, 2.2, 2.8, 3.4]), (0, [1])],
)
def test_windows_lie_at_whole_hops_from_the_trained_one_inside_the_video(said, hop, starts):
    windows, frames = said([100] * 113, hop=hop)  # 4.52 s
    assert [window.start_s for window in windows] == pytest.approx(starts)
    assert not any(window.partial for window in windows)
    assert [frame.index for frame in frames] == list(range(113))


def test_a_window_sees_the_middles_of_equal_parts_of_its_frames_with_a_face(said):
    levels = [None] * 25 + [None, *range(101, 125)] + [None] * 30
    (window,), _ = said(levels, hop=0)
    assert brightness(window.values) == pytest.approx(np.mean([104, 110, 116, 122]) / 255 * 2 - 1, abs=1e-6)
    assert window.faces == pytest.approx(24 / 25)


def test_a_video_shorter_than_a_window_has_one_that_says_so(said):
    (window,), frames = said([50] * 10)
    assert (window.start_s, window.stop_s, window.partial) == (0.0, pytest.approx(0.4), True)
    assert [frame.status for frame in frames] == ["estimate"] * 10


def test_the_trained_window_alone_is_read_though_the_video_ends_in_it(said):
    (window,), frames = said([50] * 40, hop=0)
    assert (window.start_s, window.partial, window.status) == (1.0, True, "estimate")
    assert [frame.status for frame in frames] == ["no window"] * 25 + ["estimate"] * 15
    assert said([50] * 20, hop=0)[0] == []


def test_a_frame_has_the_mean_of_the_windows_around_it(said):
    levels = np.linspace(10, 240, 100)
    windows, frames = said(levels, hop=0.5)
    for frame in frames:
        around = [w.values for w in windows if w.start_s <= frame.time_s < w.stop_s]
        assert frame.values == pytest.approx(np.mean(around, axis=0))


@pytest.mark.parametrize("sliding", [False, True])
def test_frames_without_a_face_have_no_estimate(said, sliding):
    levels = [120] * 60 + [None] * 30 + [200] * 60
    _, frames = said(levels, sliding=sliding)
    assert [frame.values is None for frame in frames] == [level is None for level in levels]
    assert {frame.status for frame in frames if frame.box is None} == {"no face"}
    windows, frames = said([None] * 100, sliding=sliding)
    assert windows
    assert all(each.values is None and each.label is None for each in [*windows, *frames])


def test_a_window_of_a_clip_needs_the_faces_that_its_training_needed(said):
    for there, status in ((4, "no face"), (5, "estimate")):
        (window,), _ = said([None] * 25 + [90] * there + [None] * (45 - there), hop=0)
        assert window.status == status


@pytest.mark.parametrize("count", [1, 4, 5, 6, 11, 64, 257])
@pytest.mark.parametrize("width", [1, 13, 41])
@pytest.mark.parametrize("live", [False, True])
def test_a_trial_is_what_evaluation_makes_of_it(said, describe, runtime, crops, count, width, live):
    rng = np.random.default_rng(count)
    levels = [None if 20 <= i < 75 or i == 3 else int(level) for i, level in enumerate(rng.integers(0, 256, count))]
    windows, frames = said(levels, sliding=True, width=width, live=live)
    centres = list(window_centres(count, TRIAL["windows.hop"]))
    assert [round(window.time_s * 25) for window in windows] == centres
    known = [(centre, w.values) for centre, w in zip(centres, windows, strict=True) if w.values is not None]
    if not known:
        assert all(frame.values is None for frame in frames)
        return
    dense = dense_values(np.array([c for c, _ in known]), np.stack([v for _, v in known]), count)
    wanted = Trial("", "", dense, np.arange(count) / 25, dense).smoothed(width / 25) if width > 1 else dense
    assert len(frames) == count
    for frame, level, value in zip(frames, levels, wanted, strict=True):
        assert (frame.values is None) == (level is None)
        assert frame.values is None or frame.values == pytest.approx(value, abs=1e-9)


def test_windows_that_are_computed_together_or_alone_see_the_same_neighbours(said):
    levels = np.random.default_rng(0).integers(0, 256, 400)
    together, alone = (said(levels, sliding=True, live=live)[0] for live in (False, True))
    assert [window.values.tolist() for window in together] == [window.values.tolist() for window in alone]


def test_a_gap_longer_than_the_patience_holds_nobody_up(said):
    levels = [200] * 50 + [None] * 1000 + [20] * 50
    _, frames = said(levels, sliding=True, live=True, width=5)
    assert [frame.index for frame in frames] == list(range(1100))
    assert [frame.values is None for frame in frames] == [level is None for level in levels]


@pytest.mark.parametrize("sliding", [False, True])
def test_results_come_long_before_the_video_ends(describe, runtime, crops, sliding):
    description = describe(sliding=sliding, **(TRIAL if sliding else CLIP))
    read = []

    def watched():
        for crop in crops([100] * 2000):
            read.append(crop.index)
            yield crop

    estimates = stream(watched(), runtime(description), meaning=Meaning(description), live=True)
    first: dict[type, int] = {}
    for estimate in estimates:
        first.setdefault(type(estimate), len(read))
        if isinstance(estimate, FrameEstimate):
            assert len(read) - estimate.index < 60
    assert max(first.values()) < 60


@pytest.mark.parametrize("sliding", [False, True])
def test_memory_does_not_grow_with_the_video(describe, runtime, crops, sliding):
    description = describe(sliding=sliding, **(TRIAL if sliding else CLIP))
    peaks = []
    for count in (500, 2000):
        tracemalloc.start()
        for _ in stream(crops([100] * count), runtime(description), meaning=Meaning(description), width=25):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_classes_that_are_not_probable_enough_are_not_said(said):
    windows, frames = said([160] * 50, meaning={"abstain": 0.7})
    assert [(w.label, w.status) for w in windows] == [(None, "abstained")] * 2
    assert all(each.values is not None and each.abstained for each in [*windows, *frames])
    windows, _ = said([255] * 50, meaning={"abstain": 0.7})
    assert [(w.label, w.status) for w in windows] == [("PA4", "estimate")] * 2


def test_probabilities_are_tempered(said):
    cold, _ = said([200] * 50)
    warm, _ = said([200] * 50, calibration={"temperature": 2.0, "smoothing_s": None, "intervals": None})
    logit = 2 * (200 / 255 * 2 - 1)
    assert cold[0].values[1] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert warm[0].values[1] == pytest.approx(1 / (1 + np.exp(-logit / 2)), abs=1e-6)


def test_intervals_of_frames_stay_in_the_range_of_the_annotation(said):
    calibration = {
        "temperature": None,
        "smoothing_s": 0.0,
        "intervals": {"levels": [0.5, 0.9, 0.99], "half_widths": [[0.1, 0.1], [0.4, 0.3], None]},
    }
    windows, frames = said([230] * 60, sliding=True, calibration=calibration)
    value = 230 / 255 * 2 - 1
    assert frames[5].low == pytest.approx([value - 0.4, -1.0], abs=1e-6)
    assert frames[5].high == pytest.approx([1.0, -value + 0.3], abs=1e-6)
    assert windows[0].low is None
    _, frames = said([230] * 60, sliding=True, calibration=calibration, meaning={"interval": 0.95})
    assert frames[5].low is None
