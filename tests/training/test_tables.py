import numpy as np
import pytest
import torch

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.recipe import SlidingWindows, Task
from pipelines.training.samples import Sample
from pipelines.training.tables import EmbeddingTable, make_targets, masked_column

CLASSES = Task(kind="classes", labels=("BL1", "PA4"))
CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))


@pytest.fixture
def table():
    faces = Column(np.arange(3 * 4 * 2, dtype="float32").reshape(3, 4, 2), np.array([True, True, False]))
    eda = Column(100 + np.arange(6, dtype="float32").reshape(3, 1, 2), np.array([True, False, True]))
    store = EmbeddingStore(("a", "b", "c"), {"faces": faces, "eda": eda})
    rows = [Sample("c", "s2", 1), Sample("a", "s1", None)]
    return EmbeddingTable(store, ["faces", "eda"], rows, CLASSES)


def test_rows_follow_the_clips_that_were_asked_for(table):
    assert table.targets.target.tolist() == [1, 0]
    assert table.targets.labelled.tolist() == [True, False]
    assert table.groups == {"s1", "s2"}
    present = table.presence(torch.tensor([0, 1]))
    assert {name: values.tolist() for name, values in present.items()} == {"faces": [False, True], "eda": [True, True]}


def test_a_draw_chooses_one_sampling_for_all_columns(table):
    rows = torch.tensor([1, 1, 1])
    drawn = table.embeddings(rows, torch.tensor([0.0, 0.5, 0.999]))
    assert drawn["faces"][:, 0].tolist() == [0, 4, 6]
    assert drawn["eda"][:, 0].tolist() == [100, 100, 100], "a column with one sampling always gives it"
    assert table.draw(rows, jitter=False).tolist() == [0, 0, 0]


def test_batches_hold_every_row_once(table):
    torch.manual_seed(0)
    assert sorted(torch.cat(list(table.batches(1, shuffle=True))).tolist()) == [0, 1]
    assert torch.cat(list(table.batches(2, shuffle=False))).tolist() == [0, 1]


def test_a_clip_that_is_absent_is_nan():
    column = masked_column(np.ones((2, 1, 3)), np.ones((2, 1, 2)), np.array([True, False, True]))
    assert np.isnan(column.embeddings[1]).all()
    assert column.outputs is not None
    assert np.isfinite(column.outputs[[0, 2]]).all()


def test_continuous_targets_have_a_column_a_dimension():
    samples = [Sample("a", "g", (0.5, -0.25), frame=2), Sample("a", "g", None, frame=7)]
    targets = make_targets(samples, CONTINUOUS, "cpu")
    assert targets.target.tolist() == [[0.5, -0.25], [0.0, 0.0]]
    assert targets.labelled.tolist() == [True, False]
    assert make_targets([], CONTINUOUS, "cpu").target.shape == (0, 2)


def test_a_window_comes_with_its_neighbours_of_the_same_trial_only():
    """Windows 2, 7, 12 of trial a and 2, 7 of trial b; the face is missing in the second of a."""
    samples = [
        Sample(clip, "g", (0.0, 0.0), frame=frame) for clip, frame in zip("aaabb", (2, 7, 12, 2, 7), strict=True)
    ]
    values = np.arange(5, dtype="float32").reshape(5, 1, 1)
    faces = Column(values, np.array([True, False, True, True, True]), values + 10)
    store = EmbeddingStore(tuple(sample.name for sample in samples), {"faces": faces})
    windows = SlidingWindows(hop=5, context=3)
    # The table holds some windows; their neighbours come from the whole store.
    table = EmbeddingTable(store, ["faces"], [samples[0], samples[2], samples[3]], CONTINUOUS, windows=windows)
    rows = torch.arange(3)
    drawn, there = table.embeddings(rows, torch.zeros(3))["faces"], table.presence(rows)["faces"]
    assert drawn.shape == (3, 3, 1)
    assert there.tolist() == [[False, True, False], [False, True, False], [False, True, True]]
    assert drawn[:, :, 0][there].tolist() == [0.0, 2.0, 3.0, 4.0]
    assert drawn[1, 0, 0] == 1.0
    assert table.present["faces"].tolist() == [True, True, True]
    assert table.outputs(rows, torch.zeros(3))["faces"].tolist() == [[10.0], [12.0], [13.0]]
