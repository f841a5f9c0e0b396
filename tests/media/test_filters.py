"""Filters and spectrograms against scipy and against signals whose answer is known."""

import numpy as np
import pytest
import scipy.signal

from pipelines.errors import SettingsError
from pipelines.media.filters import (
    SPECTROGRAMS,
    SpectrogramShape,
    bandpass,
    filter_channel,
    log_spectrogram,
    remove_line,
    resample,
    spectrogram_shape,
)
from pipelines.recipe import BiosignalSettings

RATE = 512.0
TIME = np.arange(2816) / RATE


def tone(*frequencies: float, rate: float = RATE, samples: int = 2816) -> np.ndarray:
    """(1, n) sum of sines of amplitude 1."""
    time = np.arange(samples) / rate
    return np.sum([np.sin(2 * np.pi * f * time) for f in frequencies], axis=0)[None]


def amplitude(wave: np.ndarray, frequency: float, rate: float = RATE) -> float:
    """Amplitude of one frequency in the middle of a wave, away from its ends."""
    middle = wave[0, wave.shape[1] // 4 : -wave.shape[1] // 4]
    time = np.arange(middle.size) / rate
    window = np.hanning(middle.size)
    return float(2 * abs((middle * window * np.exp(-2j * np.pi * frequency * time)).sum()) / window.sum())


@pytest.mark.parametrize("frequency", [1.0, 10.0, 20.0, 60.0, 150.0, 250.0])
def test_gain_is_the_square_of_one_butterworth_pass(frequency):
    band = (20.0, 150.0)
    expected = 1 / (1 + (20.0 / frequency) ** 6)
    warped = np.tan(np.pi * np.array([frequency, 150.0]) / RATE)  # scipy's bilinear low-pass bends the axis
    expected *= 1 / (1 + (warped[0] / warped[1]) ** 6)
    assert amplitude(bandpass(tone(frequency), RATE, band), frequency) == pytest.approx(expected, abs=0.03)


def test_cut_offs_are_in_true_hertz_whatever_the_rate():
    for rate in (256.0, 505.3, 1000.0):
        wave = bandpass(tone(4.0, rate=rate, samples=round(5.5 * rate)), rate, (None, 4.0))
        assert amplitude(wave, 4.0, rate) == pytest.approx(0.5, abs=0.02)


def test_filtering_does_not_shift_in_time():
    pulse = np.exp(-(((TIME - 2.0) / 0.05) ** 2))[None]
    assert bandpass(pulse, RATE, (1.0, 40.0)).argmax() == pulse.argmax()


def test_an_edge_above_half_the_rate_is_dropped():
    wave = tone(30.0, rate=400.0)
    np.testing.assert_array_equal(bandpass(wave, 400.0, (20.0, 250.0)), bandpass(wave, 400.0, (20.0, None)))
    np.testing.assert_array_equal(bandpass(wave, 400.0, (None, 200.0)), wave)


@pytest.mark.parametrize("band", [(300.0, None), (4.0, 0.2), (0.0, 4.0), (None, -1.0), (-1.0, None)])
def test_bands_that_leave_nothing_are_refused(band):
    with pytest.raises(SettingsError, match=r"leaves nothing of a signal at 512 Hz: set biosignals\.\*_band"):
        bandpass(tone(30.0), RATE, band)


def test_a_slow_high_pass_does_not_smear_the_ends_over_a_short_clip():
    beats = 300 * (np.arange(20 * 512) % 430 < 20.0) + 2000.0  # 1.2 a second; the clip starts on a beat
    whole = bandpass(remove_line(beats[None]), RATE, (0.1, None))[0, 4305 : 4305 + 2816]
    clip = bandpass(remove_line(beats[None, 4305 : 4305 + 2816]), RATE, (0.1, None))[0]
    assert np.sqrt(np.mean((clip - whole) ** 2)) < 0.1 * whole.std()
    sections = scipy.signal.butter(3, 0.1, "highpass", fs=RATE, output="sos")
    usual = scipy.signal.sosfiltfilt(sections, remove_line(beats[None, 4305 : 4305 + 2816]))[0]
    assert np.mean((clip - whole) ** 2) < 0.2 * np.mean((usual - whole) ** 2)


def test_a_line_is_removed_and_nothing_else():
    np.testing.assert_allclose(remove_line(3 + 5 * TIME[None]), 0, atol=1e-9)
    np.testing.assert_allclose(remove_line(tone(3.0) + 7 * TIME), scipy.signal.detrend(tone(3.0), axis=-1), atol=1e-9)


def test_the_trend_is_removed_from_the_ecg_only():
    ramp = 100 * TIME[None] + tone(1.0)
    open_bands = BiosignalSettings(ecg_band=(None, None), eda_band=(None, None), emg_band=(None, None))
    assert np.ptp(filter_channel("ecg", ramp, RATE, open_bands)) < 3
    np.testing.assert_array_equal(filter_channel("eda", ramp, RATE, open_bands), ramp)


@pytest.mark.parametrize("channel", ["eda", "ecg", "emg"])
def test_nan_stays_in_its_row(channel):
    rows = np.concatenate([tone(3.0), tone(30.0), tone(100.0)])
    clean = filter_channel(channel, rows, RATE, BiosignalSettings())
    rows[1, 100:110] = np.nan
    noisy = filter_channel(channel, rows, RATE, BiosignalSettings())
    np.testing.assert_array_equal(noisy[[0, 2]], clean[[0, 2]])
    assert np.isnan(noisy[1]).any()
    down = resample(rows, RATE, 256.0)
    np.testing.assert_array_equal(down[[0, 2]], resample(rows[[0, 2]], RATE, 256.0))
    image = log_spectrogram(rows, RATE, shape=SPECTROGRAMS["emg"])
    np.testing.assert_array_equal(image[[0, 2]], log_spectrogram(rows[[0, 2]], RATE, shape=SPECTROGRAMS["emg"]))


@pytest.mark.parametrize(
    ("rate", "target"), [(512.0, 32.0), (512.0, 256.0), (505.3, 32.0), (100.0, 256.0), (512.3, 512.0)]
)
def test_resampling_keeps_the_clock(rate, target):
    samples = round(5.5 * rate)
    wave = resample(5 + tone(0.7, rate=rate, samples=samples), rate, target)
    expected = 5 + tone(0.7, rate=target, samples=wave.shape[1])
    assert abs(wave.shape[1] - 5.5 * target) <= 1
    edge = round(target / 2)
    np.testing.assert_allclose(wave[:, edge:-edge], expected[:, edge:-edge], atol=0.01)


@pytest.mark.parametrize(
    ("channel", "rate", "samples"), [("eda", 32.0, 176), ("ecg", 256.0, 1408), ("emg", 512.0, 2816)]
)
def test_spectrograms_are_scipys(channel, rate, samples):
    waves = np.random.default_rng(0).normal(size=(3, samples)).astype(np.float32)
    shape = SPECTROGRAMS[channel]
    window, hop, fft = shape.samples(samples, rate)
    _, _, density = scipy.signal.spectrogram(
        waves.astype(np.float64), rate, "hann", window, window - hop, fft, scaling="density", axis=-1
    )
    image = log_spectrogram(waves, rate, shape=shape)
    bins, windows = shape.size(samples, rate)
    assert (image.dtype, image.shape) == (np.float32, (3, bins, windows))
    np.testing.assert_allclose(image, 10 * np.log10(density[:, :bins] + 1e-10), atol=1e-4)
    assert 32 <= bins <= 65
    assert 32 <= windows <= 65


def test_a_tone_lies_in_its_bin():
    image = log_spectrogram(tone(100.0), RATE, shape=SPECTROGRAMS["emg"])
    assert (image[0].argmax(axis=0) == 100 / 4).all()


def test_silence_is_the_floor_and_waves_shorter_than_a_window_give_one():
    image = log_spectrogram(np.zeros((2, 20)), 32.0, shape=SPECTROGRAMS["eda"])
    assert image.shape == (2, 33, 1)
    np.testing.assert_allclose(image, -100)


@pytest.mark.parametrize("samples", [1, 2, 5, 64])
@pytest.mark.parametrize("rate", [1.0, 7.3, 512.0])
def test_the_size_is_what_comes_out(samples, rate):
    shape = SpectrogramShape(window=0.5, hop=0.1, spacing=3.0, top=80.0)
    image = log_spectrogram(np.ones((1, samples)), rate, shape=shape)
    assert image.shape[1:] == shape.size(samples, rate)
    assert np.isfinite(image).all()


@pytest.mark.parametrize(("rate", "high"), [(32.0, None), (250.0, 40.0), (1000.0, 5000.0), (4.0, 0.4)])
def test_any_signal_has_a_spectrogram_of_about_the_same_size(rate, high):
    shape = spectrogram_shape(10.0, rate, high)
    bins, windows = shape.size(round(10 * rate), rate)
    assert 35 <= bins <= 42
    assert 25 <= windows <= 55
    assert shape.top <= rate / 2


def test_a_tone_of_any_signal_lies_in_its_bin():
    shape = spectrogram_shape(20.0, 50.0, 10.0)
    image = log_spectrogram(tone(6.0, rate=50.0, samples=1000), 50.0, shape=shape)
    assert (abs(image[0].argmax(axis=0) * shape.spacing - 6.0) <= shape.spacing).all()
