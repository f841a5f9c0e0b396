"""Strata whose truth is known: a method that only helps women."""

import numpy as np
import pytest

from pipelines.cache.predictions import write_predictions
from pipelines.metrics import Predictions, get_metric
from pipelines.recipe import EvaluationSettings, Task
from pipelines.reporting.paired import load_methods
from pipelines.reporting.strata import LEAST_GROUPS, clips_by_stratum, compare_strata, stratify
from pipelines.reporting.table import BASELINE

TASK = Task(kind="classes", labels=("BL1", "PA4"))
ACCURACY = get_metric("accuracy", TASK)
WOMEN, MEN, CLIPS = 6, 3, 8


def group_of(clip: str) -> str:
    return clip.partition("-")[0]


@pytest.fixture
def known(tmp_path):
    """Visual only is right for half of everyone's clips, kd for six of eight of a woman's."""
    groups = np.array([f"{sex}{i}" for sex, count in (("w", WOMEN), ("m", MEN)) for i in range(count)])
    names = np.repeat(groups, CLIPS)
    clips = np.array([f"{group}-{i % CLIPS}" for i, group in enumerate(names)])
    target = np.arange(len(clips)) // 2 % 2
    files = {}
    for method, right in {"none": dict.fromkeys("wm", 4), "kd": {"w": 6, "m": 4}}.items():
        hit = np.array([i % CLIPS < right[name[0]] for i, name in enumerate(names)])
        scores = np.where((target == 1) == hit, 0.9, 0.1)
        files[method] = {(0, 0): tmp_path / f"{method}.csv"}
        write_predictions(
            files[method][0, 0], Predictions(names, clips, target, np.stack([1 - scores, scores], 1)), TASK
        )
    return load_methods(files, TASK, EvaluationSettings(resamples=300))


def test_a_gain_of_some_is_found_where_it_is(known):
    attributes = {clip: {"sex": group_of(clip)[0]} for clip in known.seeds[BASELINE][0].group_of}
    women, men = compare_strata(stratify(known, attributes), ACCURACY)
    assert (women.attribute, women.name, women.groups, women.clips) == ("sex", "women", WOMEN, WOMEN * CLIPS)
    assert (women.values["none"].value, women.values["kd"].value) == (0.5, 0.75)
    assert (women.differences["kd"].value, women.differences["kd"].low) == (0.25, 0.25)
    assert (men.name, men.groups, men.differences["kd"].value) == ("men", MEN, 0)
    assert set(men.differences) == {"kd"}


def test_few_groups_have_values_and_no_interval(known):
    assert MEN < LEAST_GROUPS <= WOMEN
    attributes = {clip: {"sex": group_of(clip)[0]} for clip in known.seeds[BASELINE][0].group_of}
    women, men = compare_strata(stratify(known, attributes), ACCURACY)
    assert np.isnan([men.values["kd"].low, men.values["kd"].high, men.differences["kd"].low]).all()
    assert men.values["kd"].value == 0.5
    assert not np.isnan(women.values["kd"].low)


def test_strata_without_a_test_clip_are_not_shown(known):
    assert stratify(known, {"somebody-1": {"sex": "w"}}) == {}


@pytest.mark.parametrize(
    ("age", "band"),
    [("19", "under 20"), ("20", "20-35"), ("35.9", "20-35"), ("36", "36-50"), ("51", "51-65"), ("65", "51-65"),
     ("66", "over 65"), ("child", "child")],
)  # fmt: skip
def test_age_bands_are_biovids_with_open_ones_around_them(age, band):
    assert list(clips_by_stratum({"a": {"age": age}})) == [("age", band)]


def test_spellings_of_a_manifest():
    clips = {
        "a": {"Sex": "F", "AGE": "21"},
        "b": {"gender": " female "},
        "c": {"sex": "m"},
        "d": {"sex": "diverse", "Age": "70"},
        "e": {"sex": "", "age": "nan", "task": "Stroop"},
    }
    assert clips_by_stratum(clips) == {
        ("sex", "women"): {"a", "b"},
        ("sex", "men"): {"c"},
        ("sex", "diverse"): {"d"},
        ("age", "20-35"): {"a"},
        ("age", "over 65"): {"d"},
    }
    assert list(clips_by_stratum(clips)) == [
        ("sex", "women"), ("sex", "men"), ("sex", "diverse"), ("age", "20-35"), ("age", "over 65"),
    ]  # fmt: skip


def test_a_corpus_that_knows_nothing_has_no_strata():
    assert clips_by_stratum({"a": {"set": "train", "side": "left"}, "b": {}}) == {}
