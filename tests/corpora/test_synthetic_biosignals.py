import numpy as np
import pytest
from scipy.signal import find_peaks
from sklearn.metrics import roc_auc_score

from pipelines.corpora.synthetic_biosignals import COLUMNS, RATE, simulate, to_csv
from pipelines.corpora.synthetic_truth import ACTIONS, draw_course, draw_subjects, stream

SECONDS = 5.5


def signals_of(subject, class_id, number, part="A"):
    course = draw_course(stream(0, subject.index, class_id, number, 0), subject, "BL1" if class_id == 0 else "PA4", 5.5)
    rng = stream(0, subject.index, class_id, number, 1)
    return course, simulate(rng, subject, course, seed=0, seconds=SECONDS, part=part)


@pytest.fixture(scope="module")
def clips():
    return [
        (class_id == 4, subject, *signals_of(subject, class_id, number))
        for subject in draw_subjects(0, 20)
        for class_id in (0, 4)
        for number in range(2)
    ]


def separation(clips, measure):
    """Area under the ROC curve of one number a clip; 0.5 is chance."""
    return roc_auc_score([pain for pain, *_ in clips], [measure(*clip[1:]) for clip in clips])


def beats_a_minute(signals):
    ecg = signals[:, COLUMNS.index("ecg")]
    ecg = ecg - np.convolve(ecg, np.ones(RATE // 2) / (RATE // 2), "same")
    beats = np.flatnonzero(np.diff((ecg > 0.55 * ecg.max()).astype(int)) == 1)
    gaps = np.diff(beats)
    return 60 * RATE / np.median(gaps[gaps > 0.3 * RATE])


def test_shape_and_units(clips):
    for _, subject, _, signals in clips:
        assert signals.shape == (2816, 6)
        assert np.array_equal(signals[:, 0], np.round(np.arange(2816) / 512 * 1e6))
        assert np.isfinite(signals).all()
        assert 0.5 < signals[:, 1].mean() < 20
        assert 300 < np.ptp(signals[:, 2]) < 4000
        assert 1 < signals[:, 3].std() < 100
        assert abs(beats_a_minute(signals) / subject.heart_rate - 1) < 0.5


def test_each_signal_follows_the_pain_and_eda_more_faithfully_than_the_face(clips):
    late = slice(3 * RATE, None)
    times = np.arange(138) / 25
    eda = separation(clips, lambda subject, course, x: x[late, 1].max() - x[:RATE, 1].mean())
    ecg = separation(clips, lambda subject, course, x: beats_a_minute(x[late]) / subject.heart_rate)
    emg = separation(clips, lambda subject, course, x: x[late, 3].std() / x[:RATE, 3].std())
    face = separation(
        clips, lambda subject, course, x: course.actions(times, subject.pattern)[50:, : ACTIONS.index("open")].mean()
    )
    assert eda > 0.9
    assert ecg > 0.7
    assert emg > 0.7
    assert 0.65 < face < eda - 0.03


def test_the_skin_responds_a_second_after_the_pain(clips):
    for pain, _, course, signals in clips:
        if pain and course.felt > 0.8:
            eda = signals[:, 1]
            before = eda[: round((course.onset + 1.0) * RATE)]
            assert eda.max() > before.max() + 0.1 or np.ptp(before) > 0.1


def test_facial_emg_means_something_in_part_b_only():
    subject = max(draw_subjects(0, 20), key=lambda subject: subject.expressiveness)
    corrugator = COLUMNS.index("emg_corrugator")
    rises = {}
    for part in "AB":
        course, signals = signals_of(subject, 4, 0, part)
        rises[part] = signals[-RATE:, corrugator].std() / signals[: RATE // 2, corrugator].std()
    assert course.shown > 0.4
    assert 0.8 < rises["A"] < 1.2
    assert rises["B"] > 2


def test_the_csv_reads_back(clips):
    lines = to_csv(clips[0][3]).splitlines()
    assert lines[0].split("\t") == list(COLUMNS)
    assert np.allclose([[float(cell) for cell in line.split("\t")] for line in lines[1:]], clips[0][3], atol=0.006)


def test_no_clip_holds_a_seam_between_two_heart_beats():
    """R peaks of a resting heart are never closer than a third of a second, wherever the clip was cut."""
    subject = draw_subjects(0, 1)[0]
    for number in range(40):
        ecg = signals_of(subject, 4, number)[1][:, COLUMNS.index("ecg")]
        peaks, _ = find_peaks(ecg, height=0.6 * ecg.max(), prominence=0.2 * ecg.max())
        assert np.diff(peaks).min() > RATE / 3
