"""The overview and the sheets of a manifest."""

import numpy as np
import pytest

from pipelines.cache.tables import read_clips, read_failures
from pipelines.reporting.sheet_content import FeaturesPanel, MissingPanel, WavePanel
from pipelines.stages import preprocess
from pipelines.stages.cached_clip import CachedClip
from pipelines.stages.clip_sheet import inspect_clip
from pipelines.stages.inspection import overview
from pipelines.workspace import Workspace


@pytest.fixture(scope="module")
def cached(recipe_of, root, tmp_path_factory):
    """What stage 1 makes of the corpus, and its recipe, with continuous labels."""
    recipe, workspace = recipe_of(root, strain=True), Workspace(tmp_path_factory.mktemp("inspected"))
    preprocess.run(recipe, workspace, workers=0)
    return recipe, workspace


def test_labels_of_whole_clips_are_distributed(cached):
    recipe, workspace = cached
    found = overview(recipe, workspace)
    (strain,) = found.distributions
    assert (strain.dimension, found.unit) == ("strain", "clips")
    assert strain.number == found.clips - found.unlabelled == 29
    assert np.all(np.diff(strain.quantiles) > 0)


def panel(cached, name, part):
    recipe, workspace = cached
    (row,) = [row for row in read_clips(workspace.clips) if row.clip == name]
    failures = [failure for failure in read_failures(workspace.failures) if failure.clip == name]
    return CachedClip(recipe, workspace, row, failures).panel(part, (0.0, 3.0))


def test_signals_stand_at_their_own_rate_without_a_unit(cached):
    pulse, breath = panel(cached, "c01", "pulse"), panel(cached, "c01", "breath")
    assert isinstance(pulse, WavePanel)
    assert isinstance(breath, WavePanel)
    assert (len(pulse.times), len(breath.times)) == (60, 36)
    assert (pulse.unit, breath.unit) == ("", "")


def test_features_are_compared_with_the_other_clips_of_their_group(cached):
    table, vector = panel(cached, "c08", "faces"), panel(cached, "c08", "tests")
    assert isinstance(table, FeaturesPanel)
    assert isinstance(vector, FeaturesPanel)
    assert table.names == ("au1", "au2", "au3")
    others = [panel(cached, f"c{number:02d}", "faces").values[0] for number in (9, 10, 11)]
    assert table.deviations[0] == pytest.approx((table.values[0] - np.mean(others)) / np.std(others), rel=1e-4)
    assert vector.names == ("0", "1")
    assert np.isnan(vector.deviations).all(), "one of the group's four clips lacks the vector: two are too few"


def test_an_empty_cell_and_a_row_without_numbers_say_so(cached):
    absent, empty = panel(cached, "c00", "pulse"), panel(cached, "c03", "faces")
    assert isinstance(absent, MissingPanel)
    assert isinstance(empty, MissingPanel)
    assert absent.reason == "the corpus has nothing of it for this clip"
    assert empty.reason == "none of its 3 features is a number"


def test_a_sheet_is_drawn_of_what_there_is(cached):
    recipe, workspace = cached
    done = inspect_clip(recipe, workspace, "c03")
    assert done.path.read_bytes().startswith(b"\x89PNG")
    assert done.coverage.startswith("faces missing   pulse missing   breath 100.0 %")
