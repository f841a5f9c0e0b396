"""StressID's published tables of features as a manifest; see the fixture `real_data`."""

import numpy as np
import pytest

from pipelines.corpora import index_corpus
from pipelines.corpora.manifest import read_features
from pipelines.corpora.manifest_validation import validate_manifest
from pipelines.media.csv_table import open_table
from pipelines.recipe import FeatureTable, ManifestCorpus

PHYSIOLOGY, VIDEO = "all_physiological_features.csv", "video11tasks_aus_gaze_morestats.csv"


@pytest.fixture
def stressid(real_data):
    """The folder of the tables."""
    folder = real_data / "stressid"
    if not (folder / PHYSIOLOGY).is_file():
        pytest.skip(f"REAL FEATURES NOT TESTED: {folder / PHYSIOLOGY} does not exist")
    return folder


@pytest.fixture
def settings(stressid, tmp_path):
    """The manifest of all clips that have physiology; the tables lie elsewhere."""
    clips = [cells[0] for _, cells in open_table(stressid / PHYSIOLOGY).rows()]
    rows = [(clip, *clip.rsplit("_", 1)) for clip in clips]
    lines = [",".join(row) for row in rows]
    (tmp_path / "manifest.csv").write_text("\n".join(["clip,group,task", *lines]) + "\n")
    modalities = {
        "video": FeatureTable(table=stressid / VIDEO, key="id"),
        "physiology": FeatureTable(table=stressid / PHYSIOLOGY),
    }
    classes = tuple(sorted({task for *_, task in rows}))
    return ManifestCorpus(root=tmp_path, labels=("task",), classes=classes, modalities=modalities)


@pytest.mark.parametrize(("modality", "shape"), [("video", (603, 462)), ("physiology", (773, 132))])
def test_tables_are_read_as_pandas_reads_them(settings, modality, shape):
    import pandas

    table = read_features(settings, modality)
    expected = pandas.read_csv(settings.root / settings.modalities[modality].table, index_col=0)
    assert expected.shape == shape
    assert list(table.names) == list(expected.columns)
    assert list(table.rows) == list(expected.index)
    values = expected.to_numpy(np.float32)
    values[~np.isfinite(values)] = np.nan
    np.testing.assert_array_equal(np.stack(list(table.rows.values())), values)


def test_the_manifest_is_sound(settings):
    corpus = index_corpus(settings)
    assert len(corpus.clips) == 773
    assert len(corpus.groups) == 65
    assert sum("video" in clip.files for clip in corpus.clips) < 773
    report = validate_manifest(settings)
    assert report.problems == ()
    assert report.files["physiology"].there == 773
