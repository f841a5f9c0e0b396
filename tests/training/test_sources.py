import numpy as np
import pytest

from pipelines.cache.faces import FaceShardWriter
from pipelines.cache.tables import ClipRow
from pipelines.media.faces import FaceCrop
from pipelines.recipe import ClipWindow
from pipelines.training.sources import PIXEL_MEAN, PIXEL_STD, FrameSource
from pipelines.workspace import Workspace, atomic_path

SIZE = 32
WINDOWS = ClipWindow(start=1.0, stop=3.0, frames=4, samplings=2)


def crops(valid):
    """One frame every 0.1 s whose grey level is its own number."""
    for index, there in enumerate(valid):
        image = np.full((SIZE, SIZE, 3), index, np.uint8) if there else None
        yield FaceCrop(index=index, time_s=index / 10, box=(0.0, 0.0, 9.0, 9.0) if there else None, image=image)


@pytest.fixture
def source(tmp_path):
    """Clips of 40 frames: all there, a face until 1.5 s, a face after the window, none in it."""
    workspace = Workspace(tmp_path)
    clips = {"whole": [True] * 40, "half": [i < 15 for i in range(40)], "late": [i >= 30 for i in range(40)]}
    with (
        atomic_path(workspace.shard("faces", "s")) as path,
        FaceShardWriter(path, size=SIZE, storage="raw") as writer,
    ):
        for name, valid in clips.items():
            writer.add(name, crops(valid))
    return FrameSource(workspace, WINDOWS)


def row(clip, coverage=1.0):
    return ClipRow(clip, "s", 0, "BL1", {}, {"faces": coverage})


def drawn(source, clip, rng=None):
    """The frame numbers that were read, told by their grey levels."""
    values = source.read(row(clip), rng)
    assert values.shape == (3, 4, SIZE, SIZE)
    assert values.dtype == np.float32
    grey = (values * PIXEL_STD[:, None, None, None] + PIXEL_MEAN[:, None, None, None]) * 255
    return np.round(grey[:, :, 0, 0]).astype(int)


def test_regular_sampling_takes_the_middle_of_each_segment_of_the_window(source):
    assert (drawn(source, "whole") == [12, 17, 22, 27]).all()


def test_jittered_sampling_stays_in_its_segments_and_repeats_by_seed(source):
    frames = np.stack([drawn(source, "whole", np.random.default_rng(seed))[0] for seed in range(50)])
    assert (frames.min(0) >= [10, 15, 20, 25]).all()
    assert (frames.max(0) < [15, 20, 25, 30]).all()
    assert len(np.unique(frames[:, 0])) == 5
    assert (drawn(source, "whole", np.random.default_rng(3)) == drawn(source, "whole", np.random.default_rng(3))).all()


def test_frames_without_a_face_are_never_drawn(source):
    frames = [drawn(source, "half", np.random.default_rng(seed)) for seed in range(20)]
    assert np.stack(frames).max() < 15
    assert np.stack(frames).min() >= 10


def test_a_clip_without_a_face_in_its_window_is_not_usable(source):
    assert source.is_usable(row("whole"))
    assert source.is_usable(row("half"))
    assert not source.is_usable(row("late"))
    assert not source.is_usable(row("whole", coverage=0.0)), "a recorded failure is not used"
