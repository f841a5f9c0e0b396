import numpy as np
import pytest
import torch

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.cache.tables import ClipRow
from pipelines.training.tables import EmbeddingTable, masked_column


@pytest.fixture
def table():
    faces = Column(np.arange(3 * 4 * 2, dtype="float32").reshape(3, 4, 2), np.array([True, True, False]))
    eda = Column(100 + np.arange(6, dtype="float32").reshape(3, 1, 2), np.array([True, False, True]))
    store = EmbeddingStore(("a", "b", "c"), {"faces": faces, "eda": eda})
    rows = [ClipRow("c", "s2", 1, "PA4"), ClipRow("a", "s1", None, "")]
    return EmbeddingTable(store, ["faces", "eda"], rows)


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
