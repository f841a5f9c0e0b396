"""Sound and time stamps of real recordings; see the fixture `real_data`."""

import numpy as np
import pytest

from pipelines.cache.audio import AudioShard, AudioShardWriter
from pipelines.media import time_stamps
from pipelines.media.audio import probe_audio, read_sound
from pipelines.media.log_mel import analysis_samples, log_mel
from pipelines.media.time_stamps import frame_times
from pipelines.media.video import read_frames
from pipelines.recipe import AudioSettings

SETTINGS = AudioSettings()
VIDEOS = ("WolfgangLanger_Pexels.mp4", "face_noface.mov", "no_face.mp4", "noface_face.mov", "single_face.mp4")


@pytest.mark.parametrize(
    ("name", "rate", "start_s", "stop_s"),
    [
        ("WolfgangLanger_Pexels.mp4", 48000, 0.0, 19.691),
        ("face_noface.mov", 44100, 2.430, 6.396),
        ("no_face.mp4", 44100, 0.0, 3.966),
        ("noface_face.mov", 44100, 0.0, 3.966),
        ("single_face.mp4", 44100, 0.0, 2.418),
    ],
)
def test_sound_lies_where_its_container_says(name, rate, start_s, stop_s, real_data):
    """In one, sound begins with the second shot; in all but one, what the encoder put before it is hidden."""
    info = probe_audio(real_data / "faces" / name)
    assert (info.rate, info.channels, info.video_start_s) == (rate, 2, 0.0)
    assert info.start_s == pytest.approx(start_s, abs=1e-3)
    blocks = list(read_sound(real_data / "faces" / name, SETTINGS.rate))
    assert blocks[0].start_s == info.start_s
    assert blocks[-1].start_s + len(blocks[-1].samples) / SETTINGS.rate == pytest.approx(stop_s, abs=1e-3)
    assert not any(block.is_gap for block in blocks)


def test_the_same_sound_at_another_time_is_the_same_sound(real_data):
    """Two of the videos share a track, which begins 2.43 s later in one of them."""
    one, other = (
        np.concatenate([block.samples for block in read_sound(real_data / "faces" / name, SETTINGS.rate)])
        for name in ("face_noface.mov", "noface_face.mov")
    )
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", VIDEOS[1:])
def test_real_sound_gives_librosas_spectrogram(name, real_data):
    import librosa

    wave = np.concatenate([block.samples for block in read_sound(real_data / "faces" / name, SETTINGS.rate)])
    window, hop, fft = analysis_samples(SETTINGS)
    power = librosa.feature.melspectrogram(
        y=wave, sr=16000, n_fft=fft, hop_length=hop, win_length=window, window="hann", center=True,
        pad_mode="constant", power=2, n_mels=64, fmin=125, fmax=7500,
    )  # fmt: skip
    expected = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    np.testing.assert_allclose(log_mel(wave, SETTINGS), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", VIDEOS)
def test_a_track_goes_through_the_cache(name, real_data, tmp_path):
    with AudioShardWriter(tmp_path / "a.h5", SETTINGS) as writer:
        for block in read_sound(real_data / "faces" / name, SETTINGS.rate):
            writer.add(block)
    shard = AudioShard(tmp_path / "a.h5")
    if name.startswith("Wolfgang"):  # its track holds zeros only
        assert shard.reason == "the track is silent"
        return
    start_s, stop_s = shard.span
    centres = np.linspace(start_s, stop_s, 7)
    assert all(shard.read(centre, 2.0).shape == (1, 64, 200) for centre in centres)
    assert not shard.covers(start_s - 0.5, 2.0)


@pytest.mark.parametrize("name", VIDEOS)
def test_times_of_frames_need_no_decoding(name, real_data, monkeypatch):
    path = real_data / "faces" / name
    expected = [frame.time_s for frame in read_frames(path)]
    monkeypatch.setattr(time_stamps, "read_frames", None)
    np.testing.assert_array_equal(frame_times(path), expected)
