"""Bad input on disk: each clip fails for itself, with its file and a reason, and takes nothing with it."""

import csv
import multiprocessing
import os
import shutil
import signal
import threading
import time

import numpy as np
import pytest

from pipelines.cache.tables import read_clips
from pipelines.corpora.synthetic import render_synthetic
from pipelines.errors import MtpkdError, SettingsError, TooManyFailures
from pipelines.media.video import read_frames, write_video
from pipelines.recipe import BioVidCorpus
from pipelines.recipe.loading import override_recipe, plain
from pipelines.stages import preprocess
from pipelines.workspace import Workspace, read_sidecar


@pytest.fixture
def corpus(tiny_recipe, tmp_path):
    """A private copy of the tiny corpus, read as BioVid, and its recipe."""
    render_synthetic(tiny_recipe.corpus)
    root = tmp_path / "biovid"
    shutil.copytree(tiny_recipe.corpus.root, root)
    return override_recipe(tiny_recipe, corpus=plain(BioVidCorpus(root=root)))


def files(recipe):
    videos = sorted(recipe.corpus.root.rglob("*.mp4"))
    return videos, [next(recipe.corpus.root.rglob(f"{video.stem}_bio.csv")) for video in videos]


def failures(workspace):
    with workspace.failures.open(newline="") as stream:
        return {(row["clip"], row["modality"]): row for row in csv.DictReader(stream)}


def edit(path, change):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


def column(lines, name, value):
    header = [part.strip() for part in lines[0].split("\t")]
    index = header.index(name)
    rows = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(rows):
        row[index] = value(number)
    return [lines[0], *("\t".join(row) for row in rows)]


def test_every_kind_of_bad_clip_is_recorded_and_the_rest_goes_on(corpus, tmp_path):
    videos, tables = files(corpus)
    videos[0].write_bytes(videos[0].read_bytes()[:3000])
    videos[1].unlink()
    videos[2].write_bytes(b"")
    write_video(videos[3], (np.full((120, 160, 3), 90, np.uint8) for _ in range(30)), 25)
    tables[4].write_text("")
    edit(tables[5], lambda lines: lines[:1])
    edit(tables[6], lambda lines: lines[:2])
    edit(tables[7], lambda lines: [line.replace("ecg", "heart") for line in lines])
    edit(tables[8], lambda lines: column(lines, "time", lambda n: str(n * 10_000)))
    edit(tables[9], lambda lines: column(lines, "ecg", lambda n: "NaN"))
    edit(tables[10], lambda lines: column(lines, "gsr", lambda n: "1.5"))
    edit(tables[11], lambda lines: column(lines, "gsr", lambda n: "much"))
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(TooManyFailures, match=r"12 of 24 clips failed \(50\.0 %\)"):
        preprocess.run(corpus, workspace, workers=0)
    found = failures(workspace)
    expected = [
        ("faces", "not a readable video"),
        ("faces", "file does not exist"),
        ("faces", "the file is empty (0 bytes)"),
        ("faces", "no face found in any of its 30 frames"),
        ("biosignals", "empty file"),
        ("biosignals", "0 row(s) of samples"),
        ("biosignals", "1 row(s) of samples"),
        ("biosignals", "no column 'ecg' among"),
        ("biosignals", "sampling rate 100 Hz"),
        ("ecg", "100.0 % of the samples missing"),
        ("eda", "flat line at 1.5"),
        ("biosignals", "line 2, column 'gsr': 'much' is not a number"),
    ]
    for video, (modality, reason) in zip(videos, expected, strict=False):
        row = found.pop((video.stem, modality))
        assert reason in row["reason"], row
        assert row["file"].endswith((".mp4", "_bio.csv"))
    assert not found
    rows = {row.clip: row for row in read_clips(workspace.clips)}
    assert len(rows) == 24
    assert all(rows[video.stem].coverage["faces"] == 0 for video in videos[:4])
    assert all(rows[video.stem].coverage["eda"] == 1 for video in videos[:4]), "a bad video leaves the signals alone"
    assert (rows[videos[9].stem].coverage["ecg"], rows[videos[9].stem].coverage["emg"]) == (0, 1)
    assert all(min(rows[video.stem].coverage.values()) > 0.9 for video in videos[12:])


def test_failures_survive_a_run_that_skips_their_shards(corpus, tmp_path):
    videos, _ = files(corpus)
    videos[0].write_bytes(b"no video")
    workspace = Workspace(tmp_path / "w")
    preprocess.run(corpus, workspace, workers=0)
    before = workspace.failures.read_text(), workspace.clips.read_text()
    workspace.failures.unlink()
    preprocess.run(corpus, workspace, workers=0)
    assert (workspace.failures.read_text(), workspace.clips.read_text()) == before


def test_only_the_shard_of_a_changed_file_is_built_again(corpus, tmp_path):
    workspace = Workspace(tmp_path / "w")
    preprocess.run(corpus, workspace, workers=0)
    videos, _ = files(corpus)
    shards = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*.h5")}
    shutil.copyfile(videos[-1], videos[0])
    preprocess.run(corpus, workspace, workers=0)
    changed = [path for path, time in shards.items() if path.stat().st_mtime_ns != time]
    assert changed == [workspace.shard("faces", videos[0].parent.name)]


def test_a_half_face_is_kept_with_its_mask_and_a_rare_one_is_a_failure(corpus, tmp_path):
    workspace = Workspace(tmp_path / "w")
    strict = override_recipe(corpus, **{"faces.min_coverage": 1.0})
    videos, _ = files(corpus)
    frames = [frame.rgb() for frame in read_frames(videos[0])]
    blank = np.full_like(frames[0], 90)
    write_video(videos[0], iter([*frames[:25], *[blank] * 25]), 25)
    preprocess.run(corpus, workspace, workers=0)
    rows = {row.clip: row.coverage["faces"] for row in read_clips(workspace.clips)}
    assert 0.4 <= rows[videos[0].stem] <= 0.6
    preprocess.run(strict, workspace, only="faces", workers=0)
    assert "less than faces.min_coverage = 1.0" in failures(workspace)[videos[0].stem, "faces"]["reason"]


def test_the_wrong_place_is_refused_before_any_work(tiny_recipe, tmp_path):
    for root in (tmp_path / "absent", tmp_path):
        recipe = override_recipe(tiny_recipe, corpus=plain(BioVidCorpus(root=root)))
        with pytest.raises(SettingsError, match=str(root)):
            preprocess.run(recipe, Workspace(tmp_path / "w"), workers=0)
    assert not (tmp_path / "w").exists()


def test_a_target_that_cannot_be_written_is_named(corpus, tmp_path):
    if os.geteuid() == 0:
        target = "/proc/nowhere"
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        target = str(tmp_path / "locked" / "w")
    with pytest.raises((OSError, MtpkdError)) as caught:
        preprocess.run(corpus, Workspace(type(tmp_path)(target)), workers=0)
    assert target.split("/")[1] in str(caught.value)


def test_sidecars_hold_the_identity_of_every_source(corpus, tmp_path):
    workspace = Workspace(tmp_path / "w")
    preprocess.run(corpus, workspace, only="faces", workers=0)
    videos, _ = files(corpus)
    record = read_sidecar(workspace.shard("faces", videos[0].parent.name))
    assert set(record["inputs"]) == {video.stem for video in videos[0].parent.glob("*.mp4")}
    assert record["recipe"]["faces"]["size"] == 112
    assert not workspace.shard("biosignals", videos[0].parent.name).exists()


def test_a_killed_worker_is_replaced_and_its_shard_made_again(corpus, tmp_path, caplog):
    workspace = Workspace(tmp_path / "w")

    def kill_one():
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(children[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with caplog.at_level("WARNING", "mtpkd"):
        preprocess.run(corpus, workspace, workers=2)
    killer.join()
    assert "a worker process was killed" in caplog.text
    assert len(read_clips(workspace.clips)) == 24
    assert not failures(workspace)
