import json
import shutil
from pathlib import Path

import pytest

from pipelines.corpora import index_corpus, synthetic
from pipelines.corpora.rendering import RECORD
from pipelines.corpora.synthetic import render_synthetic
from pipelines.errors import SettingsError
from pipelines.media.biosignals import read_biosignals
from pipelines.media.video import probe, read_frames
from pipelines.recipe import BiosignalSettings, SyntheticCorpus


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def tiny(root: Path, **changes) -> SyntheticCorpus:
    sizes = {"subject_count": 2, "clips_per_class": 1, "seconds": 1.0, "width": 96}
    return SyntheticCorpus(root=root, **sizes | changes)


class Bar:
    total, moved = None, 0

    def __bool__(self):
        raise TypeError("tqdm's bars of unknown length have no truth value")

    def reset(self, total=None):
        self.total = total

    def update(self, n=1):
        self.moved += n


def test_the_adapter_reads_it(rendered):
    corpus = index_corpus(rendered)
    assert corpus.name == "synthetic"
    assert corpus.missing == ()
    assert len(corpus.groups) == 2
    assert sorted(clip.label for clip in corpus.clips) == [0] * 4 + [1] * 4
    for clip in corpus.clips:
        info = probe(clip.files["video"])
        assert (info.width, info.height, info.rate) == (160, 120, 25)
        assert sum(1 for _ in read_frames(clip.files["video"])) == 38
        recording = read_biosignals(clip.files["biosignals"], BiosignalSettings())
        assert recording.rate == pytest.approx(512, rel=1e-4)
        assert len(recording.channels["eda"]) == 768


def test_a_clip_of_biovids_length(tmp_path):
    settings = SyntheticCorpus(root=tmp_path / "corpus", subject_count=2, clips_per_class=1, width=96)
    synthetic.render_subject(settings, synthetic.draw_subjects(0, 1)[0])
    video = sorted(settings.root.rglob("*.mp4"))
    table = sorted(settings.root.rglob("*_bio.csv"))
    assert probe(video[0]).frames == 138
    assert len(table[0].read_text().splitlines()) == 1 + 2816


def test_the_bytes_are_the_same_again_and_in_several_processes(tmp_path):
    one, again, two = (tiny(tmp_path / name) for name in ("one", "again", "two"))
    bar = Bar()
    render_synthetic(one, progress=bar)
    assert (bar.total, bar.moved) == (4, 4)
    render_synthetic(again)
    render_synthetic(two, workers=2)
    assert contents(one.root) == contents(again.root) == contents(two.root)


def test_five_classes_contain_the_two(tmp_path):
    two, five = tiny(tmp_path / "two"), tiny(tmp_path / "five", task="pain-five")
    for settings in (two, five):
        render_synthetic(settings)
    assert len(index_corpus(five).clips) == 10
    media = {name: data for name, data in contents(two.root).items() if name.endswith((".mp4", "_bio.csv"))}
    assert media.items() <= contents(five.root).items()


def test_another_seed_is_another_corpus(tmp_path):
    for seed in (0, 1):
        render_synthetic(tiny(tmp_path / str(seed), seed=seed))
    assert not {p.name for p in tmp_path.glob("0/PartA/video/*")} & {p.name for p in tmp_path.glob("1/PartA/video/*")}


def test_an_existing_rendering_is_kept_as_it_is(own_copy):
    clip = next(own_copy.root.rglob("*.mp4"))
    clip.write_bytes(b"spoilt on purpose")
    before = contents(own_copy.root)
    bar = Bar()
    assert render_synthetic(own_copy, progress=bar) == own_copy.root
    assert contents(own_copy.root) == before
    assert bar.total is None


def test_a_killed_rendering_is_finished(tmp_path, monkeypatch):
    whole, killed = tiny(tmp_path / "whole"), tiny(tmp_path / "killed")
    render_synthetic(whole)
    write_video = synthetic.write_video
    calls = []

    def dies(path, frames, rate):
        calls.append(path)
        if len(calls) == 3:
            path.with_name(f".{path.name}.partial").write_bytes(b"half")
            raise KeyboardInterrupt
        write_video(path, frames, rate)

    monkeypatch.setattr(synthetic, "write_video", dies)
    with pytest.raises(KeyboardInterrupt):
        render_synthetic(killed)
    assert not json.loads((killed.root / RECORD).read_text())["complete"]
    assert not list(killed.root.rglob("samples.csv"))
    assert len(list(killed.root.rglob("*.mp4"))) == 2
    render_synthetic(killed)
    assert contents(killed.root) == contents(whole.root)
    assert len(calls) == 3 + 2, "the two finished videos are not drawn again"


@pytest.mark.parametrize("changes", [{"width": 98}, {"seed": 1}, {"subject_count": 3}, {"task": "pain-five"}])
def test_another_rendering_is_refused(own_copy, changes):
    before = contents(own_copy.root)
    changed = own_copy.model_copy(update=changes)
    with pytest.raises(SettingsError, match=rf"{own_copy.root} holds a synthetic corpus rendered with \w+ = "):
        render_synthetic(changed)
    assert contents(own_copy.root) == before


def test_a_real_corpus_is_never_rendered_into(tmp_path, make_tree):
    make_tree(tmp_path / "PartA")
    before = contents(tmp_path)
    with pytest.raises(SettingsError, match="holds PartA, which is no synthetic corpus"):
        render_synthetic(tiny(tmp_path))
    assert contents(tmp_path) == before


def test_a_damaged_record_is_refused(own_copy):
    (own_copy.root / RECORD).write_text("{")
    with pytest.raises(SettingsError, match="which is no synthetic corpus"):
        render_synthetic(own_copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"biosignals": "biosignals_filtered"}, "only biosignals_raw is rendered"),
    ],
)
def test_settings_that_cannot_be_rendered(tmp_path, changes, message):
    with pytest.raises(SettingsError, match=message):
        render_synthetic(tiny(tmp_path / "corpus", **changes))
    assert not (tmp_path / "corpus").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "corpus").write_text("mine")
    with pytest.raises(SettingsError, match="is a file"):
        render_synthetic(tiny(tmp_path / "corpus"))


def test_a_deleted_clip_is_a_missing_file_not_a_reason_to_render(own_copy):
    shutil.rmtree(next((own_copy.root / "PartA" / "video").iterdir()))
    render_synthetic(own_copy)
    assert len(index_corpus(own_copy).missing) == 4
