"""The commands as a user types them, on a tiny corpus."""

import importlib.util

import pytest

from pipelines import stages
from pipelines.corpora.synthetic import render_synthetic
from pipelines.recipe.loading import override_recipe, render_recipe


@pytest.fixture
def recipe_file(tiny_recipe, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(render_recipe(tiny_recipe))
    return path


def test_the_stages_one_by_one_and_bare(mtpkd, tiny_recipe, tmp_path):
    (tmp_path / "runs" / "synthetic").mkdir(parents=True)
    (tmp_path / "runs" / "synthetic" / "recipe.yaml").write_text(render_recipe(tiny_recipe))
    status, out, _ = mtpkd("preprocess", "synthetic", "--workers", 1)
    assert (status, "clips: 24, with failures: 0" in out) == (0, True)
    status, _, err = mtpkd("distill")
    assert status == 1
    assert "run `mtpkd train-teachers --workspace runs/synthetic` first" in err
    assert mtpkd("train-teachers", "--workers", 1)[0] == 0
    status, _, err = mtpkd("distill")
    assert status == 1
    assert "run `mtpkd align --workspace runs/synthetic` first" in err
    status, out, _ = mtpkd("distill", "--with-dependencies", "--method", "mt-pkdot", "--method", "none", "--workers", 1)
    assert status == 0
    assert "train-teachers: up to date" in out
    assert "align: 2 of 2 to make" in out
    assert "distill: 4 of 4 to make" in out
    status, out, _ = mtpkd("evaluate", "--metric", "auc", "--workers", 1)
    assert status == 0
    assert "auc, BL1 / PA4: 24 clips of 6 groups" in out
    assert "mt-pkdot: " in out
    assert "none-matched" not in out
    assert all(len(line) <= 80 for line in out.splitlines() if "runs/" not in line)


def test_run_prints_the_table_and_the_second_time_skips_everything(mtpkd, recipe_file):
    assert mtpkd("run", recipe_file, "--workers", 1)[0] == 0
    status, out, _ = mtpkd("run", recipe_file, "--workers", 1)
    assert status == 0
    assert out.count("up to date, nothing to do") == 6
    for word in ("teachers", "joint", "none-matched", "mt-pkdot", "baseline"):
        assert word in out


def test_a_root_is_a_path_whatever_yaml_would_make_of_it(mtpkd):
    status, _, err = mtpkd("run", "biovid", "2024")
    assert status == 2
    assert "2024 does not exist" in err


def test_a_change_on_the_command_line_reaches_the_recipe(mtpkd, recipe_file, tmp_path):
    status, _, err = mtpkd("run", recipe_file, "--set", "protocol.folds=50", "--workspace", tmp_path / "w")
    assert status == 2
    assert "protocol.folds = 50 needs at least 50 subjects" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "nowhere.yaml"], 2, "nowhere.yaml: no such recipe"),
        (["run", "demo", "--set", "faces.sise=1"], 2, "did you mean size?"),
        (["run", "demo", "--metric", "ccc"], 2, "metric 'ccc' does not fit this task"),
        (["run", "demo", "--labelled", "0"], 2, "protocol.labelled = 0"),
        (["run", "demo", "--metric", "speed"], 2, "unknown metric 'speed'"),
        (["preprocess", "biovid"], 2, "data/biovid"),
        (["preprocess", "biovid", "absent"], 2, "absent"),
        (["train-teachers"], 2, "there is no workspace in runs/ yet"),
        (["evaluate", "--workspace", "nowhere"], 2, "nowhere is not a workspace"),
        (["preprocess", "nonsense"], 2, "nonsense"),
        (["crop-faces", "absent.mp4"], 1, "absent.mp4"),
        (["extract-biosignals", "absent.csv"], 1, "absent.csv"),
        (["extract-audio", "absent.mp4"], 1, "absent.mp4"),
        (["preprocess", "affwild2"], 2, "data/affwild2"),
        (["preprocess", "affwild2", "absent"], 2, "absent"),
        (["validate", "affwild2", "absent"], 2, "absent"),
        (["run", "affwild2", "--metric", "accuracy"], 2, "metric 'accuracy' does not fit this task"),
        (
            ["run", "affwild2", "--set", "windows.kind=clip"],
            2,
            "windows.hop: there is no such setting with windows.kind",
        ),
        (["run", "affwild2", "--set", "windows.contxt=3"], 2, "did you mean context?"),
        (["run", "demo", "--set", "windows={kind: sliding}"], 2, "does not fit synthetic: use clip"),
        (["run", "affwild2", "--set", "privileged=[eda]"], 2, "modality 'eda' is unknown to affwild2"),
        (["run", "affwild2", "--set", "encoders.audio.architecture=wave-cnn"], 2, "does not fit audio"),
        (
            ["run", "demo", "--set", "windows.context=3"],
            2,
            "windows.context: there is no such setting with windows.kind = clip",
        ),
        (["validate", "biovid", "absent"], 2, "absent"),
    ],
)
def test_a_mistake_is_told_in_words(mtpkd, arguments, status, message):
    found, out, err = mtpkd(*arguments)
    assert message in out + err
    assert found == status


def test_several_workspaces_are_listed(mtpkd, tiny_recipe, tmp_path):
    for name in ("biovid", "synthetic"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.yaml").write_text(render_recipe(tiny_recipe))
    status, _, err = mtpkd("align")
    assert status == 2
    assert "--workspace runs/biovid" in err
    assert "--workspace runs/synthetic" in err


def test_a_workspace_keeps_its_corpus(mtpkd, tiny_recipe, tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "recipe.yaml").write_text(render_recipe(tiny_recipe))
    status, _, err = mtpkd("preprocess", "biovid", "--workspace", "w")
    assert status == 2
    assert "holds the corpus synthetic, not biovid" in err


def test_too_many_failures_end_with_status_three(mtpkd, tiny_recipe, tmp_path):
    root = tmp_path / "broken"
    recipe = override_recipe(tiny_recipe, **{"corpus.root": str(root)})
    render_synthetic(recipe.corpus)
    for video in sorted(root.rglob("*.mp4"))[:3]:
        video.write_bytes(video.read_bytes()[:2000])
    (tmp_path / "broken.yaml").write_text(render_recipe(recipe))
    status, out, err = mtpkd("run", "broken.yaml", "--workers", 1)
    assert status == 3
    assert "3 of 24 clips failed (12.5 %), more than --max-failures 0.05 allows" in err
    assert "with failures: 3" in out
    assert mtpkd("run", "broken.yaml", "--workers", 1, "--max-failures", "0.2")[0] == 0


def test_compare_runs_what_is_stale_and_says_what_the_numbers_allow(mtpkd, tiny_recipe, tmp_path):
    (tmp_path / "runs" / "synthetic").mkdir(parents=True)
    (tmp_path / "runs" / "synthetic" / "recipe.yaml").write_text(render_recipe(tiny_recipe))
    arguments = ["compare", "--methods", "none-matched,mt-pkdot", "--seeds", 2, "--metric", "auc", "--workers", 1]
    status, out, _ = mtpkd(*arguments)
    assert status == 0
    table = out[out.index("auc, BL1 / PA4") :]
    for words in (
        "visual only",
        "none-matched",
        "2 folds by subject, 2 seeds",
        "mt-pkdot: ",
        "two trainings of visual",
    ):
        assert words in table
    assert "auc by sex and age" in table
    assert "hallucinated from faces" in " ".join(table.split())
    assert (tmp_path / "runs" / "synthetic" / "comparison.json").exists()
    assert all(len(line) <= 80 for line in table.splitlines() if "runs/" not in line)
    again = mtpkd(*arguments)[1]
    assert again.count("up to date, nothing to do") == 6
    status, _, err = mtpkd("compare", "--methods", "nothing")
    assert status == 2
    assert "unknown method 'nothing'" in err


def test_a_service_that_is_not_installed_is_said_before_any_work(mtpkd, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else real(name))
    status, out, err = mtpkd("run", "demo", "--track", "mlflow")
    assert (status, out) == (2, "")
    assert "pip install 'mtpkd[mlflow]'" in err
    assert not list(tmp_path.iterdir())
    assert mtpkd("run", "demo", "--track", "wandb")[0] == 2


def test_an_interrupted_command_says_that_it_goes_on(mtpkd, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "run_all", interrupted)
    status, _, err = mtpkd("run", "demo")
    assert (status, err) == (130, "mtpkd: error: interrupted: the same command goes on where it stopped\n")
