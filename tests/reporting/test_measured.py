"""Results of continuous predictions: read trial by trial, equal to those of all frames concatenated."""

import csv
import json
import tracemalloc
from dataclasses import asdict

import numpy as np
import pytest

from pipelines.cache.predictions import FramePredictions, write_frame_predictions
from pipelines.errors import MissingArtifact, MtpkdError
from pipelines.metrics import Predictions, bootstrap_weights, concordance_correlation
from pipelines.recipe import EvaluationSettings, Task
from pipelines.recipe.loading import load_recipe
from pipelines.reporting.results import compute_results, read_rows, write_results
from pipelines.workspace import Workspace

CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))


def videos(noise: float, *, seed=0, lengths=(40, 1, 300, 120, 90, 60), lacking=()):
    """Six trials of five videos (two people in the last one), some frames not annotated, the third without any."""
    names = ["v0", "v1", "v2", "v3", "v4_left", "v4"]
    trials = []
    for number, (name, n) in enumerate(zip(names, lengths, strict=True)):
        truth, rng = np.random.default_rng(number), np.random.default_rng([seed, number, int(100 * noise)])
        target = (0.3 * truth.normal(size=2) + 0.3 * truth.normal(size=(n, 2))).clip(-1, 1)
        scores = 0.5 * target + noise * rng.normal(size=(n, 2))
        target[rng.random(n) < (0.2 if n > 1 else 0)] = np.nan
        if name == "v2":
            target[:] = np.nan
        if name not in lacking:
            trials.append(FramePredictions(name, name.removesuffix("_left"), target, scores))
    return trials


def split(trials):
    """Two folds by video."""
    return [t for t in trials if t.group in ("v0", "v1")], [t for t in trials if t.group not in ("v0", "v1")]


@pytest.fixture
def films():
    return {
        method: {(fold, seed): part for seed in (0, 1) for fold, part in enumerate(split(videos(noise, seed=seed)))}
        for method, noise in {"teacher:joint": 0.05, "none": 0.3, "mt-pkdot": 0.2}.items()
    }


def concordance(scores, target) -> np.ndarray:
    """(2,) CCC of valence and arousal."""
    return np.asarray(concordance_correlation(scores, target))


def pooled(cells, seed, lacking=()):
    """All annotated frames of a seed, one after the other."""
    trials = [t for (_, s), part in sorted(cells.items()) if s == seed for t in part if t.clip not in lacking]
    target, scores = (np.concatenate([getattr(t, name) for t in trials]) for name in ("target", "scores"))
    known = ~np.isnan(target).any(axis=1)
    return scores[known], target[known]


def test_continuous_metrics_are_those_of_all_frames_concatenated(films, computed):
    results = computed(films)
    for name in ("ccc", "rmse", "pearson", "sign-agreement"):
        assert [f"{name}{suffix}" in results.rows for suffix in ("", "-valence", "-arousal")] == [True] * 3
    for row, cells in zip(results.rows["ccc"], films.values(), strict=True):
        expected = np.mean([concordance(*pooled(cells, seed)) for seed in (0, 1)], axis=0)
        by_dimension = [
            next(other.value for other in results.rows[f"ccc-{label}"] if other.method == row.method)
            for label in CONTINUOUS.labels
        ]
        np.testing.assert_allclose(by_dimension, expected, rtol=0, atol=1e-12)
        assert row.value == pytest.approx(expected.mean(), abs=1e-12)
    rmse = {row.method: row.value for row in results.rows["rmse-arousal"]}
    errors = [np.sqrt(np.mean((x - y)[:, 1] ** 2)) for x, y in (pooled(films["none"], seed) for seed in (0, 1))]
    assert rmse["none"] == pytest.approx(np.mean(errors), abs=1e-12)


def test_trials_videos_and_frames_are_counted(films, computed):
    rows = computed(films).rows["ccc"]
    frames = len(pooled(films["none"], 0)[0])
    assert [(row.clips, row.groups, row.frames) for row in rows if row.method == "none"] == [(5, 4, frames)]
    assert {group.group: group.clips for group in computed(films).groups if group.method == "none"} == {
        "v0": 1, "v1": 1, "v3": 1, "v4": 2,
    }  # fmt: skip


def test_continuous_results_have_a_row_a_dimension_everywhere(films, computed):
    results = computed(films)
    assert results.confusion == {}
    assert len(results.folds) == 3 * 4 * 4 * 3
    joint = [fold for fold in results.folds if (fold.method, fold.fold, fold.seed) == ("teacher:joint", 1, 0)]
    values = {fold.metric: fold.value for fold in joint}
    expected = concordance(*pooled({(1, 0): films["teacher:joint"][1, 0]}, 0))
    assert (values["ccc-valence"], values["ccc-arousal"]) == pytest.approx(tuple(expected), abs=1e-12)
    assert values["ccc"] == pytest.approx(np.mean(expected), abs=1e-12)
    group = next(group for group in results.groups if (group.method, group.group) == ("none", "v4"))
    assert set(group.values) == set(results.rows)


def test_the_sentence_stands_with_the_mean_and_not_with_a_dimension(films, computed):
    rows = computed(films).rows
    sentences = {name: next(row.verdict for row in rows[name] if row.method == "mt-pkdot") for name in rows}
    assert sentences["ccc"]
    assert {name for name, sentence in sentences.items() if sentence} == {"ccc", "rmse", "pearson", "sign-agreement"}


def test_the_interval_is_over_videos_and_not_over_frames(films, computed):
    row = next(row for row in computed(films).rows["ccc-valence"] if row.method == "none")
    weights = bootstrap_weights(4, 500, 20240819)
    resampled = []
    for drawn in weights.astype(int):
        values = []
        for seed in (0, 1):
            trials = [t for (_, s), part in sorted(films["none"].items()) if s == seed for t in part]
            picked = [
                t
                for t in trials
                for _ in range(dict(zip(["v0", "v1", "v3", "v4"], drawn, strict=True)).get(t.group, 0))
            ]
            values.append(concordance(*pooled({(0, seed): picked}, seed))[0])
        resampled.append(np.mean(values))
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=1e-12)


def test_a_teacher_that_could_not_hear_a_video_is_compared_on_the_others(films, computed):
    silent = {cell: [t for t in part if t.clip != "v4_left"] for cell, part in films["teacher:joint"].items()}
    row = next(row for row in computed({**films, "teacher:audio": silent}).rows["ccc"] if row.method == "audio")
    assert (row.clips, row.groups) == (4, 4)
    theirs = [np.mean(concordance(*pooled(films["none"], s, lacking=("v4_left",)))) for s in (0, 1)]
    assert row.value - row.difference == pytest.approx(np.mean(theirs), abs=1e-12)


def test_a_fold_without_a_prediction_has_no_value_and_spoils_nothing(films, computed):
    deaf = {cell: part if cell[0] else [] for cell, part in films["teacher:joint"].items()}
    results = computed({**films, "teacher:audio": deaf})
    assert np.isnan([f.value for f in results.folds if f.method == "teacher:audio" and f.fold == 0]).all()
    row = next(row for row in results.rows["ccc"] if row.method == "audio")
    assert (row.clips, row.groups) == (3, 2)
    assert row.difference > 0


def test_a_method_that_predicted_nothing_is_a_row_without_numbers(films, computed):
    results = computed({**films, "teacher:audio": dict.fromkeys(films["none"], ())})
    row = next(row for row in results.rows["ccc"] if row.method == "audio")
    assert (row.clips, row.groups, row.frames) == (0, 0, 0)
    assert np.isnan([row.value, row.low, row.difference]).all()


def test_nothing_predicted_at_all_is_an_error(films, computed):
    with pytest.raises(MtpkdError, match="predictions: no method could predict"):
        computed({"none": dict.fromkeys(films["none"], ())})


def test_one_video_has_values_without_intervals(computed):
    results = computed({"none": {(0, 0): videos(0.3)[:1]}, "mt-pkdot": {(0, 0): videos(0.2)[:1]}})
    row = next(row for row in results.rows["ccc"] if row.method == "mt-pkdot")
    assert row.value > 0
    assert np.isnan([row.low, row.difference_low]).all()
    assert "mt-pkdot, ccc-arousal: no interval: there is one test group only" in results.notes


def test_a_constant_student_scores_zero(films, computed):
    constant = {
        cell: [FramePredictions(t.clip, t.group, t.target, np.full_like(t.scores, 0.1)) for t in part]
        for cell, part in films["none"].items()
    }
    rows = computed({**films, "mt-pkdot": constant}).rows
    flat = {name: next(r for r in rows[name] if r.method == "mt-pkdot") for name in ("ccc", "pearson", "rmse")}
    assert (flat["ccc"].value, flat["ccc"].low, flat["ccc"].high, flat["pearson"].value) == (0, 0, 0, 0)
    assert flat["rmse"].value > 0


def rated(noise, clips=range(60)):
    """Whole clips of six subjects, each rated once."""
    target = np.random.default_rng(0).uniform(-1, 1, size=(60, 2))
    scores = target + noise * np.random.default_rng(int(100 * noise)).normal(size=(60, 2))
    names, groups = (
        np.array([f"{what}{number}" for number in numbers])
        for what, numbers in (("c", range(60)), ("s", np.arange(60) % 6))
    )
    kept = list(clips)
    return Predictions(groups[kept], names[kept], target[kept], scores[kept])


def test_continuous_labels_of_whole_clips_are_counted_in_clips(computed):
    parts = {0: [i for i in range(60) if i % 6 < 3], 1: [i for i in range(60) if i % 6 >= 3]}
    methods = {"none": 0.8, "mt-pkdot": 0.2}
    cells = {m: {(fold, 0): rated(noise, clips) for fold, clips in parts.items()} for m, noise in methods.items()}
    cells["teacher:eda"] = {**cells["none"], (0, 0): rated(0.8, parts[0][1:])}
    results = computed(cells)
    rows = {row.method: row for row in results.rows["ccc"]}
    assert [(row.clips, row.groups, row.frames) for row in rows.values()] == [(60, 6, 0), (60, 6, 0), (59, 6, 0)]
    assert results.confusion == {}
    whole = rated(0.2)
    assert rows["mt-pkdot"].value == pytest.approx(concordance(whole.scores, whole.target).mean(), abs=1e-12)
    assert rows["mt-pkdot"].difference_low > 0
    assert {group.group: group.clips for group in results.groups if group.method == "none"} == dict.fromkeys(
        [f"s{i}" for i in range(6)], 10
    )
    assert set(results.groups[0].values) == set(results.rows)


def test_files_of_results(films, computed, tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(MissingArtifact, match="mtpkd evaluate"):
        read_rows(workspace, "ccc")
    results = computed(films)
    write_results(workspace, results, load_recipe("demo-affwild2"), CONTINUOUS)
    for name in ("ccc", "ccc-valence", "sign-agreement-arousal"):
        assert [asdict(row) for row in read_rows(workspace, name)] == [
            pytest.approx(asdict(row), nan_ok=True) for row in results.rows[name]
        ]
    with pytest.raises(MtpkdError, match=r"results\.json: holds no accuracy, only ccc, ccc-valence, ccc-arousal, rmse"):
        read_rows(workspace, "accuracy")
    assert "confusion" not in json.loads(workspace.results(".json").read_text())
    with workspace.results(".csv").open(newline="") as stream:
        metrics = [row["metric"] for row in csv.DictReader(stream)]
    assert metrics[:6] == ["ccc", "ccc-valence", "ccc-arousal", "rmse", "rmse-valence", "rmse-arousal"]
    header = workspace.results("_by_group.csv").read_text().splitlines()[0]
    assert header.startswith("method,group,clips,ccc,ccc-valence,ccc-arousal,rmse,")


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path):
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        values = np.random.default_rng(0).uniform(-1, 1, size=(2000, 2))
        trials = (FramePredictions(f"v{i}", f"v{i}", values, values / 2) for i in range(count))
        write_frame_predictions(path, trials, CONTINUOUS)
        tracemalloc.start()
        try:
            compute_results({"none": {(0, 0): path}}, CONTINUOUS, EvaluationSettings(resamples=100))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(20) <= 1.2 * peak(2)
