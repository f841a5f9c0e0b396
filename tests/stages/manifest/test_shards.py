"""The shards of a manifest: what makes them again, and what cannot be used."""

import csv

import numpy as np
import pytest
import soundfile

from pipelines.cache.faces import FaceShard
from pipelines.cache.tables import read_clips
from pipelines.corpora.synthetic import render_synthetic
from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe.loading import override_recipe, parse_recipe, plain
from pipelines.stages import preprocess, run_all
from pipelines.workspace import Workspace

GROUPS, CLIPS = 8, 4


def test_a_changed_number_makes_one_shard_again_and_a_setting_its_own_modality(edit_cells, recipe_of, own, tmp_path):
    recipe, workspace = recipe_of(own), Workspace(tmp_path / "w")
    preprocess.run(recipe, workspace, workers=0)
    times = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*.h5")}

    def remade():
        changed = [p for p, before in times.items() if p.stat().st_mtime_ns != before]
        times.update({path: path.stat().st_mtime_ns for path in times})
        return {f"{path.parent.name}/{path.stem}" for path in changed}

    edit_cells(own / "faces.csv", "au1", lambda row: "0.5" if row["id"] == "c09" else row["au1"])
    preprocess.run(recipe, workspace, workers=0)
    assert remade() == {"faces/g2"}
    edit_cells(own / "faces.csv", "id", lambda row: row["id"])
    preprocess.run(recipe, workspace, workers=0)
    assert remade() == set()
    recipe = override_recipe(recipe, **{"corpus.modalities.pulse.normalisation": "training"})
    preprocess.run(recipe, workspace, workers=0)
    assert remade() == set()
    recipe = override_recipe(recipe, **{"corpus.modalities.breath.band": [0.2, None]})
    preprocess.run(recipe, workspace, workers=0)
    assert remade() == {f"breath/g{number}" for number in range(GROUPS)}


def test_only_one_modality_is_built_when_asked_for(recipe_of, root, tmp_path):
    workspace = Workspace(tmp_path)
    preprocess.run(recipe_of(root), workspace, only="breath", workers=0)
    assert {path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()} == {"breath"}
    with pytest.raises(SettingsError, match=r"--only eda: manifest has faces, pulse, breath, tests"):
        preprocess.run(recipe_of(root), workspace, only="eda", workers=0)


def test_bad_files_fail_for_themselves(recipe_of, own, tmp_path):
    (own / "c01.csv").write_text("t,heart\n0,1\n")
    np.save(own / "c01.npy", np.full(70, 3.0))
    np.save(own / "c02_tests.npy", np.zeros(5))
    workspace = Workspace(tmp_path / "w")
    preprocess.run(recipe_of(own), workspace, workers=0, max_failures=0.2)
    with workspace.failures.open() as stream:
        found = {(row["clip"], row["modality"]): row["reason"] for row in csv.DictReader(stream)}
    assert "ppg" in found["c01", "pulse"]
    assert found["c01", "breath"] == "flat line at 3.0"
    assert found["c02", "tests"] == "5 features, where other clips of g0 have 2"
    assert set(found) == {("c01", "pulse"), ("c01", "breath"), ("c02", "tests"), ("c03", "faces")}


def test_groups_whose_features_differ_in_number_are_named(recipe_of, own, tmp_path):
    for number in range(CLIPS):
        np.save(own / f"c{number:02d}_tests.npy", np.zeros(5))
    with pytest.raises(MtpkdError, match=r"tests: clips of g1 have 2 features, those of g0 5"):
        preprocess.run(recipe_of(own), Workspace(tmp_path / "w"), workers=0)


@pytest.fixture(scope="module")
def recordings(tiny_recipe, tmp_path_factory):
    """Drawn faces, and a wav each: a tone that tells the class, one silent, one short, one not there."""
    render_synthetic(tiny_recipe.corpus)
    root = tmp_path_factory.mktemp("recordings")
    (root / "videos").symlink_to(tiny_recipe.corpus.root)
    rows = []
    for number, video in enumerate(sorted(tiny_recipe.corpus.root.rglob("*.mp4"))):
        label = video.stem.split("-")[1]
        time = np.arange(16000 if number == 2 else 32000) / 16000
        tone = 0.3 * np.sin(2 * np.pi * (300 if label == "BL1" else 900) * time)
        soundfile.write(root / f"{video.stem}.wav", tone * (number != 1), 16000)
        path = root / "videos" / video.relative_to(tiny_recipe.corpus.root)
        sound = {3: "", 4: str(path)}.get(number, f"{video.stem}.wav")
        rows.append([video.stem, video.parent.name, label, path, sound])
    with (root / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["clip", "group", "label", "video", "voice"], *rows])
    return root


def test_videos_and_sound(recordings, tiny_recipe, finished, tmp_path):
    corpus = {
        "name": "manifest",
        "root": str(recordings),
        "classes": ["BL1", "PA4"],
        "modalities": {
            "face": {"kind": "video", "column": "video"},
            "voice": {"kind": "sound", "column": "voice"},
        },
    }
    values = plain(tiny_recipe) | {"corpus": corpus, "prevalent": ["face"], "privileged": ["voice"]}
    values["encoders"] = {"face": {"architecture": "small-video"}, "voice": {"architecture": "small-spectrogram"}}
    recipe = override_recipe(parse_recipe(values, source="test"), **{"audio.seconds": 1.4})
    workspace = Workspace(tmp_path)
    run_all(recipe, workspace, workers=1, max_failures=0.2)
    clips = read_clips(workspace.clips)
    with workspace.failures.open() as stream:
        found = {(row["clip"], row["modality"]): row["reason"] for row in csv.DictReader(stream)}
    assert found == {
        (clips[1].clip, "voice"): "the track is silent",
        (clips[2].clip, "voice"): "1.00 s of sound, audio.seconds = 1.4 are needed",
        (clips[4].clip, "voice"): "there is no sound track",
    }
    assert [number for number, row in enumerate(clips) if not row.coverage["voice"]] == [1, 2, 3, 4]
    shards = [
        FaceShard(folder.shard(kind, clips[0].group)) for folder, kind in ((workspace, "face"), (finished, "faces"))
    ]
    for row in clips:
        if row.group == clips[0].group:
            mine, theirs = ((shard.frames(row.clip).valid, shard.read(row.clip, [5])) for shard in shards)
            np.testing.assert_array_equal(mine[0], theirs[0])
            np.testing.assert_array_equal(mine[1], theirs[1])
    assert workspace.results(".csv").exists()
