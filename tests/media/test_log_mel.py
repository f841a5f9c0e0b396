"""Log-mel spectrograms against librosa, whole and in pieces."""

import numpy as np
import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.media.log_mel import BLOCK, LogMelStream, analysis_samples, log_mel
from pipelines.recipe import AudioSettings

DEFAULT = AudioSettings()
OTHER = AudioSettings(rate=22050, window_seconds=0.04, hop_seconds=0.015, mels=40, low=0.0, high=11025.0)


def by_librosa(wave: np.ndarray, settings: AudioSettings) -> np.ndarray:
    """(mels, n) decibels."""
    import librosa

    window, hop, fft = analysis_samples(settings)
    power = librosa.feature.melspectrogram(
        y=wave, sr=settings.rate, n_fft=fft, hop_length=hop, win_length=window, window="hann", center=True,
        pad_mode="constant", power=2, n_mels=settings.mels, fmin=settings.low, fmax=settings.high,
    )  # fmt: skip
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)


def sounds(rate: int) -> dict[str, np.ndarray]:
    """Five seconds each, (n,) float32."""
    random, time = np.random.default_rng(0), np.arange(5 * rate) / rate
    chirp = np.sin(2 * np.pi * (100 + 600 * time) * time) * np.linspace(0, 1, len(time))
    return {
        "noise": random.normal(0, 0.1, len(time)).astype(np.float32),
        "chirp": (chirp + random.normal(0, 1e-2, len(time))).astype(np.float32),
        "a click in silence": np.where(np.arange(len(time)) == 7777, 1.0, 0.0).astype(np.float32),
        "quiet": (1e-4 * chirp).astype(np.float32),
    }


@pytest.mark.parametrize("settings", [DEFAULT, OTHER], ids=["default", "other"])
@pytest.mark.parametrize("name", sounds(8000))
def test_it_equals_librosa(name, settings):
    wave = sounds(settings.rate)[name]
    ours = log_mel(wave, settings)
    assert ours.dtype == np.float32
    assert ours.shape == (settings.mels, 1 + len(wave) // analysis_samples(settings)[1])
    np.testing.assert_allclose(ours, by_librosa(wave, settings), rtol=0, atol=1e-3)


def test_window_hop_and_transform_are_those_of_the_settings():
    assert analysis_samples(DEFAULT) == (400, 160, 512)
    assert analysis_samples(OTHER) == (882, 331, 1024)
    assert analysis_samples(AudioSettings(window_seconds=0.032)) == (512, 160, 512)


def test_a_column_is_centred_on_its_sample():
    wave = np.zeros(DEFAULT.rate, np.float32)
    wave[160 * 40] = 1.0
    assert log_mel(wave, DEFAULT).sum(0).argmax() == 40


@pytest.mark.parametrize("piece", [1, 37, 4000, 16000, 200_001])
def test_pieces_of_any_size_give_the_same_to_the_last_bit(piece):
    wave = np.random.default_rng(1).normal(0, 0.1, 200_001 if piece > 1 else 2_001).astype(np.float32)
    stream = LogMelStream(DEFAULT)
    parts = [part for first in range(0, len(wave), piece) for part in stream.push(wave[first : first + piece])]
    parts += stream.finish()
    assert all(part.shape[1] <= BLOCK for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), log_mel(wave, DEFAULT))


@pytest.mark.filterwarnings("ignore:n_fft=512 is too large")
@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 160 * BLOCK - 1, 160 * BLOCK, 160 * BLOCK + 257])
def test_sound_of_any_length_has_a_column_a_hop(samples):
    wave = np.random.default_rng(2).normal(0, 0.1, samples).astype(np.float32)
    ours = log_mel(wave, DEFAULT)
    assert ours.shape == (64, 1 + samples // 160)
    if samples:
        np.testing.assert_allclose(ours, by_librosa(wave, DEFAULT), rtol=0, atol=1e-3)


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_mel(np.zeros(1600, np.float32), DEFAULT), -100, atol=1e-4)


def test_the_callers_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        log_mel(np.zeros(1600, np.float32), DEFAULT)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_bands_that_would_hold_nothing_are_refused():
    with pytest.raises(SettingsError, match=r"audio\.mels = 256: \d+ of these bands between 125 and 7500 Hz"):
        log_mel(np.zeros(1600, np.float32), AudioSettings(mels=256))
