"""The sound of one recording, for looking at it."""

import cv2
import numpy as np
import pytest

from pipelines.media.audio_extraction import extract_sound, plot_sound
from pipelines.recipe import AudioSettings

SETTINGS = AudioSettings()


def test_times_are_those_of_the_recording_and_gaps_are_told(record, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    sound = extract_sound(record("a.mkv", [(0.5, noise), (2.0, noise)]), SETTINGS)
    assert (sound.start_s, sound.stop_s) == pytest.approx((0.5, 3.0))
    np.testing.assert_allclose(sound.times, 0.5 + np.arange(251) / 100)
    np.testing.assert_allclose(sound.gaps, [[1.5, 2.0]])
    np.testing.assert_allclose(sound.levels, -20, atol=0.2)
    assert sound.peak == pytest.approx(np.abs(noise).max(), abs=1e-3)
    plot_sound(tmp_path / "a.png", sound, SETTINGS, title="noise")
    picture = cv2.imread(str(tmp_path / "a.png")).astype(int)
    red = (picture[..., 2] > picture[..., 1] + 60) & (picture[..., 2] > picture[..., 0] + 40)
    assert 0.1 < red.any(0).mean() < 0.25  # half a second of two and a half, beside the scale


def test_silence_has_a_level_too(record):
    sound = extract_sound(record("a.mkv", [(0.0, np.zeros(16000))]), SETTINGS)
    assert sound.peak == 0
    assert sound.levels.tolist() == [-np.inf]


def test_without_a_track_there_is_nothing(tmp_path):
    cv2.imwrite(str(tmp_path / "still.png"), np.zeros((32, 32, 3), np.uint8))
    assert extract_sound(tmp_path / "still.png", SETTINGS) is None
