import numpy as np
import pytest

from pipelines.cache.embeddings import Column, EmbeddingStore, read_embeddings, write_embeddings


def test_stores_survive_the_disk(tmp_path):
    rng = np.random.default_rng(0)
    faces = Column(rng.normal(size=(3, 4, 8)).astype("float32"), np.array([True, False, True]))
    joint = Column(rng.normal(size=(3, 1, 8)).astype("float32"), np.ones(3, bool), np.zeros((3, 1, 2), "float32"))
    write_embeddings(tmp_path / "e.h5", EmbeddingStore(("a", "b", "c"), {"faces": faces, "faces+eda": joint}))
    read = read_embeddings(tmp_path / "e.h5")
    assert read.clips == ("a", "b", "c")
    assert read.columns["faces"].outputs is None
    for name, column in {"faces": faces, "faces+eda": joint}.items():
        np.testing.assert_array_equal(read.columns[name].embeddings, column.embeddings)
        np.testing.assert_array_equal(read.columns[name].present, column.present)
    np.testing.assert_array_equal(read.columns["faces+eda"].outputs, joint.outputs)


def test_rows_are_found_by_clip():
    store = EmbeddingStore(("a", "b", "c"), {})
    assert store.rows(["c", "a"]).tolist() == [2, 0]
    with pytest.raises(KeyError):
        store.rows(["d"])
