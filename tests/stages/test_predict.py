"""`mtpkd predict` behind the command line: equal to evaluation, and what happens to several videos and their faults."""

import csv
import dataclasses
import json
import os

import numpy as np
import pytest

from pipelines.cache.predictions import read_predictions
from pipelines.errors import SettingsError
from pipelines.inference.student import load_student
from pipelines.media.video import probe, read_frames
from pipelines.recipe import Task
from pipelines.stages import prediction as evaluation
from pipelines.stages.cells import load_cells
from pipelines.stages.networks import embed_modality
from pipelines.stages.predict import Outputs, find_videos, run
from pipelines.training.checkpoints import load_checkpoint
from pipelines.training.dense import Trial, dense_values
from pipelines.training.samples import make_samples


@pytest.fixture
def student(finished):
    return load_student(finished.root)


@pytest.fixture
def videos(crossed_recipe):
    return sorted(crossed_recipe.corpus.root.rglob("*.mp4"))


def test_a_clip_is_predicted_as_in_evaluation(finished, student, videos):
    task = Task.model_validate(student.description.schema["task"])
    tested = read_predictions(finished.predictions(0, 0, "mt-pkdot"), task)
    for clip, scores in list(zip(tested.clips, tested.scores, strict=True))[:3]:
        (video,) = [path for path in videos if path.stem == clip]
        start = student.description.windows.start
        for hop in (0, 0.3):
            windows = student.predict(video, hop=hop).windows
            (trained,) = [window for window in windows if window.start_s == pytest.approx(start)]
            assert trained.values == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 1.0])
@pytest.mark.parametrize("clip", ["5-30-200x150", "7-25-200x150"])
def test_a_trial_is_predicted_as_in_evaluation(continuous, tiny_affwild2, clip, smoothing):
    (cell,) = load_cells(tiny_affwild2, continuous)
    path = continuous.student(0, 0, "mt-pkdot")
    checkpoint, student = load_checkpoint(path), load_student(path)
    calibration = {"temperature": None, "smoothing_s": smoothing, "intervals": None}
    schema = {**student.description.schema, "calibration": calibration}
    student.runtime.description = dataclasses.replace(student.description, schema=schema)

    rows = make_samples(cell.clips_of([clip]), continuous, tiny_affwild2.windows)
    column = embed_modality(cell, checkpoint, "faces", rows, prefix="encoders.faces")
    outputs, present = evaluation.predict(cell, "mt-pkdot", [checkpoint], {"faces": column}, rows)
    (video,) = tiny_affwild2.corpus.root.rglob(f"{clip}.*4")
    times = np.array([frame.time_s for frame in read_frames(video)])
    centres = np.array([row.frame for row in rows])
    assert len(range(tiny_affwild2.windows.hop // 2, len(times), tiny_affwild2.windows.hop)) == len(centres)
    dense = dense_values(centres[present], outputs[present], len(times))
    wanted = Trial(clip, clip, dense, times, dense).smoothed(smoothing)

    prediction = student.predict(video)
    assert [window.values is not None for window in prediction.windows] == present.tolist()
    assert {frame.status for frame in prediction.frames} == {"estimate", "no face"}
    for frame in prediction.frames:
        assert frame.values is None or frame.values == pytest.approx(wanted[frame.index], abs=1e-5)


def test_tables_have_their_columns(student, videos, tmp_path):
    items = find_videos([str(videos[0])], keep=False)
    assert run(student, items, Outputs(file=tmp_path / "w.csv"), report=lambda _: None) == []
    (window,) = csv.DictReader((tmp_path / "w.csv").open())
    header = "video,window,start_s,stop_s,faces,partial,status,label,p_BL1,p_PA4"
    assert ",".join(window) == header
    assert (window["video"], window["window"], window["start_s"], window["partial"]) == (
        str(videos[0]),
        "0",
        "0.2",
        "0",
    )
    assert float(window["p_BL1"]) + float(window["p_PA4"]) == pytest.approx(1, abs=1e-5)
    outputs = Outputs(file=tmp_path / "f.jsonl", form="jsonl", per="frame", abstain=0.999)
    run(student, items, outputs, report=lambda _: None)
    frames = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert ",".join(frames[0]) == "video,frame,time_s,x0,y0,x1,y1,status,label,p_BL1,p_PA4"
    assert [frame["frame"] for frame in frames] == list(range(len(frames)))
    assert {(frame["status"], frame["label"]) for frame in frames} <= {("abstained", None), ("no window", None)}


def test_a_broken_video_stops_nobody_else(student, videos, tmp_path):
    folder = tmp_path / "videos" / "inner"
    folder.mkdir(parents=True)
    for number, video in enumerate(videos[:2]):
        (folder / f"{number}.mp4").write_bytes(video.read_bytes())
    (folder / "0b.mp4").write_bytes(videos[0].read_bytes()[:3000])
    (folder / "notes.txt").touch()
    summaries = []
    items = find_videos([str(tmp_path / "videos"), str(tmp_path / "missing.mp4")], keep=False)
    outputs = Outputs(file=tmp_path / "t.csv", plot=tmp_path / "plots")
    faults = run(student, items, outputs, report=summaries.append)
    assert [summary.video for summary in summaries] == [str(folder / "0.mp4"), str(folder / "1.mp4")]
    assert ["0b.mp4" in faults[0], "missing.mp4" in faults[1], len(faults)] == [True, True, 2]
    assert len(list(csv.DictReader((tmp_path / "t.csv").open()))) == 2
    assert sorted(path.name for path in (tmp_path / "plots" / "inner").iterdir()) == ["0.png", "1.png"]


def test_an_overlaid_video_has_every_frame_and_shows_the_face(student, videos, tmp_path):
    target = tmp_path / "out.mp4"
    run(student, find_videos([str(videos[0])], keep=True), Outputs(file=tmp_path / "t", overlay=target), report=print)
    before = [frame.rgb() for frame in read_frames(videos[0])]
    after = [frame.rgb() for frame in read_frames(target)]
    assert len(after) == len(before)
    height, width = before[0].shape[:2]
    assert after[0].shape[1] == width
    assert after[0].shape[0] > height
    box = student.predict(videos[0]).frames[10].box
    changed = np.abs(after[10][:height].astype(int) - before[10]).max(axis=2)
    x0, y0, x1, y1 = (round(edge) for edge in box)
    assert np.median(changed[y1, x0:x1]) > 60
    assert np.median(changed[(y0 + y1) // 2, x0 + 8 : x1 - 8]) < 30
    assert probe(target).rate == pytest.approx(probe(videos[0]).rate)


def test_who_stops_reading_the_table_still_gets_the_overlay(student, videos, tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr("sys.stdout", gone)
        items, summaries = find_videos([str(path) for path in videos[:2]], keep=False), []
        run(student, items, Outputs(overlay=tmp_path / "overlays"), report=summaries.append)
    assert len(summaries) == len(list((tmp_path / "overlays").iterdir())) == 2


def test_outputs_that_cannot_be_meant_are_refused(student, videos, tmp_path):
    two = find_videos([str(path) for path in videos[:2]], keep=False)
    with pytest.raises(SettingsError, match="2 videos need a folder"):
        run(student, two, Outputs(overlay=tmp_path / "out.mp4"), report=print)
    own = two[0].source.path
    before = own.read_bytes()
    for outputs in (Outputs(overlay=own), Outputs(file=own), Outputs(overlay=own.parent)):
        with pytest.raises(SettingsError, match="is a video that is read"):
            run(student, two[:1], outputs, report=print)
    assert own.read_bytes() == before
    with pytest.raises(SettingsError, match="there is no folder"):
        run(student, two[:1], Outputs(plot=tmp_path / "a" / "out.png"), report=print)
    with pytest.raises(SettingsError, match="cannot be written"):
        run(student, two, Outputs(file=tmp_path / "a" / "out.csv"), report=print)
    with pytest.raises(SettingsError, match="there is no video below"):
        find_videos([str(tmp_path)], keep=False)
    with pytest.raises(SettingsError, match="no camera is named"):
        find_videos([str(videos[0])], seconds=3, keep=False)
