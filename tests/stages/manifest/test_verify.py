import shutil

from pipelines.recipe.loading import load_recipe
from pipelines.stages import preprocess
from pipelines.stages.verify import repair, verify
from pipelines.workspace import Workspace, sidecar


def test_a_corpus_of_ones_own_is_sound_and_can_be_repaired(classes, tmp_path):
    found = verify(classes)
    assert found.is_sound
    assert not found.leftovers
    assert list(found.tallies)[:4] == ["faces", "pulse", "breath", "tests"]
    place = Workspace(tmp_path / "w")
    shutil.copytree(classes.cache, place.cache)
    shutil.copyfile(classes.recipe, place.recipe)
    broken = [place.shard("faces", "g1"), place.shard("pulse", "g0"), place.shard("tests", "g3")]
    whole = [path.read_bytes() for path in broken]
    broken[0].write_bytes(whole[0][:-1])
    sidecar(broken[1]).unlink()
    broken[2].unlink()
    assert [problem.path for problem in repair(place).problems] == broken
    preprocess.run(load_recipe(place.recipe), place, workers=0, max_failures=1)
    assert [path.read_bytes() for path in broken] == whole
    assert verify(place).is_sound
