import pytest

from pipelines.recipe.loading import load_recipe, render_recipe


def test_the_example_is_written_and_the_next_commands_told(mtpkd, tmp_path):
    status, out, _ = mtpkd("init", "manifest")
    assert status == 0
    folder = tmp_path / "data" / "manifest"
    assert sorted(path.name for path in folder.iterdir()) == ["heart.csv", "manifest.csv", "recipe.yaml"]
    assert "mtpkd validate manifest data/manifest" in out
    assert "mtpkd run data/manifest/recipe.yaml" in out
    status, out, _ = mtpkd("validate", "manifest")
    assert status == 1
    assert "faces: file does not exist" in out


def test_nothing_is_overwritten(mtpkd, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.csv").write_text("mine")
    status, _, err = mtpkd("init", "manifest", "mine")
    assert status == 2
    assert "mine/manifest.csv exists already" in err
    assert (tmp_path / "mine" / "manifest.csv").read_text() == "mine"


@pytest.fixture
def chosen(monkeypatch):
    """Recipes and workspaces that reach stage 1."""
    from pipelines.stages import preprocess

    calls = []
    monkeypatch.setattr(
        preprocess, "run", lambda recipe, workspace, **options: calls.append((recipe, workspace, options))
    )
    return calls


def test_preprocess_reads_the_recipe_beside_the_manifest(mtpkd, chosen, tmp_path):
    status, _, err = mtpkd("preprocess", "manifest")
    assert status == 2
    assert "`mtpkd init manifest data/manifest` writes an example" in err
    mtpkd("init", "manifest")
    mtpkd("init", "manifest", "other")
    for arguments, root in (([], "data/manifest"), (["other"], "other"), (["other/recipe.yaml"], "other")):
        assert mtpkd("preprocess", "manifest", *arguments, "--only", "eda")[0] == 0
        recipe, workspace, options = chosen.pop()
        assert (str(recipe.corpus.root), str(workspace.root), options["only"]) == (root, "runs/manifest", "eda")


def test_a_workspace_that_is_named_keeps_its_recipe(mtpkd, chosen, tmp_path):
    mtpkd("init", "manifest")
    mtpkd("init", "manifest", "other")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "recipe.yaml").write_text(render_recipe(load_recipe(tmp_path / "other" / "recipe.yaml")))
    mtpkd("preprocess", "manifest", "--workspace", "w")
    mtpkd("preprocess", "manifest", "data/manifest", "--workspace", "w")
    mtpkd("preprocess", "manifest", "--workspace", "new")
    assert [str(recipe.corpus.root) for recipe, *_ in chosen] == ["other", "data/manifest", "data/manifest"]
    (tmp_path / "w" / "recipe.yaml").write_text(render_recipe(load_recipe("demo")))
    for arguments in ([], ["other"]):
        status, _, err = mtpkd("preprocess", "manifest", *arguments, "--workspace", "w")
        assert status == 2
        assert "w holds the corpus synthetic, not manifest" in err
