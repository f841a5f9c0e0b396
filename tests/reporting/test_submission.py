import numpy as np
import pytest

from pipelines.cache.predictions import FramePredictions
from pipelines.errors import MtpkdError
from pipelines.reporting import write_submission


def trial(clip: str, scores: list[list[float]]) -> FramePredictions:
    values = np.array(scores, dtype=np.float32)
    return FramePredictions(clip, clip, np.full_like(values, np.nan), values)


def test_every_frame_is_a_line_whether_annotated_or_not(tmp_path):
    path = tmp_path / "new" / "none.txt"
    write_submission(path, iter([trial("video9", [[0.12, 0.3], [-0.5, -1e-9]]), trial("10-60_left", [[1.7, -1.2]])]))
    assert path.read_text() == (
        "image_location,valence,arousal\n"
        "video9/00001.jpg,0.120000,0.300000\n"
        "video9/00002.jpg,-0.500000,0.000000\n"
        "10-60_left/00001.jpg,1.000000,-1.000000\n"
    )


def test_frame_numbers_grow_beyond_five_digits(tmp_path):
    write_submission(tmp_path / "s.txt", [trial("v", [[0.0, 0.0]] * 100_001)])
    lines = (tmp_path / "s.txt").read_text().splitlines()
    assert [line.split(",")[0] for line in (lines[99_999], lines[100_001])] == ["v/99999.jpg", "v/100001.jpg"]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def breaking():
        yield trial("v", [[0.0, 0.0]])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_submission(tmp_path / "s.txt", breaking())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("trials", [[("v", [[0.0, 0.0]])] * 2, [("v", [[0.0]])]])
def test_what_is_no_submission_is_refused(tmp_path, trials):
    with pytest.raises(ValueError, match=r"trial v comes twice, or is not \(n, 2\)"):
        write_submission(tmp_path / "s.txt", [trial(*each) for each in trials])


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MtpkdError, match=r"s\.txt: cannot be written"):
        write_submission(tmp_path / "file" / "s.txt", [])
