"""Real face videos with sound, among drawn trials in Aff-Wild2's layout: crop, sound, prediction."""

import csv
import shutil

import numpy as np
import pytest

from pipelines.cache.audio import SILENT, AudioShard
from pipelines.cache.tables import read_clips
from pipelines.corpora.synthetic_affwild2 import render_synthetic_affwild2
from pipelines.media.audio import probe_audio
from pipelines.media.time_stamps import frame_times
from pipelines.recipe import AffWild2Corpus
from pipelines.recipe.loading import override_recipe, plain
from pipelines.stages import run_all
from pipelines.workspace import Workspace

FACE, LEAVES, LATE = "WolfgangLanger_Pexels.mp4", "single_face.mp4", "face_noface.mov"
"""Twenty seconds of one face whose track is digital silence; a face; one that leaves, with sound that starts later."""


@pytest.fixture(scope="module")
def finished(real_data, tiny_affwild2, tmp_path_factory):
    """A workspace of drawn training trials and real test trials, through all five stages."""
    place = tmp_path_factory.mktemp("real")
    render_synthetic_affwild2(tiny_affwild2.corpus)
    shutil.copytree(tiny_affwild2.corpus.root, place / "corpus")
    tables = next((place / "corpus").rglob("Validation_Set"))
    for name in (FACE, LEAVES, LATE):
        shutil.copy(real_data / "faces" / name, place / "corpus" / "batch2" / name)
        # No one has annotated these: slow made-up courses, and a few rows that must not count.
        course = np.sin(np.arange(len(frame_times(real_data / "faces" / name))) / 40)
        rows = [f"{value:.3f},{-value / 2:.3f}" for value in course]
        rows[3:7] = ["-5,-5"] * 4
        (tables / f"{name.partition('.')[0]}.txt").write_text("\n".join(["valence,arousal", *rows]) + "\n")
    corpus = plain(AffWild2Corpus(root=place / "corpus"))
    recipe = override_recipe(tiny_affwild2, corpus=corpus, **{"faces.size": 112, "teachers.cross_fit": 0})
    workspace = Workspace(place / "run")
    run_all(recipe, workspace, workers=2, max_failures=0.2)
    return workspace


def predicted(workspace, method, name):
    with workspace.predictions(0, 0, method).open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["clip"] == name.partition(".")[0]]


def coverage(workspace, name):
    (row,) = [row for row in read_clips(workspace.clips) if row.clip == name.partition(".")[0]]
    return row.coverage


@pytest.mark.parametrize("name", [FACE, LEAVES, LATE])
def test_every_frame_of_a_real_video_is_predicted_from_its_face(finished, real_data, name):
    assert coverage(finished, name)["faces"] > 0.3
    for method in ("none", "mt-pkdot"):
        rows = predicted(finished, method, name)
        assert len(rows) == len(frame_times(real_data / "faces" / name))
        values = np.array([[float(row["score_valence"]), float(row["score_arousal"])] for row in rows])
        assert np.abs(values).max() <= 1
        assert [row["target_valence"] == "" for row in rows[:8]] == [3 <= i < 7 for i in range(8)]


def test_one_face_is_found_in_every_frame_of_its_video(finished):
    assert coverage(finished, FACE)["faces"] > 0.98


def test_digital_silence_is_no_sound(finished):
    shard = AudioShard(finished.shard("audio", FACE.partition(".")[0]))
    assert shard.reason == SILENT
    assert coverage(finished, FACE)["audio"] == 0
    assert not predicted(finished, "teacher:audio", FACE)


@pytest.mark.parametrize("name", [LEAVES, LATE])
def test_real_sound_is_heard_where_its_time_stamps_put_it(finished, real_data, name):
    info = probe_audio(real_data / "faces" / name)
    assert info is not None
    shard = AudioShard(finished.shard("audio", name.partition(".")[0]))
    assert shard.span is not None
    assert shard.span[0] == pytest.approx(info.start_s, abs=0.05)
    times = frame_times(real_data / "faces" / name)
    share = ((times >= shard.span[0]) & (times < shard.span[1])).mean()
    assert coverage(finished, name)["audio"] == pytest.approx(share, abs=0.02)
    assert predicted(finished, "teacher:audio", name)
