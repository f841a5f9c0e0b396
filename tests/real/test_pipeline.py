"""Real faces and real biosignals, written out in BioVid's layout, through all five stages."""

import csv

import cv2
import numpy as np
import pytest

from pipelines.cache.tables import read_clips
from pipelines.errors import TooManyFailures
from pipelines.media.video import probe, read_frames, write_video
from pipelines.recipe import BioVidCorpus
from pipelines.recipe.loading import override_recipe, plain
from pipelines.stages import align, distill, evaluate, preprocess, train_teachers
from pipelines.workspace import Workspace

SUBJECTS = ("071309_w_21", "072414_m_23", "080209_w_26", "081617_m_27", "092808_m_51", "100117_w_36")
LEAVES, FACELESS = f"{SUBJECTS[0]}-BL1-001", f"{SUBJECTS[1]}-PA4-001"
SECONDS, RATE = 5.5, 512


def cut_video(source, target, start=0.0, width=480):
    """5.5 s of a video at BioVid's 25 frames a second; a shorter one starts again."""
    info = probe(source)
    frames, offset = [], start % info.duration_s
    while len(frames) < round(SECONDS * 25):
        shown = [frame for frame in read_frames(source) if frame.time_s >= offset]
        step = info.rate / 25
        frames += [shown[int(i * step)].rgb() for i in range(int(len(shown) / step))]
        offset = 0.0
    height = round(info.height * width / info.width / 2) * 2
    small = [cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA) for rgb in frames]
    target.parent.mkdir(parents=True, exist_ok=True)
    write_video(target, iter(small[: round(SECONDS * 25)]), 25)


def signals(folder):
    """EDA, ECG and EMG at 512 Hz: ADC counts of BioSPPy's examples."""
    from scipy.signal import resample_poly

    def read(name):
        return resample_poly(np.loadtxt(folder / f"biosppy_{name}.txt", comments="#"), 64, 125)

    return read("eda") / 100, read("ecg"), read("emg")


def write_signals(target, recorded, offset):
    length = round(SECONDS * RATE)
    part = [np.roll(wave, -offset % len(wave))[:length] for wave in recorded]
    time = np.arange(length) * 1e6 / RATE
    columns = [time, part[0], part[1], part[2], part[2], part[2]]
    target.parent.mkdir(parents=True, exist_ok=True)
    header = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    np.savetxt(target, np.stack(columns, 1), fmt="%.6g", delimiter="\t", header=header, comments="")


@pytest.fixture(scope="module")
def corpus(real_data, tmp_path_factory):
    """Six subjects with two clips a class; one face leaves half way, one clip shows none."""
    part = tmp_path_factory.mktemp("real") / "PartA"
    recorded = signals(real_data / "biosignals")
    rows = ["subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"]
    faces = [real_data / "faces" / name for name in ("WolfgangLanger_Pexels.mp4", "single_face.mp4")]
    for number, subject in enumerate(SUBJECTS):
        for index, label in enumerate(("BL1", "BL1", "PA4", "PA4")):
            name = f"{subject}-{label}-{index % 2 + 1:03d}"
            rows.append(f"{number + 1}\t{subject}\t{0 if label == 'BL1' else 4}\t{label}\t{len(rows)}\t{name}")
            video = part / "video" / subject / f"{name}.mp4"
            if name == LEAVES:
                cut_video(real_data / "faces" / "face_noface.mov", video)
            elif name == FACELESS:
                cut_video(real_data / "faces" / "no_face.mp4", video)
            else:
                cut_video(faces[(number + index) % 2], video, start=float(number + index))
            write_signals(part / "biosignals_raw" / subject / f"{name}_bio.csv", recorded, 977 * len(rows))
    (part / "starting_point").mkdir()
    (part / "starting_point" / "samples.csv").write_text("\n".join(rows) + "\n")
    return part.parent


@pytest.fixture(scope="module")
def finished(corpus, tiny_recipe, tmp_path_factory):
    changes = {"biosignals.seconds": SECONDS, "windows.start": 0.0, "windows.stop": SECONDS, "windows.frames": 6}
    recipe = override_recipe(tiny_recipe, corpus=plain(BioVidCorpus(root=corpus)), **changes)
    workspace = Workspace(tmp_path_factory.mktemp("runs") / "real")
    with pytest.raises(TooManyFailures, match=r"1 of 24 clips failed \(4\.2 %\)"):
        preprocess.run(recipe, workspace, workers=2, max_failures=0.04)
    for stage in (train_teachers, align, distill, evaluate):
        stage.run(recipe, workspace, workers=2)
    return workspace


def test_faces_that_are_there_are_found(finished):
    rows = {row.clip: row for row in read_clips(finished.clips)}
    whole = [row.coverage["faces"] for name, row in rows.items() if name not in (LEAVES, FACELESS)]
    assert len(whole) == 22
    assert min(whole) > 0.95


def test_the_face_that_leaves_half_way_is_masked_half_way(finished):
    (row,) = [row for row in read_clips(finished.clips) if row.clip == LEAVES]
    assert 0.35 < row.coverage["faces"] < 0.65


def test_the_clip_without_a_face_fails_with_that_reason(finished):
    with finished.failures.open() as stream:
        (failure,) = list(csv.DictReader(stream))
    assert (failure["clip"], failure["modality"]) == (FACELESS, "faces")
    assert failure["reason"] == "no face found in any of its 138 frames"


def test_real_signals_are_usable_throughout(finished):
    for row in read_clips(finished.clips):
        assert min(row.coverage[name] for name in ("eda", "ecg", "emg")) == 1.0


def test_every_method_predicts_every_clip_with_a_face(finished):
    files = list((finished.root / "predictions").glob("mt-pkdot.*.csv"))
    clips = [row["clip"] for path in files for row in csv.DictReader(path.open())]
    assert len(clips) == 23
    assert FACELESS not in clips
    assert finished.results(".json").exists()
