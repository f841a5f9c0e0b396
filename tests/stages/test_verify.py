"""What is damaged, missing or left over is found and named; repair has exactly that made again."""

import shutil

import pytest

from pipelines.errors import MtpkdError
from pipelines.recipe.loading import load_recipe
from pipelines.stages import preprocess
from pipelines.stages.verify import remove_broken, repair, verify, verify_cache
from pipelines.workspace import Workspace, sidecar


@pytest.fixture
def copy(tmp_path):
    """`copy(workspace)`: the recipe and the cache of a finished one, to be damaged."""

    def make(workspace):
        place = Workspace(tmp_path / "w")
        shutil.copytree(workspace.cache, place.cache)
        shutil.copyfile(workspace.recipe, place.recipe)
        return place

    return make


@pytest.fixture
def cache(copy, finished):
    return copy(finished)


def shards(workspace, kind="faces"):
    return sorted((workspace.cache / kind).glob("*.h5"))


def problems(found):
    root = found.workspace.root
    return {str(problem.path.relative_to(root)): problem.reason for problem in found.problems}


def flip(path, at=-1000):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_a_finished_workspace_is_sound(finished):
    found = verify(finished)
    assert found.is_sound
    assert not found.leftovers
    assert {name: (tally.files, tally.clips) for name, tally in found.tallies.items() if tally.clips} == {
        "faces": (6, 24),
        "biosignals": (6, 24),
    }
    assert list(found.tallies)[2:] == ["train-teachers", "align", "distill", "evaluate"]
    assert all(tally.files and tally.bytes and not tally.missing + tally.faulty for tally in found.tallies.values())
    assert found.tallies["faces"].bytes == sum(path.stat().st_size for path in shards(finished))


def test_so_is_one_of_trials(continuous):
    found = verify(continuous)
    assert found.is_sound
    assert not found.leftovers
    assert found.tallies["annotations"].files == found.tallies["audio"].files == 8


def test_each_kind_of_damage_is_named_with_what_mends_it(cache):
    first, second, third, *_ = shards(cache)
    fourth, fifth, *_ = shards(cache, "biosignals")
    flip(first)
    second.unlink()
    third.write_bytes(third.read_bytes()[:5000])
    fourth.write_bytes(b"")
    sidecar(fifth).write_text("{")
    found = verify_cache(cache)
    reasons = [problem.reason for problem in found.problems]
    assert [problem.path for problem in found.problems] == [first, second, third, fourth, fifth]
    assert reasons[:2] == ["is not what was written: its SHA-256 differs", "is missing"]
    assert [reason.split(":")[0] for reason in reasons[2:4]] == ["is not what was written"] * 2
    assert reasons[4] == "has a sidecar that cannot be read"
    remedy = f"run `mtpkd preprocess synthetic --repair --workspace {cache.root}`"
    assert {(problem.remedy, problem.discard) for problem in found.problems} == {(remedy, True)}
    tally = found.tallies["faces"]
    assert (tally.files, tally.faulty, tally.missing, tally.clips) == (5, 2, 1, 12)


def test_repair_has_just_the_broken_shards_made_again(cache, finished, digests):
    broken = shards(cache)[0], shards(cache, "biosignals")[3]
    for path in broken:
        flip(path)
    times = {path: path.stat().st_mtime_ns for path in cache.cache.rglob("*.h5")}
    assert not repair(cache).is_sound
    assert not any(path.exists() or sidecar(path).exists() for path in broken)
    preprocess.run(load_recipe(cache.recipe), cache, workers=0)
    assert {path for path, time in times.items() if path.stat().st_mtime_ns != time} == set(broken)
    assert digests(cache.cache) == digests(finished.cache)
    assert verify(cache).is_sound


def test_repair_of_trials_leaves_what_was_made_from_a_shard_alone(copy, continuous, digests):
    cache = copy(continuous)
    broken = shards(cache, "annotations")[0], shards(cache, "audio")[1]
    times = {path: path.stat().st_mtime_ns for path in cache.cache.rglob("*.h5")}
    flip(broken[0], at=-9)
    broken[1].unlink()
    assert sorted(problems(repair(cache))) == sorted(str(path.relative_to(cache.root)) for path in broken)
    preprocess.run(load_recipe(cache.recipe), cache, workers=0)
    assert {path for path, time in times.items() if path.stat().st_mtime_ns != time} == set(broken)
    assert digests(cache.cache) == digests(continuous.cache)


def test_only_what_will_be_made_again_is_removed(cache, caplog):
    faces, signals = shards(cache)[0], shards(cache, "biosignals")[0]
    flip(faces)
    flip(signals)
    with caplog.at_level("INFO", logger="mtpkd"):
        assert len(repair(cache, kinds=["faces"]).problems) == 2
    assert (faces.exists(), signals.exists()) == (False, True)
    assert caplog.messages[1].startswith(f"repair: cache/biosignals/{signals.name} is not what was written")
    assert caplog.messages[1].endswith("(left as it is, see --only)")


def test_repair_of_a_sound_cache_touches_nothing(cache, digests, caplog):
    before = digests(cache.cache)
    with caplog.at_level("INFO", logger="mtpkd"):
        assert repair(cache).is_sound
    assert caplog.messages == ["repair: all 12 shards are sound"]
    assert digests(cache.cache) == before


@pytest.mark.parametrize("name", ["clips", "failures"])
def test_a_table_that_was_cut_is_found_and_no_shard_is_blamed(cache, name, digests):
    before = digests(cache.cache)
    path = getattr(cache, name)
    text = path.read_text()
    path.write_text(text[: text.rindex("\n", 0, -1) + 1] if name == "clips" else text + "a,b,c,d\n")
    found = repair(cache)
    assert [*problems(found)] == [f"cache/{name}.csv"]
    assert not found.leftovers
    preprocess.run(load_recipe(cache.recipe), cache, workers=0)
    assert digests(cache.cache) == before


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"clip,group\n", b"clip,group,label,class\na,b,c,d\n", b"\0"])
def test_a_table_of_anything(cache, content):
    for path in (cache.clips, cache.failures):
        path.write_bytes(content)
        assert "is not what was written" in problems(verify_cache(cache))[f"cache/{path.name}"]
        sidecar(path).unlink()
        assert "cannot be read" in problems(verify_cache(cache))[f"cache/{path.name}"]


def test_tables_from_before_they_had_sidecars_are_held_against_the_shards(cache):
    for path in (cache.clips, cache.failures):
        sidecar(path).unlink()
    assert verify_cache(cache).is_sound
    lines = cache.clips.read_text().splitlines()
    cache.clips.write_text("\n".join([*lines, lines[-1]]) + "\n")
    clip = lines[-1].split(",")[0]
    assert problems(verify_cache(cache)) == {"cache/clips.csv": f"has clip {clip} 2 times"}
    cache.clips.write_text("\n".join(lines[:-2]) + "\n")
    assert problems(verify_cache(cache))["cache/clips.csv"].startswith("lacks clip ")


@pytest.mark.parametrize("group", ["../../mine", "", ".", "..", "/tmp/mine", "a\0b"])
def test_a_group_never_leads_out_of_the_cache(cache, group):
    mine = cache.root.parent / "mine.h5"
    mine.write_bytes(b"mine")
    sidecar(cache.clips).unlink()
    lines = cache.clips.read_text().splitlines()
    cells = lines[-1].split(",")
    cache.clips.write_text("\n".join([*lines[:-1], ",".join([cells[0], group, *cells[2:]])]) + "\n")
    found = repair(cache)
    assert "cannot be read" in problems(found)["cache/clips.csv"]
    assert len(found.problems) == 1
    assert mine.exists()


def test_a_run_that_was_killed_before_its_tables(cache):
    for path in (cache.clips, cache.failures):
        path.unlink()
        sidecar(path).unlink()
    last = shards(cache, "biosignals")[-1]
    last.unlink()
    sidecar(last).unlink()
    first = shards(cache)[0]
    sidecar(first).unlink()
    partial = cache.cache / "biosignals" / f".{last.name}.partial"
    partial.write_bytes(b"half")
    found = verify_cache(cache)
    assert problems(found) == {
        "cache/clips.csv": "is missing: preprocess has not finished",
        "cache/failures.csv": "is missing: preprocess has not finished",
        f"cache/faces/{first.name}": "has no sidecar: its run was killed",
    }
    assert [(leftover.path, leftover.reason) for leftover in found.leftovers] == [
        (partial, "was left by a run that was killed")
    ]
    assert remove_broken([*found.problems, *found.leftovers]) == [first, partial]
    assert not partial.exists()


def test_parts_that_were_left_out_are_not_missed(finished, tmp_path):
    recipe, place = load_recipe(finished.recipe), Workspace(tmp_path / "w")
    preprocess.run(recipe, place, only="biosignals", workers=0)
    found = verify(place)
    assert found.is_sound
    assert found.tallies["faces"].files == found.tallies["faces"].missing == 0


def test_shards_that_nothing_belongs_to_are_told_and_kept(cache):
    first = shards(cache)[0]
    for source in (first, sidecar(first)):
        shutil.copy2(source, source.with_name(source.name.replace(first.stem, "stranger")))
        shutil.copy2(source, source.with_name(source.name.replace(first.stem, "broken")))
    flip(first.with_name("broken.h5"))
    (cache.cache / "gaze").mkdir()
    (cache.cache / "gaze" / "s1.h5").write_bytes(b"x")
    found = repair(cache)
    assert found.is_sound
    assert {(leftover.path.name, leftover.reason) for leftover in found.leftovers} == {
        ("stranger.h5", "belongs to no group of clips.csv"),
        ("broken.h5", "belongs to no group of clips.csv, and is not what was written: its SHA-256 differs"),
        ("s1.h5", "is of gaze, which the recipe does not have"),
    }
    assert first.with_name("stranger.h5").exists()
    assert not first.with_name("broken.h5").exists()


def test_a_folder_in_place_of_a_shard_is_found_and_never_deleted(cache):
    path = shards(cache)[0]
    path.unlink()
    path.mkdir()
    (path / "mine.txt").write_text("mine")
    assert problems(verify_cache(cache)) == {f"cache/faces/{path.name}": "is no file"}
    with pytest.raises(MtpkdError, match="is a folder where a file of the cache belongs: move it elsewhere"):
        repair(cache)
    assert (path / "mine.txt").exists()


def test_a_kind_whose_folder_is_gone_is_missing_whole(cache):
    shutil.rmtree(cache.cache / "faces")
    (cache.cache / "faces").write_bytes(b"")
    found = verify_cache(cache)
    assert (len(found.problems), found.tallies["faces"].missing) == (6, 6)


def test_artifacts_of_later_stages_name_the_command_that_writes_them(finished, tmp_path):
    place = Workspace(tmp_path / "w")
    shutil.copytree(finished.root, place.root)
    for name in ("notes.v2.json", "notes.csv", "notes.csv.json"):
        (place.root / name).write_text("[1]")
    (place.root / "fold-0" / ".joint.safetensors.partial").write_bytes(b"x")
    cell = place.cell(0, 0)
    flip(cell / "teachers" / "joint.safetensors")
    flip(cell / "aligned" / "adapters.safetensors")
    place.student(0, 0, "mt-pkdot").unlink()
    sidecar(place.predictions(0, 0, "mt-pkdot")).write_text("{}")
    share = place.labelled(0.5)
    shutil.copytree(place.cell(0, 0) / "students", share.cell(0, 0) / "students")
    shutil.copyfile(place.recipe, share.recipe)
    found = verify(place)
    start = "delete what is there of it and run `mtpkd"
    assert [(str(problem.path.relative_to(place.root)), problem.remedy) for problem in found.problems] == [
        ("fold-0/seed-0/teachers/joint.safetensors", f"{start} train-teachers --workspace {place.root}`"),
        ("fold-0/seed-0/aligned/adapters.safetensors", f"{start} align --workspace {place.root}`"),
        (
            "fold-0/seed-0/students/mt-pkdot/student.safetensors",
            f"{start} distill --method mt-pkdot --workspace {place.root}`",
        ),
        (
            "labelled-0.5/fold-0/seed-0/students/mt-pkdot/student.safetensors",
            f"{start} distill --method mt-pkdot --workspace {share.root}`",
        ),
        ("predictions/mt-pkdot.fold-0.seed-0.csv", f"{start} evaluate --workspace {place.root}`"),
    ]
    assert [leftover.path.name for leftover in found.leftovers] == [".joint.safetensors.partial"]
    assert verify_cache(share).is_sound, "a share of the labels has the cache of the whole"
