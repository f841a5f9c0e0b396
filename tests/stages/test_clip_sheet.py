"""What is read of a clip for its sheet, from shards written by hand."""

import numpy as np
import pytest

from pipelines.cache.annotations import Annotation, write_annotations
from pipelines.cache.audio import AudioShardWriter
from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.cache.faces import FaceShard, FaceShardWriter
from pipelines.cache.tables import ClipRow, read_clips, read_failures, write_clips
from pipelines.errors import MissingArtifact, MtpkdError, SettingsError
from pipelines.media.audio import SoundBlock
from pipelines.media.faces import FaceCrop
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.reporting.sheet_content import AnnotationPanel, FacesPanel, MissingPanel, SoundPanel, WavePanel
from pipelines.stages.cached_clip import MOST_CROPS, CachedClip
from pipelines.stages.clip_sheet import inspect_clip
from pipelines.workspace import Workspace, write_csv

HEADER = ("clip", "modality", "file", "reason")
BIOVID = override_recipe(load_recipe("biovid"), **{"faces.size": 32, "biosignals.seconds": 2.0})
RATES = {"eda": 32, "ecg": 256, "emg": 512}
FIRST, SECOND = "s-BL1-001", "s-PA4-002"


def write_faces(path, clips):
    """clip -> (n,) whether a frame shows a face, 25 a second; each crop has its frame's number as its colour."""
    path.parent.mkdir(parents=True)
    with FaceShardWriter(path, size=32, storage="raw") as writer:
        for clip, valid in clips.items():
            images = [np.full((32, 32, 3), n % 256, np.uint8) if seen else None for n, seen in enumerate(valid)]
            writer.add(clip, [FaceCrop(n, n / 25, None, image) for n, image in enumerate(images)])


@pytest.fixture
def biovid(tmp_path):
    """Two clips of 2 s: of the first no ECG and every fifth frame lost; of the second no biosignals, hardly a face."""
    workspace = Workspace(tmp_path / "w")
    write_faces(workspace.shard("faces", "s"), {FIRST: np.arange(50) % 5 > 0, SECOND: np.arange(50) == 7})
    arrays = {}
    for name, rate in RATES.items():
        valid = np.ones((1, 2 * rate), bool)
        valid[0, : rate // 2] = False
        arrays[name] = ChannelArrays(
            present=np.array([name != "ecg"]),
            wave=np.where(valid, np.arange(2 * rate, dtype=np.float32), 0),
            valid=valid,
            features=np.array([[1.5, np.nan]], np.float32),
            feature_names=("level", "slope"),
        )
    path = workspace.shard("biosignals", "s")
    path.parent.mkdir(parents=True)
    write_channels(path, [FIRST], arrays)
    shares = ({"faces": 0.8, "eda": 0.75, "ecg": 0.0, "emg": 0.75}, dict.fromkeys(("faces", "eda", "ecg", "emg"), 0.0))
    rows = [ClipRow(FIRST, "s", 0, "BL1", {"sex": "w"}, shares[0]), ClipRow(SECOND, "s", 1, "PA4", {}, shares[1])]
    write_clips(workspace.clips, rows)
    failures = [
        (FIRST, "ecg", "a_bio.csv", "flat line at 3.0"),
        (SECOND, "biosignals", "b_bio.csv", "file does not exist"),
        (SECOND, "faces", "b.mp4", "a face in only 1 of its 50 frames"),
    ]
    write_csv(workspace.failures, HEADER, failures)
    return workspace


def cached(workspace, name, recipe=BIOVID):
    (row,) = [row for row in read_clips(workspace.clips) if row.clip == name]
    return CachedClip(recipe, workspace, row, [one for one in read_failures(workspace.failures) if one.clip == name])


def test_crops_are_spread_over_the_clip_and_frames_without_a_face_have_none(biovid):
    panel = cached(biovid, FIRST).panel("faces", (0.0, 2.0))
    assert isinstance(panel, FacesPanel)
    assert len(panel.shown) == MOST_CROPS
    assert (panel.shown[0], panel.shown[-1]) == (1, 48)
    assert set(np.diff(panel.shown)) <= {2, 3}
    assert set(panel.crops) == {int(frame) for frame in panel.shown if frame % 5}
    assert all((crop == frame).all() for frame, crop in panel.crops.items())
    assert panel.valid.tolist() == (np.arange(50) % 5 > 0).tolist()


def test_a_stretch_has_its_own_frames_and_samples(biovid):
    clip = cached(biovid, FIRST)
    faces = clip.panel("faces", (1.0, 1.2))
    assert isinstance(faces, FacesPanel)
    assert faces.times.tolist() == pytest.approx([1.0, 1.04, 1.08, 1.12, 1.16])
    assert {frame: int(crop[0, 0, 0]) for frame, crop in faces.crops.items()} == {1: 26, 2: 27, 3: 28, 4: 29}
    eda = clip.panel("eda", (1.0, 1.25))
    assert isinstance(eda, WavePanel)
    assert eda.values.tolist() == list(range(32, 40))


def test_only_the_crops_that_are_shown_are_decoded(biovid, monkeypatch):
    read = []
    whole = FaceShard.read
    monkeypatch.setattr(
        FaceShard, "read", lambda shard, clip, frames: read.extend(frames) or whole(shard, clip, frames)
    )
    cached(biovid, FIRST).panel("faces", (0.0, 2.0))
    assert len(read) <= MOST_CROPS


def test_waves_have_units_masks_and_what_was_measured(biovid):
    eda = cached(biovid, FIRST).panel("eda", (0.0, 2.0))
    assert isinstance(eda, WavePanel)
    assert (eda.unit, len(eda.values), eda.valid.sum()) == ("µS", 64, 48)
    assert eda.times[-1] == pytest.approx(2 - 1 / 32)
    assert eda.features["level"] == 1.5
    assert np.isnan(eda.features["slope"])


def test_what_is_missing_says_why_in_the_words_of_the_table(biovid):
    ecg = cached(biovid, FIRST).panel("ecg", (0.0, 2.0))
    emg = cached(biovid, SECOND).panel("emg", (0.0, 2.0))
    assert isinstance(ecg, MissingPanel)
    assert isinstance(emg, MissingPanel)
    assert (ecg.reason, emg.reason) == ("flat line at 3.0", "file does not exist")


def test_frames_that_do_not_suffice_are_shown_and_said_to_count_as_missing(biovid):
    panel = cached(biovid, SECOND).panel("faces", (0.0, 2.0))
    assert isinstance(panel, FacesPanel)
    assert panel.notes == ("counts as missing: a face in only 1 of its 50 frames",)
    assert panel.valid.sum() == 1


def test_a_part_that_was_not_preprocessed_names_the_command(biovid):
    biovid.shard("biosignals", "s").unlink()
    panel = cached(biovid, FIRST).panel("eda", (0.0, 2.0))
    assert isinstance(panel, MissingPanel)
    assert f"`mtpkd preprocess biovid --only biosignals --workspace {biovid.root}`" in panel.reason


def test_waves_of_another_recipe_are_refused(biovid):
    recipe = override_recipe(BIOVID, **{"biosignals.eda_rate": 16.0})
    with pytest.raises(
        MtpkdError, match=r"s\.h5: eda has 64 samples, not 2 s at 16 Hz as in the recipe: run `mtpkd pre"
    ):
        cached(biovid, FIRST, recipe).panel("eda", (0.0, 2.0))


def test_the_sheet_lies_in_the_workspace_or_where_it_is_wanted(biovid, tmp_path):
    done = inspect_clip(BIOVID, biovid, FIRST)
    assert done.path == biovid.root / "inspect" / f"{FIRST}.png"
    assert done.coverage == "faces 80.0 %   eda 75.0 %   ecg missing   emg 75.0 %"
    again = inspect_clip(BIOVID, biovid, FIRST, output=tmp_path / "other.png")
    assert done.path.read_bytes() == again.path.read_bytes()
    part = inspect_clip(BIOVID, biovid, FIRST, output=tmp_path / "part.png", start_s=0.5, stop_s=1.0)
    assert part.path.read_bytes() != done.path.read_bytes()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("s-BL1-01", "did you mean s-BL1-001"), ("pa4", "did you mean s-PA4-002?"), ("zz", "all 2 are listed in")],
)
def test_a_clip_that_does_not_exist_names_those_like_it(biovid, name, hint):
    with pytest.raises(SettingsError) as caught:
        inspect_clip(BIOVID, biovid, name)
    assert f"has no clip '{name}': {hint}" in str(caught.value)


@pytest.mark.parametrize(
    ("stretch", "asked"),
    [((3.0, None), "--from 3:"), ((1.0, 1.0), "--from 1 --to 1:"), ((None, 0.0), "--to 0:")],
)
def test_a_stretch_outside_the_clip_is_refused(biovid, stretch, asked):
    with pytest.raises(SettingsError, match=rf"^{asked} {FIRST} lasts from 0 to 2\.00 s"):
        inspect_clip(BIOVID, biovid, FIRST, start_s=stretch[0], stop_s=stretch[1])


def test_a_sheet_is_a_png(biovid, tmp_path):
    with pytest.raises(SettingsError, match=r"a\.pdf: a contact sheet is a \.png"):
        inspect_clip(BIOVID, biovid, FIRST, output=tmp_path / "a.pdf")


def test_before_preprocessing_the_command_is_named(tmp_path):
    with pytest.raises(MissingArtifact, match="run `mtpkd preprocess biovid"):
        inspect_clip(BIOVID, Workspace(tmp_path), FIRST)


AFFWILD2 = override_recipe(load_recipe("affwild2"), **{"faces.size": 32})


@pytest.fixture
def affwild2(tmp_path):
    """A video of 4 s, its sound from .5 to 3.5 s with a gap, its right trial without a usable annotation file."""
    workspace = Workspace(tmp_path / "w")
    write_faces(workspace.shard("faces", "v"), {"v": np.arange(100) < 60})
    for kind in ("annotations", "audio"):
        workspace.shard(kind, "v").parent.mkdir()
    values = np.full((100, 2), 0.5)
    values[20:30] = np.nan
    write_annotations(workspace.shard("annotations", "v"), {"v": Annotation(values, np.arange(100) / 25)})
    sound = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    with AudioShardWriter(workspace.shard("audio", "v"), AFFWILD2.audio) as writer:
        for second in range(3):
            writer.add(SoundBlock(0.5 + second, sound, is_gap=second == 1))
    rows = [
        ClipRow("v", "v", None, "", {"annotated": "90"}, {"faces": 0.6, "audio": 0.7}),
        ClipRow("v_right", "v", None, "", {}, {"faces": 0.0, "audio": 0.0}),
    ]
    write_clips(workspace.clips, rows)
    failures = [("v", "annotations", f"v.txt:{n}", f"line {n} is no number") for n in range(5)]
    write_csv(workspace.failures, HEADER, [*failures, ("v_right", "annotations", "r.txt", "the file is empty")])
    return workspace


def test_annotations_and_sound_stand_on_the_axis_of_the_video(affwild2):
    clip = cached(affwild2, "v", AFFWILD2)
    assert clip.parts == ("faces", "audio", "annotations")
    assert [clip.extent(part) for part in clip.parts] == [pytest.approx(x) for x in ((0, 4), (0.5, 3.5), (0, 4))]
    audio, labels = clip.panel("audio", (0.0, 4.0)), clip.panel("annotations", (0.0, 4.0))
    assert isinstance(audio, SoundPanel)
    assert isinstance(labels, AnnotationPanel)
    assert (audio.start_s, audio.stop_s) == pytest.approx((0.5, 3.5), abs=0.02)
    assert audio.gaps == pytest.approx(np.array([[1.5, 2.5]]))
    assert len(audio.frequencies) == audio.decibels.shape[1] == AFFWILD2.audio.mels
    assert list(labels.values) == ["valence", "arousal"]
    assert np.flatnonzero(np.isnan(labels.values["arousal"])).tolist() == list(range(20, 30))


def test_many_notes_of_one_part_are_counted(affwild2):
    notes = cached(affwild2, "v", AFFWILD2).panel("annotations", (0.0, 4.0)).notes
    assert notes == ("line 0 is no number", "line 1 is no number", f"and 3 more in {affwild2.failures}")


def test_a_trial_without_annotations_has_nothing_and_says_so(affwild2):
    clip = cached(affwild2, "v_right", AFFWILD2)
    faces, labels = clip.panel("faces", (0.0, 4.0)), clip.panel("annotations", (0.0, 4.0))
    assert isinstance(faces, MissingPanel)
    assert isinstance(labels, MissingPanel)
    assert faces.reason == "its annotations cannot be used: the file is empty"
    assert labels.reason == "the file is empty"
    assert inspect_clip(AFFWILD2, affwild2, "v_right").coverage == "faces missing   audio missing"
