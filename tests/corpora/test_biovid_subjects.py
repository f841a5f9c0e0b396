import re

import pytest

from pipelines.corpora.biovid_subjects import HOLD_OUT_VALIDATION, NO_VISIBLE_REACTION


@pytest.mark.parametrize(("names", "count"), [(NO_VISIBLE_REACTION, 20), (HOLD_OUT_VALIDATION, 26)])
def test_published_lists_are_whole(names, count):
    assert len(names) == len(set(names)) == count
    assert all(re.fullmatch(r"\d{6}_[wm]_\d{2}", name) for name in names)


def test_the_lists_share_the_subjects_that_were_published_in_both():
    assert set(NO_VISIBLE_REACTION) & set(HOLD_OUT_VALIDATION) == {
        "100914_m_39", "101114_w_37", "082315_w_60", "083114_w_55", "083109_m_60",
    }  # fmt: skip
