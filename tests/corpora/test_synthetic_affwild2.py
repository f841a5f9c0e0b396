import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.corpora import index_corpus, synthetic_affwild2
from pipelines.corpora.rendering import RECORD
from pipelines.corpora.synthetic_affwild2 import render_synthetic_affwild2, render_video
from pipelines.errors import SettingsError
from pipelines.media.audio import probe_audio, read_sound
from pipelines.media.faces import crop_faces
from pipelines.media.video import probe
from pipelines.recipe import FaceSettings, SyntheticAffWild2Corpus


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def tiny(root: Path, **changes) -> SyntheticAffWild2Corpus:
    return SyntheticAffWild2Corpus(root=root, **{"videos": 4, "seconds": 2.0, "width": 96} | changes)


def rows_of(file: Path) -> np.ndarray:
    header, *rows = file.read_text().splitlines()
    assert header == "valence,arousal"
    return np.array([[float(cell) for cell in row.split(",")] for row in rows])


class Bar:
    total, moved = None, 0

    def __bool__(self):
        raise TypeError("tqdm's bars of unknown length have no truth value")

    def reset(self, total=None):
        self.total = total

    def update(self, n=1):
        self.moved += n


@pytest.fixture(scope="module")
def eight(tmp_path_factory) -> SyntheticAffWild2Corpus:
    """Every kind of video once; not to be changed."""
    settings = tiny(tmp_path_factory.mktemp("synthetic") / "corpus", videos=8, seconds=6.0)
    render_synthetic_affwild2(settings)
    return settings


def test_the_adapter_reads_it(eight):
    corpus = index_corpus(eight)
    assert corpus.missing == ()
    assert (len(corpus.clips), len(corpus.groups)) == (10, 8)
    assert sum(clip.attributes["set"] == "validation" for clip in corpus.clips) == 3
    assert sorted(clip.attributes["side"] for clip in corpus.clips) == [""] * 6 + ["left"] * 2 + ["right"] * 2
    assert sum("crops" in clip.files for clip in corpus.clips) == 5
    folders = {clip.files["video"].parent.name for clip in corpus.clips}
    assert folders == {"batch1", "batch2", "new_vids"}
    assert {clip.files["video"].suffix for clip in corpus.clips} == {".mp4", ".avi"}
    assert {round(probe(clip.files["video"]).rate) for clip in corpus.clips} == {25, 30}


def test_sizes_are_as_the_names_say(eight):
    for clip in index_corpus(eight).clips:
        info = probe(clip.files["video"])
        assert clip.group.split("-")[1:] == [f"{info.rate:.0f}", f"{info.width}x{info.height}"]
        assert info.frames == 6 * info.rate


def test_a_row_a_frame_or_a_few_more_or_fewer(eight):
    differences = set()
    for clip in index_corpus(eight).clips:
        rows = rows_of(clip.files["annotations"])
        differences.add(len(rows) - probe(clip.files["video"]).frames)
        masked = rows == -5
        assert 0 < masked[:, 0].mean() < 0.5
        assert np.abs(rows[~masked]).max() <= 1
        assert np.array_equal(masked[:, 0], masked[:, 1]) or (clip.group[:2] in ("3-", "8-") and not masked[:, 1].any())
    assert max(map(abs, differences)) <= 3
    assert len(differences) > 2
    texts = "".join(clip.files["annotations"].read_text() for clip in index_corpus(eight).clips)
    assert "\n-5,-5\n" in texts
    assert "\n-5.0,-5.0\n" in texts


def test_crops_have_gaps_where_the_face_is_hidden(eight):
    for clip in index_corpus(eight).clips:
        if "crops" not in clip.files:
            continue
        numbers = {int(file.stem) for file in clip.files["crops"].iterdir()}
        assert all(file.name == f"{int(file.stem):05d}.jpg" for file in clip.files["crops"].iterdir())
        hidden = np.flatnonzero(rows_of(clip.files["annotations"])[:, 0] == -5) + 1
        assert numbers.isdisjoint(hidden.tolist())
        assert len(numbers) > 0.4 * probe(clip.files["video"]).frames
        image = cv2.imread(str(clip.files["crops"] / f"{min(numbers):05d}.jpg"))
        assert image.shape == (112, 112, 3)


def test_sound_of_every_kind(eight):
    starts = {}
    for clip in index_corpus(eight).clips:
        info = probe_audio(clip.files["video"])
        starts[clip.group] = None if info is None else info.start_s - info.video_start_s
        if info is not None:
            blocks = list(read_sound(clip.files["video"], 16000))
            assert np.sqrt(np.mean(np.concatenate([block.samples for block in blocks]) ** 2)) > 0.003
            assert blocks[-1].start_s + len(blocks[-1].samples) / 16000 == pytest.approx(6.0, abs=0.1)
    silent = [group for group, start in starts.items() if start is None]
    late = [group for group, start in starts.items() if start is not None and start > 0.2]
    assert (len(silent), len(late)) == (1, 1)
    assert starts[late[0]] == pytest.approx(0.25, abs=0.03)
    assert sum(start == 0 for start in starts.values()) == 6


def test_the_bundled_cascade_finds_the_faces_and_only_them(tmp_path):
    settings = tiny(tmp_path / "corpus", videos=8, seconds=5.0, width=320)
    render_video(settings, 7)
    clips = index_corpus(settings).clips
    for clip in clips:
        crops = list(crop_faces(clip.files["video"], FaceSettings(), side=clip.attributes["side"]))
        found = np.array([crop.box is not None for crop in crops])
        rows = rows_of(clip.files["annotations"])[: len(crops)]
        hidden = rows[:, 0] == -5
        found = found[: len(rows)]
        assert found[~hidden].mean() > 0.8
        assert not found[hidden].any()
    assert [clip.attributes["side"] for clip in clips] == ["left", "right"]


def test_the_bytes_are_the_same_again_and_in_several_processes(tmp_path):
    one, again, two = (tiny(tmp_path / name) for name in ("one", "again", "two"))
    bar = Bar()
    render_synthetic_affwild2(one, progress=bar)
    assert (bar.total, bar.moved) == (5, 5)
    for index in (2, 0):
        render_video(again, index)
    assert contents(again.root).items() <= contents(one.root).items()
    render_synthetic_affwild2(two, workers=2)
    assert contents(one.root) == contents(two.root)


def test_another_seed_is_another_corpus(tmp_path):
    for seed in (0, 1):
        render_video(tiny(tmp_path / str(seed), seed=seed), 1)
    first, second = contents(tmp_path / "0"), contents(tmp_path / "1")
    assert all(data != second.get(name) for name, data in first.items())


def test_an_existing_rendering_is_kept_as_it_is(tmp_path):
    settings = tiny(tmp_path / "corpus")
    render_synthetic_affwild2(settings)
    next(settings.root.rglob("*.mp4")).write_bytes(b"spoilt on purpose")
    next(settings.root.rglob("*.avi")).unlink()
    before = contents(settings.root)
    bar = Bar()
    assert render_synthetic_affwild2(settings, progress=bar) == settings.root
    assert contents(settings.root) == before
    assert bar.total is None


@pytest.mark.parametrize("moment", ["while it is drawn", "before it is whole"])
def test_a_killed_rendering_is_finished(tmp_path, monkeypatch, moment):
    whole, killed = tiny(tmp_path / "whole"), tiny(tmp_path / "killed")
    render_synthetic_affwild2(whole)
    write_video = synthetic_affwild2.write_video
    calls = []

    def dies(path, frames, rate, *, sound):
        calls.append(path)
        if len(calls) == 2:
            path.with_name(f".{path.name}.partial").write_bytes(b"half")
            frames = iter(frames)
            for _ in range(20) if moment == "while it is drawn" else frames:
                next(frames, None)
            raise KeyboardInterrupt
        write_video(path, frames, rate, sound=sound)

    monkeypatch.setattr(synthetic_affwild2, "write_video", dies)
    with pytest.raises(KeyboardInterrupt):
        render_synthetic_affwild2(killed)
    assert not json.loads((killed.root / RECORD).read_text())["complete"]
    assert len([path for path in killed.root.rglob("*.mp4") if not path.name.startswith(".")]) == 1
    folders = {path.name for path in (killed.root / "cropped_aligned").iterdir() if "_" in path.name}
    assert all(name.startswith(".") for name in folders) == (moment == "while it is drawn")
    render_synthetic_affwild2(killed)
    assert contents(killed.root) == contents(whole.root)
    assert len(calls) == 2 + 3, "the finished video is not drawn again"


@pytest.mark.parametrize("changes", [{"width": 100}, {"seed": 1}, {"videos": 5}, {"seconds": 3.0}])
def test_another_rendering_is_refused(eight, changes):
    before = {path: path.stat().st_mtime_ns for path in eight.root.rglob("*")}
    with pytest.raises(SettingsError, match=rf"{eight.root} holds a synthetic corpus rendered with \w+ = "):
        render_synthetic_affwild2(eight.model_copy(update=changes))
    assert {path: path.stat().st_mtime_ns for path in eight.root.rglob("*")} == before


def test_the_other_synthetic_corpus_is_never_rendered_into(rendered):
    with pytest.raises(SettingsError, match="holds a synthetic corpus of another layout"):
        render_synthetic_affwild2(tiny(rendered.root))


def test_a_real_corpus_is_never_rendered_into(affwild2):
    before = contents(affwild2)
    with pytest.raises(SettingsError, match=r"holds 6th ABAW Annotations, which is no synthetic corpus"):
        render_synthetic_affwild2(tiny(affwild2))
    assert contents(affwild2) == before
