import pytest

from pipelines.corpora import index_corpus
from pipelines.corpora.manifest_example import example_recipe, write_example
from pipelines.errors import SettingsError
from pipelines.recipe.loading import load_recipe, render_recipe


def test_the_example_is_a_recipe_of_its_manifest(tmp_path):
    folder = tmp_path / "mine"
    paths = write_example(folder)
    assert [path.name for path in paths] == ["recipe.yaml", "manifest.csv", "heart.csv"]
    recipe = load_recipe(paths[0])
    assert recipe == example_recipe(folder)
    assert paths[0].read_text().endswith(render_recipe(recipe))
    indexed = index_corpus(recipe.corpus)
    assert {clip.label for clip in indexed.clips} == {0, 1, None}
    assert all("heart" in clip.files for clip in indexed.clips)
    assert {failure.reason for failure in indexed.missing} == {"file does not exist"}
    assert len(indexed.missing) < 2 * len(indexed.clips)


@pytest.mark.parametrize("name", ["recipe.yaml", "manifest.csv", "heart.csv"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(SettingsError, match=f"{name} exists already"):
        write_example(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(SettingsError, match="mine is not a folder"):
        write_example(tmp_path / "mine")
