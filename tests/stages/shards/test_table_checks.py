from dataclasses import replace

import pytest

from pipelines.cache.tables import ClipRow
from pipelines.corpora import Failure
from pipelines.recipe.loading import load_recipe
from pipelines.stages.shards import kinds_of
from pipelines.stages.shards.integrity import CheckedShard
from pipelines.stages.shards.table_checks import SoundShard, clip_faults, failure_faults
from pipelines.stages.shards.unit import Outcome

FAULT = Failure("b", "faces", "b.mp4", "no face", tolerated=True)
OUTCOME = Outcome({"a": {"faces": 1 / 3}, "b": {"faces": 0.0}}, {"a": {"crops": "own"}}, [FAULT])
SHARD = SoundShard(
    kinds_of(load_recipe("biovid"))["faces"],
    "s1",
    CheckedShard(clips=("a", "b"), outcome=OUTCOME),
)
ROWS = [
    ClipRow("a", "s1", 0, "BL1", {"crops": "own"}, {"faces": 0.3333}),
    ClipRow("b", "s1", 1, "PA4", {"crops": ""}, {"faces": 0.0}),
    ClipRow("c", "s2", 1, "PA4", {"crops": ""}, {"faces": 1.0}),
]


def test_tables_that_say_what_the_shards_do():
    assert not [*clip_faults(ROWS, [SHARD])]
    assert not [*failure_faults([FAULT, Failure("c", "faces", "c.mp4", "file does not exist")], [SHARD])]


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        (ROWS[1:], ["lacks clip a of faces/s1.h5"]),
        ([*ROWS, replace(ROWS[0], clip="d")], ["has clip d, which faces/s1.h5 lacks"]),
        ([*ROWS, ROWS[2], ROWS[2]], ["has clip c 3 times"]),
        (
            [replace(ROWS[0], coverage={"faces": 0.3335}), *ROWS[1:]],
            ["gives 0.3335 as coverage of clip a, faces, where the shard has 0.3333"],
        ),
        (
            [ROWS[0], replace(ROWS[1], coverage={"faces": float("nan")}), ROWS[2]],
            ["gives nan as coverage of clip b, faces, where the shard has 0.0000"],
        ),
        (
            [replace(ROWS[0], coverage={}), *ROWS[1:]],
            ["gives no number as coverage of clip a, faces, where the shard has 0.3333"],
        ),
        (
            [replace(ROWS[0], attributes={}), *ROWS[1:]],
            ["gives None as crops of clip a, where the shard has 'own'"],
        ),
    ],
)
def test_clips_that_are_lost_doubled_or_misjudged(rows, faults):
    assert [*clip_faults(rows, [SHARD])] == faults


def test_a_failure_that_is_forgotten():
    assert [*failure_faults([], [SHARD])] == ["lacks the failure of clip b, faces: no face"]
