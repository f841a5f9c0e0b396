"""Loading a student, and what `predict` gives of a whole video."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import pipelines
from pipelines.errors import MissingArtifact, MtpkdError, SettingsError
from pipelines.inference.description import StudentDescription
from pipelines.inference.locating import find_student
from pipelines.inference.prediction import interval_note
from pipelines.inference.student import Student, load_student
from pipelines.media.detectors import Detection
from pipelines.metrics import groups_needed
from pipelines.recipe.loading import render_recipe


def test_the_library_knows_it_by_its_name_and_imports_nothing_for_it():
    assert pipelines.load_student is load_student
    code = "import sys, pipelines; print(sorted(set(sys.modules) & {'torch', 'numpy', 'cv2', 'pydantic'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_everything_but_the_torch_runtime_is_free_of_torch():
    code = (
        "import sys, pipelines.inference.student, pipelines.stages.predict, pipelines.inference.overlay\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_student_is_found_by_its_file_and_by_its_folder(student_file):
    assert find_student(student_file) == find_student(student_file.parent) == student_file
    student = load_student(student_file)
    assert (student.classes, student.labels) == (("BL1", "PA4"), ("BL1", "PA4"))


def test_a_workspace_stands_for_its_headline_method(student_file, tmp_path):
    root = tmp_path / "runs"
    place = root / "fold-0" / "seed-0" / "students"
    (place / "kd").mkdir(parents=True)
    (root / "recipe.yaml").write_text(render_recipe(load_student(student_file).description.recipe))
    with pytest.raises(MissingArtifact, match="mtpkd distill"):
        find_student(root)
    (place / "kd" / "student.safetensors").touch()
    with pytest.raises(MissingArtifact, match=r"kd/student\.safetensors"):
        find_student(root)
    (place / "mt-pkdot").mkdir()
    (place / "mt-pkdot" / "student.safetensors").touch()
    assert find_student(root) == place / "mt-pkdot" / "student.safetensors"


def test_what_is_no_student_is_refused_by_name(student_file, tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        load_student(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="there is no student"):
        load_student(tmp_path / "empty")
    (tmp_path / "broken.safetensors").write_bytes(b"not one")
    with pytest.raises(MtpkdError, match=r"broken\.safetensors"):
        load_student(tmp_path / "broken.safetensors")
    with pytest.raises(SettingsError, match="the onnx runtime cannot read it"):
        load_student(student_file, runtime="onnx")
    with pytest.raises(SettingsError, match="--device tpu"):
        load_student(student_file, device="tpu")


def test_students_that_need_more_than_a_video_are_refused(describe):
    good = json.loads(describe().to_json())
    good["recipe"] |= {"prevalent": ["eda"], "privileged": ["faces", "ecg", "emg"]}
    with pytest.raises(SettingsError, match=r"trained to see eda \(biosignal\)"):
        StudentDescription.from_json(json.dumps(good))


def test_a_description_survives_as_text(describe):
    calibration = {"temperature": 1.7, "smoothing_s": None, "intervals": None, "ece": None}
    description = describe(calibration=calibration)
    assert StudentDescription.from_json(description.to_json()) == description
    assert description.calibration.temperature == 1.7
    for text in ("", "{}", "[1]", '{"recipe": {}, "schema": {}}'):
        with pytest.raises(SettingsError, match="does not describe a student"):
            StudentDescription.from_json(text)


def test_nobody_that_it_was_trained_on_is_named_in_it(student_file):
    from pipelines.training.checkpoints import load_checkpoint

    checkpoint = load_checkpoint(student_file)
    checkpoint.schema["provenance"] = {"weights": ["subject-7"]}
    checkpoint.schema["calibration"] = {"groups": ["subject-7"], "temperature": 1.0}
    checkpoint.schema["encoders"]["faces"]["normaliser"] = {"fitted_on": ["subject-7"]}
    assert "subject-7" not in StudentDescription.of(checkpoint, source="student").to_json()


def test_an_interval_is_that_of_the_least_level_that_is_enough(describe):
    intervals = {"levels": [0.5, 0.8, 0.9], "half_widths": [[0.1], [0.2], None]}
    description = describe(sliding=True, calibration={"intervals": intervals})
    calibration = description.calibration
    assert [calibration.half_width(level) for level in (0.5, 0.6, 0.8)] == [[0.1], [0.2], [0.2]]
    assert calibration.half_width(0.9) is None
    assert calibration.half_width(0.95) is None
    assert [groups_needed(level) for level in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]
    assert "at least 9 validation groups" in interval_note(description, 0.9, per="frame")
    assert interval_note(description, 0.8, per="frame") == ""
    assert "--per frame" in interval_note(description, 0.8, per="window")
    assert "train it again" in interval_note(describe(sliding=True), 0.8, per="frame")


def test_several_faces_are_told_of_once(describe, runtime, crops, fake_source, caplog):
    def seen(found):
        detector = SimpleNamespace(detect=lambda frame, near=None: [Detection((0, 0, 9, 9), 9.0)] * found)
        source = fake_source(lambda: crops([100]))
        frame = SimpleNamespace(time_s=0.5)
        source.crops = lambda settings, given: (crop for crop in crops([100] * 3) if given.detect(frame))
        Student(runtime(describe()), detector=detector).predict(source)
        return [record.getMessage() for record in caplog.records]

    assert seen(1) == []
    assert seen(2) == ["fake: 2 faces at 0.5 s; estimates are of one person, at first the largest face"]


def test_a_prediction_is_a_table_and_a_summary(describe, runtime, crops, fake_source):
    student = Student(runtime(describe(**{"windows.start": 0.0, "windows.stop": 1.0})), detector=object())
    prediction = student.predict(fake_source(lambda: crops([200] * 60 + [None] * 40)), abstain=0.6)
    summary = prediction.summary
    assert (summary.label, summary.windows, summary.estimated, summary.abstained) == ("PA4", 4, 3, 0)
    assert (summary.frames, summary.frames_estimated, summary.seconds) == (100, 60, pytest.approx(4.0))
    assert summary.real_time_factor > 0
    windows, frames = prediction.to_frame(), prediction.to_frame("frame")
    assert windows["label"].tolist()[:3] == ["PA4"] * 3
    assert frames["p_PA4"].notna().sum() == 60


def test_the_torch_runtime_says_nothing_of_absent_windows(student_file):
    runtime = load_student(student_file).runtime
    windows = np.random.default_rng(0).normal(size=(3, 3, 4, 32, 32)).astype(np.float32)
    windows[1] = np.nan
    outputs = runtime(windows, np.array([True, False, True]))
    assert np.isnan(outputs).all(1).tolist() == [False, True, False]
    assert outputs[2] == pytest.approx(runtime(windows[2:], np.array([True]))[0], abs=1e-6)


@pytest.mark.parametrize(
    ("sliding", "options", "message"),
    [
        (True, {"hop": 1.0}, "lie as far apart as it was trained"),
        (True, {"abstain": 0.7}, "only classes have probabilities"),
        (False, {"hop": -1.0}, "hop = -1"),
        (False, {"abstain": 70.0}, "abstain = 70"),
        (False, {"interval": 90.0}, "interval = 90"),
        (False, {"interval": 0.995}, "interval = 0.995"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(describe, runtime, fake_source, crops, sliding, options, message):
    student = Student(runtime(describe(sliding=sliding)), detector=object())
    with pytest.raises(SettingsError, match=message):
        student.predict(fake_source(lambda: crops([1])), **options)
