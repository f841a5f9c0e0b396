import math

import pytest

from pipelines.errors import MtpkdError
from pipelines.reporting.training_record import Gap, read_training_record
from pipelines.workspace import Fingerprint, Recording, write_csv, write_text


@pytest.fixture
def history(tmp_path):
    def write(name, columns, rows):
        path = tmp_path / f"{name}.history.csv"
        write_csv(path, ["epoch", *columns], [[epoch, *row] for epoch, row in enumerate(rows)])
        return path

    return write


@pytest.fixture
def artifact(tmp_path):
    def write(name, **details):
        path = tmp_path / name
        write_text(path, "...")
        Recording(Fingerprint({})).finish(path, **details)
        return path

    return write


def read(histories, aligned=(), hallucination=()):
    return read_training_record(histories, aligned=aligned, hallucination=hallucination)


def test_an_epoch_is_the_mean_of_the_trainings_that_reached_it(history):
    columns = ["chosen/eda", "chosen/joint", "diagonal_mass"]
    long = history("long", columns, [[0.0, 1.0, 0.01], [0.5, 0.5, 0.03], [1.0, 0.0, 0.05]])
    short = history("short", columns, [[0.2, 0.8, 0.03]])
    known = read({"mt-pkdot": [long, short]}).teaching["mt-pkdot"]
    assert known.cells == [2, 1, 1]
    assert known.chosen == {"eda": pytest.approx([0.1, 0.5, 1.0]), "joint": pytest.approx([0.9, 0.5, 0.0])}
    assert known.last == {"eda": pytest.approx(0.6), "joint": pytest.approx(0.4)}
    assert known.diagonal_mass == pytest.approx([0.02, 0.03, 0.05])


def test_a_method_without_a_choice_or_a_transport_has_nothing_to_tell(history):
    record = read(
        {
            "none": [history("none", ["loss"], [[0.5]])],
            "self-kd": [history("self-kd", ["loss", "chosen/faces"], [[0.5, 1.0]])],
            "pkdot": [history("pkdot", ["loss", "diagonal_mass"], [[0.5, 0.02]])],
        }
    )
    assert set(record.teaching) == {"pkdot"}
    assert record.teaching["pkdot"].chosen == {}


def test_gaps_and_hallucination_are_means_of_the_cells_that_have_them(artifact):
    nothing = {"before": math.nan, "after": math.nan}
    aligned = [
        artifact("a.h5", alignment_gap={"eda": {"before": 1.0, "after": 0.2}, "ecg": nothing}),
        artifact("b.h5", alignment_gap={"eda": {"before": 0.6, "after": 0.4}, "ecg": {"before": 0.8, "after": 0.1}}),
    ]
    nets = [artifact("a.st", r2_on_validation_subjects={"eda": 0.1}), artifact("b.st", r2_on_validation_subjects={})]
    record = read({}, aligned, nets)
    assert record.alignment_gap == {
        "eda": Gap(before=pytest.approx(0.8), after=pytest.approx(0.3)),
        "ecg": Gap(before=0.8, after=0.1),
    }
    assert record.hallucination == {"eda": 0.1}


def test_a_damaged_history_is_named(history, tmp_path):
    with pytest.raises(MtpkdError, match=r"kd\.history\.csv: the history holds no epoch"):
        read({"kd": [history("kd", ["loss"], [])]})
    with pytest.raises(MtpkdError, match=r"absent\.csv: no history"):
        read({"kd": [tmp_path / "absent.csv"]})
