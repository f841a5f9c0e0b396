"""Which part of a clip's sound is heard."""

import numpy as np
import pytest
import soundfile

from pipelines.errors import UnreadableMedia
from pipelines.media.log_mel import log_mel
from pipelines.recipe import AudioSettings, ClipWindow
from pipelines.stages.shards.sounds import hear

SETTINGS = AudioSettings(rate=8000, high=4000.0, mels=20, seconds=1.0)
WINDOW = ClipWindow(start=2.0, stop=5.0)


def written(tmp_path, seconds, burst_s=None):
    """Faint noise, and half a second of loud noise around a moment."""
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.001, round(seconds * 8000))
    if burst_s is not None:
        first = round((burst_s - 0.25) * 8000)
        sound[first : first + 4000] = rng.normal(0, 0.2, 4000)
    soundfile.write(tmp_path / "sound.wav", sound, 8000, subtype="FLOAT")
    return tmp_path / "sound.wav", sound.astype(np.float32)


def loudest_s(heard):
    """Middle of the loud part, in seconds from the first column."""
    loud = np.flatnonzero(heard.mean(0) > heard.mean())
    return (loud[0] + loud[-1]) / 2 * SETTINGS.hop_seconds


@pytest.mark.parametrize("seconds", [5.0, 6.0, 60.0])
def test_the_middle_of_the_window_is_heard_in_the_middle(tmp_path, seconds):
    heard = hear(written(tmp_path, seconds, 3.5)[0], SETTINGS, WINDOW)
    assert heard.shape == (20, 100)
    assert loudest_s(heard) == pytest.approx(0.5, abs=0.03)


def test_a_track_that_ends_before_the_window_is_heard_in_its_own_middle(tmp_path):
    heard = hear(written(tmp_path, 1.6, 0.8)[0], SETTINGS, WINDOW)
    assert loudest_s(heard) == pytest.approx(0.5, abs=0.03)


def test_what_reaches_over_an_end_is_moved_inside(tmp_path):
    file, sound = written(tmp_path, 5.05)
    heard = hear(file, SETTINGS, ClipWindow(start=4.9, stop=5.05))
    np.testing.assert_array_equal(heard, log_mel(sound, SETTINGS)[:, -100:])


def test_what_lies_behind_the_window_is_not_decoded(tmp_path, monkeypatch):
    file, sound = written(tmp_path, 30.0, 3.5)
    whole = log_mel(sound, SETTINGS)
    np.testing.assert_array_equal(hear(file, SETTINGS, WINDOW), whole[:, 300:400])
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)
    np.testing.assert_array_equal(hear(file, SETTINGS, WINDOW), whole[:, 300:400])


def test_too_little_or_no_sound_is_missing_with_its_reason(tmp_path):
    with pytest.raises(UnreadableMedia, match=r"0\.50 s of sound, audio\.seconds = 1 are needed"):
        hear(written(tmp_path, 0.5)[0], SETTINGS, WINDOW)
    soundfile.write(tmp_path / "silent.wav", np.zeros(48000), 8000)
    with pytest.raises(UnreadableMedia, match="the track is silent"):
        hear(tmp_path / "silent.wav", SETTINGS, WINDOW)
