"""The commands as a user of Aff-Wild2 types them: bare, with the corpus under data/affwild2."""

import shutil

import pytest

from pipelines.corpora.synthetic_affwild2 import render_synthetic_affwild2
from pipelines.recipe import AffWild2Corpus
from pipelines.recipe.loading import override_recipe, plain, render_recipe


@pytest.fixture
def place(tiny_affwild2, tmp_path):
    """A folder with the corpus where it belongs, and a workspace with settings for tiny networks."""
    render_synthetic_affwild2(tiny_affwild2.corpus)
    shutil.copytree(tiny_affwild2.corpus.root, tmp_path / "data" / "affwild2")
    recipe = override_recipe(tiny_affwild2, corpus=plain(AffWild2Corpus()), **{"teachers.cross_fit": 0})
    (tmp_path / "runs" / "affwild2").mkdir(parents=True)
    (tmp_path / "runs" / "affwild2" / "recipe.yaml").write_text(render_recipe(recipe))
    return tmp_path


def test_the_five_stages_bare_and_a_submission(mtpkd, place):
    status, out, _ = mtpkd("preprocess", "affwild2")
    assert status == 0
    assert "validation annotations: 3 files in 6th ABAW Annotations" in out
    for command in ("train-teachers", "align", "distill"):
        assert mtpkd(command, "--workers", 1)[0] == 0
    status, out, _ = mtpkd("evaluate", "--metric", "ccc", "--submission", "submission", "--workers", 1)
    assert status == 0
    table = out[out.index("ccc, valence / arousal: 3 trials of 2 videos") :].splitlines()
    heading = next(line for line in table if line.startswith("method"))
    assert heading.split()[:4] == ["method", "valence", "arousal", "P"]
    for method in ("faces", "audio", "joint", "none", "none-matched", "mt-pkdot"):
        line, *calibrated = [line for line in table if line.split()[:1] == [method]]
        assert [float(word) for word in line.split()[1:4]]
        assert len(calibrated) == (method in ("none", "none-matched", "mt-pkdot"))
    assert "official split, 1 seed, 200 resamples of test videos" in out
    assert all(len(line) <= 80 for line in table if "runs/" not in line)
    assert "submission: submission/mt-pkdot.seed-0.txt" in out
    assert (place / "submission" / "mt-pkdot.seed-0.txt").read_text().startswith("image_location,valence,arousal\n")
    status, out, _ = mtpkd("evaluate", "--metric", "rmse", "--workers", 1)
    assert (status, "rmse, valence / arousal" in out) == (0, True)
    status, out, _ = mtpkd("evaluate", "--metric", "sign-agreement", "--workers", 1)
    assert (status, "sign-agreement, valence / arousal" in out) == (0, True)


def test_run_takes_the_recipe_and_a_workspace(mtpkd, place):
    status, out, _ = mtpkd("run", "runs/affwild2/recipe.yaml", "data/affwild2", "--workers", 1)
    assert status == 0
    assert "ccc, valence / arousal" in out
    assert mtpkd("run", "runs/affwild2/recipe.yaml", "data/affwild2")[1].count("up to date") == 5


def test_a_submission_is_of_continuous_labels_only(mtpkd, tiny_recipe, place):
    (place / "tiny.yaml").write_text(render_recipe(tiny_recipe))
    assert mtpkd("run", "tiny.yaml", "--workspace", "w", "--workers", 1)[0] == 0
    status, _, err = mtpkd("evaluate", "--workspace", "w", "--submission", "out", "--workers", 1)
    assert status == 2
    assert "--submission: synthetic has no submission format" in err
