import numpy as np
import pytest

from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.cache.faces import FaceShardWriter
from pipelines.media.faces import FaceCrop
from pipelines.media.sampling import PIXEL_MEAN, PIXEL_STD
from pipelines.recipe import ClipWindow, SlidingWindows
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.training.samples import Sample
from pipelines.training.sources import (
    AudioSource,
    ChannelSource,
    ClipFaceSource,
    WindowFaceSource,
    make_source,
    placement_keys,
)
from pipelines.workspace import Workspace, atomic_path

SIZE = 32
WINDOWS = ClipWindow(start=1.0, stop=3.0, frames=4, samplings=2)


def crops(valid):
    """One frame every 0.1 s whose grey level is its own number."""
    for index, there in enumerate(valid):
        image = np.full((SIZE, SIZE, 3), index, np.uint8) if there else None
        yield FaceCrop(index=index, time_s=index / 10, box=(0.0, 0.0, 9.0, 9.0) if there else None, image=image)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


@pytest.fixture
def source(workspace):
    """Clips of 40 frames: all there, a face until 1.5 s, a face after the window, none in it."""
    clips = {"whole": [True] * 40, "half": [i < 15 for i in range(40)], "late": [i >= 30 for i in range(40)]}
    with (
        atomic_path(workspace.shard("faces", "s")) as path,
        FaceShardWriter(path, size=SIZE, storage="raw") as writer,
    ):
        for name, valid in clips.items():
            writer.add(name, crops(valid))
    return ClipFaceSource(workspace, WINDOWS)


def row(clip, coverage=1.0):
    return Sample(clip, "s", 0, {"faces": coverage})


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


@pytest.fixture
def sliding(source, workspace):
    """The same shard, read in windows of four frames, three frames of the video apart."""
    found = WindowFaceSource(workspace, SlidingWindows(frames=4, stride=3, hop=5))

    def frames(clip, frame, rng=None):
        sample = Sample(clip, "s", (0.0, 0.0), {"faces": 1.0}, frame=frame, time_s=frame / 10)
        if not found.is_usable(sample):
            return None
        grey = found.read(sample, rng) * PIXEL_STD[:, None, None, None] + PIXEL_MEAN[:, None, None, None]
        return np.round(grey[0, :, 0, 0] * 255).astype(int).tolist()

    return frames


def test_a_window_is_centred_on_its_own_frame(sliding):
    assert sliding("whole", 20) == [16, 19, 22, 25]


def test_a_window_at_the_edge_repeats_the_nearest_frames(sliding):
    assert sliding("whole", 1) == [0, 0, 3, 6]
    assert sliding("whole", 39) == [35, 38, 39, 39]


def test_frames_without_a_face_are_replaced_by_the_nearest_of_the_window(sliding):
    assert sliding("half", 14) == [10, 13, 14, 14]
    assert sliding("half", 25) is None, "no face in the whole window"


def test_a_window_beyond_the_video_is_not_usable(sliding):
    assert sliding("whole", 60) is None


def test_a_jittered_window_stays_in_its_stretches(sliding):
    drawn = np.array([sliding("whole", 20, np.random.default_rng(seed)) for seed in range(60)])
    assert (drawn.min(0) >= [14, 17, 20, 23]).all()
    assert (drawn.max(0) <= [17, 20, 23, 26]).all()
    assert len(np.unique(drawn[:, 0])) >= 3


def test_a_channel_lies_in_the_shard_of_its_kind(workspace):
    values = ChannelArrays(present=np.array([True]), features=np.array([[1.0, np.nan]], np.float32))
    with atomic_path(workspace.shard("tests", "s")) as path:
        write_channels(path, ["a"], {"tests": values})
    source = ChannelSource(workspace, kind="tests", channel="tests", view="features")
    assert source.is_usable(Sample("a", "s", 0, {"tests": 0.5}))
    assert not source.is_usable(Sample("a", "s", 0, {"faces": 1.0}))
    np.testing.assert_array_equal(source.read(Sample("a", "s", 0)), [1.0, np.nan])


MANIFEST = {
    "name": "manifest",
    "classes": ["a", "b"],
    "modalities": {
        "face": {"kind": "video", "column": "face"},
        "voice": {"kind": "sound", "column": "voice"},
        "pulse": {"kind": "signal", "column": "pulse", "rate": 64, "seconds": 4},
        "tests": {"kind": "features", "table": "tests.csv"},
    },
}
ENCODERS = {"face": "small-video", "voice": "resnet-18", "pulse": "wave-cnn", "tests": "features-mlp"}


def test_the_kind_of_a_modality_decides_how_it_is_read_and_what_of_the_recipe_that_takes(workspace):
    biovid, affwild2 = load_recipe("demo"), load_recipe("demo-affwild2")
    manifest = override_recipe(
        biovid,
        corpus=MANIFEST,
        prevalent=["face"],
        privileged=["voice", "pulse", "tests"],
        encoders={name: {"architecture": architecture} for name, architecture in ENCODERS.items()},
    )
    expected = [
        (biovid, "faces", ClipFaceSource, "frames", ["windows"]),
        (biovid, "eda", ChannelSource, "wave", []),
        (affwild2, "faces", WindowFaceSource, "frames", ["windows"]),
        (affwild2, "audio", AudioSource, "spectrogram", ["audio.seconds"]),
        (manifest, "face", ClipFaceSource, "frames", ["windows"]),
        (manifest, "voice", ChannelSource, "spectrogram", []),
        (manifest, "pulse", ChannelSource, "wave", []),
        (manifest, "tests", ChannelSource, "features", []),
    ]
    for recipe, modality, kind, view, keys in expected:
        source = make_source(workspace, recipe, modality)
        assert type(source) is kind, modality
        assert source.view == view
        assert source.jitters == (view == "frames")
        assert placement_keys(recipe, modality) == keys
