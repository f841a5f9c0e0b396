"""What teachers say out of fold, on disk."""

import numpy as np
import pytest

from pipelines.cache.out_of_fold import OutOfFold, read_out_of_fold, write_out_of_fold
from pipelines.errors import MtpkdError

NAMES = ("eda", "faces+eda", "joint")


def _judged(clips: int, seed: int) -> OutOfFold:
    rng = np.random.default_rng(seed)
    losses, outputs = rng.random((clips, 3)), rng.standard_normal((clips, 3, 2))
    losses[0] = np.nan
    outputs[1, 0] = np.nan
    return OutOfFold(losses, outputs)


def test_the_files_of_all_fits_are_put_together_in_the_order_asked_for(tmp_path):
    first, second = _judged(3, 0), _judged(2, 1)
    write_out_of_fold(tmp_path / "a.csv", ["a1", "a2", "a3"], NAMES, first)
    write_out_of_fold(tmp_path / "b.csv", ["b1", "b2"], NAMES, second)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    found = read_out_of_fold(files, ["b2", "elsewhere", "a1"], NAMES, 2)
    np.testing.assert_allclose(found.losses[[0, 2]], [second.losses[1], first.losses[0]], rtol=1e-8)
    np.testing.assert_allclose(found.outputs[[0, 2]], [second.outputs[1], first.outputs[0]], rtol=1e-8)
    assert np.isnan(found.losses[1]).all()
    assert np.isnan(found.outputs[1]).all()


def test_teachers_are_found_by_their_names(tmp_path):
    judged = _judged(3, 0)
    write_out_of_fold(tmp_path / "a.csv", ["a1", "a2", "a3"], NAMES, judged)
    found = read_out_of_fold([tmp_path / "a.csv"], ["a3"], ("joint", "eda"), 2)
    np.testing.assert_allclose(found.outputs[0], judged.outputs[2, [2, 0]], rtol=1e-8)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("joint output 1", "joint output 9", r"a\.csv: columns clip, .* expected: delete it and run `mtpkd align`"),
        ("a2,", "a2,much", r"a\.csv, line 3: could not convert string to float: 'much.*`mtpkd align` again"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, old, new, message):
    path = tmp_path / "a.csv"
    write_out_of_fold(path, ["a1", "a2"], NAMES, _judged(2, 0))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(MtpkdError, match=message):
        read_out_of_fold([path], ["a1"], NAMES, 2)
