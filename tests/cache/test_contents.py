import h5py
import numpy as np
import pytest

from pipelines.cache.annotations import Annotation, write_annotations
from pipelines.cache.audio import AudioShardWriter
from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.cache.contents import contents_of
from pipelines.cache.faces import FaceShardWriter
from pipelines.errors import DamagedFile
from pipelines.media.audio import SoundBlock
from pipelines.media.faces import FaceCrop
from pipelines.recipe import AudioSettings

SIZE = 16


def crops(there):
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    return (FaceCrop(i, i / 25, (0.0, 0.0, 1.0, 1.0), image if is_there else None) for i, is_there in enumerate(there))


def write_faces(path, storage="jpeg"):
    with FaceShardWriter(path, size=SIZE, storage=storage) as writer:
        writer.add("a", crops([True, False, True]))
        writer.add("b", crops([False, False]))
    return path


def write_signals(path):
    arrays = ChannelArrays(
        present=np.array([True, False]),
        wave=np.zeros((2, 40), np.float32),
        valid=np.ones((2, 40), bool),
        spectrogram=np.zeros((2, 5, 6), np.float32),
    )
    features = ChannelArrays(present=np.array([True, True]), features=np.zeros((2, 3), np.float32))
    write_channels(path, ["a", "b"], {"eda": arrays, "au": features})
    return path


def write_trials(path):
    write_annotations(path, {"a": Annotation(np.zeros((9, 2)), np.arange(9.0))})
    return path


def write_sound(path, seconds=1.3):
    settings = AudioSettings()
    noise = np.random.default_rng(0).normal(size=round(seconds * settings.rate)).astype(np.float32)
    with AudioShardWriter(path, settings) as writer:
        if seconds:
            writer.add(SoundBlock(samples=noise, start_s=0.04, is_gap=False))
    return path


@pytest.mark.parametrize("storage", ["jpeg", "raw"])
def test_a_clip_without_a_face_is_there_but_holds_nothing(tmp_path, storage):
    found = contents_of(write_faces(tmp_path / "s.h5", storage), "faces", ("front",))
    assert found.clips == ("a", "b")
    assert (found.holds("a", "front"), found.holds("b", "front"), found.holds("a", "faces")) == (True, False, False)


def test_channels_of_clips(tmp_path):
    found = contents_of(write_signals(tmp_path / "s.h5"), "biosignals", ("eda", "au"))
    assert found.clips == ("a", "b")
    assert [found.holds(clip, name) for clip in "ab" for name in ("eda", "au")] == [True, True, False, True]


@pytest.mark.parametrize("seconds", [0.03, 0.1, 1.3, 4.4437])
def test_sound_is_that_of_the_whole_group(tmp_path, seconds):
    found = contents_of(write_sound(tmp_path / "s.h5", seconds), "audio", ("audio",))
    assert found.clips is None
    assert found.holds("whoever", "audio")


def test_a_track_that_is_missing(tmp_path):
    assert not contents_of(write_sound(tmp_path / "s.h5", 0), "audio", ("audio",)).holds("a", "audio")


def test_annotated_trials(tmp_path):
    assert contents_of(write_trials(tmp_path / "s.h5"), "annotations", ()).clips == ("a",)


def test_a_shard_of_no_clips_is_whole(tmp_path):
    with FaceShardWriter(tmp_path / "f.h5", size=SIZE, storage="jpeg"):
        pass
    write_channels(tmp_path / "c.h5", [], {"au": ChannelArrays(present=np.zeros(0, bool), features=np.zeros((0, 0)))})
    assert contents_of(tmp_path / "f.h5", "faces", ("faces",)).clips == ()
    assert contents_of(tmp_path / "c.h5", "biosignals", ("au",)).clips == ()


def replaced(name, change):
    def edit(file):
        values = change(file[name][()])
        del file[name]
        file[name] = values

    return edit


def without(name):
    return lambda file: file.__delitem__(name)


def doubled(file):
    file["clips"][1] = b"a"


def huge(file):
    del file["valid"]
    file.create_dataset("valid", (10**12,), bool, chunks=(1 << 16,))


@pytest.mark.parametrize(
    ("write", "layout", "modality", "edit", "reason"),
    [
        (write_faces, "faces", "faces", without("offsets"), "has no offsets"),
        (write_faces, "faces", "faces", doubled, "holds clip a more than once"),
        (write_faces, "faces", "faces", replaced("offsets", lambda v: v[:-1]), r"expected \(6\)"),
        (write_faces, "faces", "faces", replaced("offsets", lambda v: v + 1), "has offsets that do not fit its"),
        (write_faces, "faces", "faces", replaced("bytes", lambda v: v[:-5]), "has offsets that do not fit its"),
        (write_faces, "faces", "faces", replaced("valid", lambda v: ~v), "has offsets that do not fit its"),
        (write_faces, "faces", "faces", replaced("ranges", lambda v: v[::-1]), "do not divide its 5 frames"),
        (write_faces, "faces", "faces", replaced("times", lambda v: v[:3]), "has times of shape"),
        (write_faces, "faces", "faces", replaced("valid", lambda v: v.astype(float)), "has valid of shape"),
        (write_faces, "faces", "faces", huge, "has valid of 1,000,000,000,000 bytes in a file of"),
        (write_faces, "faces", "faces", lambda file: file.attrs.__delitem__("storage"), "has no attribute storage"),
        (write_faces, "faces", "faces", replaced("clips", lambda v: np.arange(len(v))), "has clips of shape"),
        (write_signals, "biosignals", "ecg", lambda file: None, "has no ecg/present"),
        (write_signals, "biosignals", "eda", replaced("eda/valid", lambda v: v[:, :9]), "has eda/valid of shape"),
        (write_signals, "biosignals", "eda", without("eda/valid"), "has no eda/valid"),
        (write_signals, "biosignals", "eda", replaced("eda/spectrogram", lambda v: v[:1]), "has eda/spectrogram of"),
        (write_signals, "biosignals", "au", without("au/features"), "has no values of au"),
        (write_sound, "audio", "audio", replaced("log_mel", lambda v: v[:-9]), "has 122 columns of sound, expected"),
        (write_trials, "annotations", "", without("trials/a/times"), "has no trials/a/times"),
        (write_trials, "annotations", "", replaced("trials/a/times", lambda v: v[1:]), "has trials/a/times of shape"),
    ],
)
def test_what_is_not_whole_is_named(tmp_path, write, layout, modality, edit, reason):
    path = write(tmp_path / "s.h5")
    with h5py.File(path, "a") as file:
        edit(file)
    with pytest.raises(DamagedFile, match=reason) as caught:
        contents_of(path, layout, (modality,) if modality else ())
    assert caught.value.file == path


def test_raw_crops_that_do_not_fit_their_rows(tmp_path):
    path = write_faces(tmp_path / "s.h5", "raw")
    with h5py.File(path, "a") as file:
        file["rows"][0] = 1
    with pytest.raises(DamagedFile, match="has rows that do not fit its 2 crops"):
        contents_of(path, "faces", ("faces",))


def test_another_layout_and_no_hdf5(tmp_path):
    with pytest.raises(DamagedFile, match="holds faces format 2, expected audio format 2"):
        contents_of(write_faces(tmp_path / "s.h5"), "audio", ("audio",))
    (tmp_path / "text.h5").write_text("clip,group\n")
    with pytest.raises(DamagedFile, match=r"text\.h5 is damaged"):
        contents_of(tmp_path / "text.h5", "faces", ("faces",))
