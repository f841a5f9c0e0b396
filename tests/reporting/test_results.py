import numpy as np
import pytest

from pipelines.corpora.manifest_example import example_recipe
from pipelines.metrics import Predictions, get_metric
from pipelines.recipe import EvaluationSettings, Task
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.reporting.comparison import compare_methods
from pipelines.reporting.paired import load_methods
from pipelines.reporting.results import describe_protocol

CLASSES = Task(kind="classes", labels=("BL1", "PA4"))


def predictions(groups, right, seed=0, clips_a_group=4):
    """Clips of some groups, of which the given share is classified rightly."""
    rng = np.random.default_rng(seed)
    names = np.repeat(groups, clips_a_group)
    clips = np.array([f"{group}-{i}" for group in groups for i in range(clips_a_group)])
    target = np.arange(len(names)) % 2
    said = np.where(rng.random(len(names)) < right, target, 1 - target)
    return Predictions(names, clips, target, np.eye(2)[said] * 0.8 + 0.1)


@pytest.fixture
def two_folds():
    groups = [f"s{i}" for i in range(10)]
    folds = {0: groups[:5], 1: groups[5:]}
    return {
        method: {
            (fold, seed): predictions(names, right, seed=10 * seed + fold)
            for fold, names in folds.items()
            for seed in (0, 1)
        }
        for method, right in {"teacher:joint": 1.0, "none": 0.5, "mt-pkdot": 0.5}.items()
    }


def test_folds_are_pooled_and_seeds_averaged(two_folds, computed):
    results = computed(two_folds)
    rows = {row.method: row for row in results.rows["accuracy"]}
    assert (rows["joint"].role, rows["joint"].value, rows["joint"].clips, rows["joint"].groups) == (
        "teacher",
        1,
        40,
        10,
    )
    means = [np.mean(part.scores.argmax(1) == part.target) for part in two_folds["none"].values()]
    assert rows["none"].value == pytest.approx(np.mean(means))
    assert rows["joint"].difference == pytest.approx(1 - rows["none"].value)
    assert rows["joint"].difference_low > 0
    assert np.isnan(rows["none"].difference)


def test_equal_predictions_differ_by_exactly_nothing(two_folds, computed):
    results = computed(two_folds)
    row = next(row for row in results.rows["accuracy"] if row.method == "mt-pkdot")
    assert (row.difference, row.difference_low, row.difference_high) == (0, 0, 0)


def test_a_method_that_cannot_predict_some_clips_is_compared_on_the_others(two_folds, computed):
    lacking = dict(two_folds["teacher:joint"])
    for cell, part in lacking.items():
        kept = part.groups != "s3"
        lacking[cell] = Predictions(part.groups[kept], part.clips[kept], part.target[kept], part.scores[kept])
    results = computed({**two_folds, "teacher:joint": lacking})
    row = next(row for row in results.rows["accuracy"] if row.method == "joint")
    assert (row.clips, row.groups) == (36, 9)
    base = [np.mean((p.scores.argmax(1) == p.target)[p.groups != "s3"]) for p in two_folds["none"].values()]
    sizes = [np.sum(p.groups != "s3") for p in two_folds["none"].values()]
    assert row.difference == pytest.approx(1 - np.average(base, weights=sizes))


def test_the_sentence_on_a_student_is_word_for_word_that_of_the_comparison(tmp_path, computed):
    groups = [f"s{i}" for i in range(40)]
    by_method = {
        method: {
            (fold, 0): predictions(groups[fold::4], right, seed=100 * number + fold, clips_a_group=6)
            for fold in range(4)
        }
        for number, (method, right) in enumerate({"teacher:joint": 1.0, "none": 0.6, "mt-pkdot": 0.9}.items())
    }
    rows = {row.method: row for row in computed(by_method).rows["accuracy"]}
    files = {
        method: {(fold, 0): tmp_path / "predictions" / f"{method}-{fold}-0.csv" for fold in range(4)}
        for method in ("none", "mt-pkdot")
    }
    known = load_methods(files, CLASSES, EvaluationSettings(resamples=500))
    (item,) = compare_methods(known, get_metric("accuracy", CLASSES))
    assert rows["mt-pkdot"].verdict == item.verdict.sentence
    assert "gain over visual only (p = 0.0" in rows["mt-pkdot"].verdict, "folds are tested too"
    assert [rows[name].verdict for name in ("joint", "none")] == ["", ""]


def test_an_interval_that_spares_zero_is_no_gain_where_folds_disagree(computed):
    groups = [f"s{i}" for i in range(30)]
    # All of the gain is in one fold of three.
    right = {"none": (0.5, 0.5, 0.5), "mt-pkdot": (1.0, 0.52, 0.5)}
    by_method = {
        method: {
            (fold, 0): predictions(groups[fold::3], share, seed=fold, clips_a_group=6)
            for fold, share in enumerate(shares)
        }
        for method, shares in right.items()
    }
    row = next(row for row in computed(by_method).rows["accuracy"] if row.method == "mt-pkdot")
    assert row.difference_low > 0
    assert row.verdict.startswith("no detectable gain over visual only; the interval over test groups excludes zero")


def test_confusion_counts_every_seed(two_folds, computed):
    results = computed(two_folds)
    assert results.confusion["teacher:joint"].tolist() == [[40, 0], [0, 40]]
    assert results.confusion["none"].sum() == 80
    assert len(results.groups) == 3 * 10
    assert len(results.folds) == 3 * 4 * 5


def test_without_a_baseline_nothing_is_compared(two_folds, computed):
    del two_folds["none"]
    results = computed(two_folds)
    assert all(np.isnan(row.difference) for row in results.rows["accuracy"])


def test_no_frames_are_counted_where_there_are_classes(two_folds, computed):
    assert {row.frames for rows in computed(two_folds).rows.values() for row in rows} == {0}


def test_a_single_seed_is_called_what_it_is():
    assert "one seed proves nothing" in describe_protocol(load_recipe("demo"))
    assert describe_protocol(load_recipe("demo"), "--seeds 3").endswith("average three: --seeds 3")
    three = describe_protocol(load_recipe("demo", ("protocol.seeds=[0, 1, 2]",)))
    assert three == "4 folds by subject, 3 seeds, 2000 resamples of test subjects"


def test_hidden_labels_are_told():
    note = describe_protocol(load_recipe("demo", ("protocol.seeds=[0, 1]", "protocol.labelled=0.3")))
    assert note.endswith("2000 resamples of test subjects, 30 % of training subjects labelled")


def test_a_split_of_ones_own_is_not_called_published(tmp_path):
    changes = {"protocol.name": "hold-out", "corpus.split": "part", "protocol.seeds": [0, 1]}
    note = describe_protocol(override_recipe(example_recipe(tmp_path), **changes))
    assert note == "the manifest's split, 2 seeds, 2000 resamples of test subjects"


@pytest.mark.parametrize(
    ("recipe", "name", "words"),
    [
        ("demo-affwild2", "k-fold", "4 folds by video, 2 seeds, 2000 resamples of test videos"),
        ("demo-affwild2", "loso", "leave one video out, 2 seeds, 2000 resamples of test videos"),
        ("affwild2", "hold-out", "official split, 2 seeds, 2000 resamples of test videos"),
        ("biovid", "hold-out", "published hold-out, 2 seeds, 2000 resamples of test subjects"),
        ("biovid", "loso", "leave one subject out, 2 seeds, 2000 resamples of test subjects"),
    ],
)
def test_the_protocol_in_words(recipe, name, words):
    assert describe_protocol(load_recipe(recipe, (f"protocol.name={name}", "protocol.seeds=[0, 1]"))) == words
