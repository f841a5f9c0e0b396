"""Quality of single channels, and shards of clips that differ in rate, length and what they lack."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.errors import SettingsError
from pipelines.media import biosignals
from pipelines.media.biosignals import Recording, check_channel, process_biosignals, process_signals
from pipelines.recipe import BIOSIGNALS, BiosignalSettings, SignalFiles

SETTINGS = BiosignalSettings()
SHAPES = {"eda": (176, 33, 57), "ecg": (1408, 41, 50), "emg": (2816, 65, 53)}
"""Samples of a wave, bins and windows of a spectrogram at the default settings."""


def recording(samples: int = 2816, rate: float = 512.0, seed: int = 0) -> Recording:
    """A slow EDA wave, an ECG-like comb of harmonics, and noise as EMG, independent of the rate they are sampled at."""
    time = np.arange(samples) / rate
    random = np.random.default_rng(seed)
    return Recording(
        {
            "eda": 4 + seed + np.sin(2 * np.pi * 0.3 * time),
            "ecg": 300 * sum(np.cos(2 * np.pi * 1.2 * k * time) for k in range(1, 9)) + 50 * time,
            "emg": random.normal(size=samples) * 10 + 2000,
        },
        rate,
    )


def damaged(channel: str, change, **values) -> Recording:
    """A recording with one channel changed in place by `change`."""
    sound = recording(**values)
    change(sound.channels[channel])
    return sound


def test_a_sound_channel_is_present_and_untouched():
    signal = recording().channels["ecg"]
    quality = check_channel(signal, 512.0, SETTINGS)
    assert quality.present
    np.testing.assert_array_equal(quality.samples, signal)
    assert not quality.missing.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e13])
def test_gaps_are_interpolated_and_marked(bad):
    signal = np.arange(2816.0)
    signal[:3] = signal[100:200] = signal[-1] = bad
    quality = check_channel(signal, 512.0, SETTINGS)
    assert quality.present
    assert np.flatnonzero(quality.missing).tolist() == [0, 1, 2, *range(100, 200), 2815]
    np.testing.assert_allclose(quality.samples[3:2815], np.arange(3.0, 2815))
    assert quality.samples[0] == 3
    assert quality.samples[-1] == 2814


def test_too_many_gaps_make_a_channel_missing():
    signal = np.arange(2816.0)
    signal[: 2816 // 5] = np.nan
    assert check_channel(signal, 512.0, SETTINGS).present
    signal[: 2816 // 5 + 3] = np.nan
    assert check_channel(signal, 512.0, SETTINGS).reason == "20.1 % of the samples missing, at most 20 % may be"


def test_only_the_part_that_is_used_is_judged():
    signal = np.arange(2816.0 * 3)
    signal[2816:] = np.nan
    assert check_channel(signal, 512.0, SETTINGS).present
    flat_where_used = np.concatenate((np.zeros(2816), np.arange(5632.0)))
    assert check_channel(flat_where_used, 512.0, SETTINGS).reason == "flat line at 0.0"


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.zeros(2816), "flat line at 0.0"),
        (np.full(2816, 2.5), "flat line at 2.5"),
        (2048 + np.tile([0.0, 1e-4], 1408), "flat line at 2048.0"),
        (np.where(np.arange(2816) % 7 == 0, np.nan, 3.0), "flat line at 3.0"),
        (np.full(2816, np.nan), "100.0 % of the samples missing, at most 20 % may be"),
        (np.arange(400.0), "0.78 s recorded, at least 1 s are needed"),
    ],
)
def test_unusable_channels_say_why(signal, reason):
    quality = check_channel(signal, 512.0, SETTINGS)
    assert not quality.present
    assert quality.reason == reason
    assert np.isfinite(quality.samples).all()


def test_shapes_and_types_of_a_shard():
    channels = process_biosignals([recording(), recording(seed=1)], SETTINGS)
    assert tuple(channels) == BIOSIGNALS
    for name, batch in channels.items():
        length, bins, windows = SHAPES[name]
        assert (batch.waves.shape, batch.waves.dtype) == ((2, length), np.float32)
        assert (batch.valid.shape, batch.valid.dtype) == ((2, length), np.bool_)
        assert (batch.spectrograms.shape, batch.spectrograms.dtype) == ((2, bins, windows), np.float32)
        assert batch.present.tolist() == [True, True]
        assert batch.reasons == ("", "")
        assert batch.valid.all()
        assert np.isfinite(batch.spectrograms).all()


def test_an_empty_shard():
    for name, batch in process_biosignals([], SETTINGS).items():
        length, bins, windows = SHAPES[name]
        assert batch.waves.shape == (0, length)
        assert batch.spectrograms.shape == (0, bins, windows)


def test_waves_hold_the_signals():
    channels = process_biosignals([recording()], SETTINGS)
    time = np.arange(176) / 32
    expected = 4 + np.sin(2 * np.pi * 0.3 * time)
    np.testing.assert_allclose(channels["eda"].waves[0], expected, atol=0.06)  # the ends, mirrored, lose their slope
    np.testing.assert_allclose(channels["eda"].waves[0, 4:-4], expected[4:-4], atol=0.02)
    comb = 300 * sum(np.cos(2 * np.pi * 1.2 * k * np.arange(1408) / 256) for k in range(1, 9))
    assert np.corrcoef(channels["ecg"].waves[0], comb)[0, 1] > 0.99
    assert abs(channels["emg"].waves[0].mean()) < 0.5


def test_a_clip_is_the_same_alone_and_in_any_company():
    company = [recording(seed=seed) for seed in range(5)]
    company[1] = recording(2780, 505.3, seed=1)
    company[2] = damaged("ecg", lambda signal: signal.__setitem__(slice(50, 90), np.nan), seed=2)
    company[3] = damaged("ecg", lambda signal: signal.fill(0), seed=3)
    together = process_biosignals(company, SETTINGS)
    backwards = process_biosignals(company[::-1], SETTINGS)
    for row, clip in enumerate(company):
        for name, alone in process_biosignals([clip], SETTINGS).items():
            for field in ("waves", "valid", "spectrograms", "present"):
                expected = getattr(alone, field)[0]
                np.testing.assert_allclose(getattr(together[name], field)[row], expected, rtol=1e-5, atol=1e-4)
                np.testing.assert_array_equal(
                    getattr(backwards[name], field)[4 - row], getattr(together[name], field)[row]
                )


def test_more_clips_than_a_block_holds(monkeypatch):
    clips = [recording(seed=seed) for seed in range(5)]
    expected = process_biosignals(clips, SETTINGS)["emg"]
    monkeypatch.setattr(biosignals, "BLOCK", 2)
    np.testing.assert_allclose(process_biosignals(clips, SETTINGS)["emg"].waves, expected.waves, atol=1e-5)


def test_one_rate_or_another_gives_the_same_waves():
    clips = [recording(rate=rate, samples=round(5.5 * rate)) for rate in (512.0, 505.3, 1000.0, 512.4)]
    batch = process_biosignals(clips, SETTINGS)["eda"]
    for row in range(1, 4):
        np.testing.assert_allclose(batch.waves[row], batch.waves[0], atol=0.02)
        assert batch.valid[row].mean() > 0.99


def test_missing_channels_are_masked_and_the_others_stay():
    batch = process_biosignals([recording(), damaged("ecg", lambda signal: signal.fill(7))], SETTINGS)
    ecg = batch["ecg"]
    assert ecg.present.tolist() == [True, False]
    assert ecg.reasons == ("", "flat line at 7.0")
    assert not ecg.valid[1].any()
    assert not ecg.waves[1].any()
    assert not ecg.spectrograms[1].any()
    assert batch["eda"].present.all()
    assert not ecg.clip(1).present
    assert ecg.clip(1).reason == "flat line at 7.0"
    np.testing.assert_array_equal(ecg.clip(0).wave, ecg.waves[0])


def test_gaps_are_invalid_in_the_wave_where_they_were():
    gap = damaged("eda", lambda signal: signal.__setitem__(slice(1024, 1280), np.nan))  # 2.0 to 2.5 s
    eda = process_biosignals([gap], SETTINGS)["eda"].clip(0)
    invalid = np.flatnonzero(~eda.valid)
    assert set(range(64, 80)) <= set(invalid.tolist()) <= set(range(63, 82))
    single = damaged("emg", lambda signal: signal.__setitem__(700, np.nan))
    assert np.flatnonzero(~process_biosignals([single], SETTINGS)["emg"].valid[0]).tolist() == [700]


def test_short_recordings_are_padded_and_the_padding_is_invalid():
    short = process_biosignals([recording(samples=1024)], SETTINGS)  # 2.0 s
    for name, rate in (("eda", 32), ("ecg", 256), ("emg", 512)):
        channel = short[name].clip(0)
        assert channel.present
        assert channel.valid[: 2 * rate].all()
        assert not channel.valid[2 * rate + 1 :].any()
        assert (channel.wave[2 * rate :] == channel.wave[2 * rate - 1]).all()


def test_long_recordings_are_cut():
    long = process_biosignals([recording(samples=5120)], SETTINGS)
    assert {name: batch.waves.shape[1] for name, batch in long.items()} == {n: s[0] for n, s in SHAPES.items()}
    assert all(batch.valid.all() for batch in long.values())


def test_rates_and_length_are_settings():
    other = BiosignalSettings(seconds=3.0, eda_rate=16.0, ecg_rate=128.0, emg_rate=256.0)
    channels = process_biosignals([recording()], other)
    assert [channels[name].waves.shape[1] for name in BIOSIGNALS] == [48, 384, 768]
    assert [channels[name].rate for name in BIOSIGNALS] == [16.0, 128.0, 256.0]


def test_a_band_that_leaves_nothing_is_a_setting_to_mend():
    with pytest.raises(SettingsError, match=r"20\.0 to 250\.0 Hz leaves nothing of a signal at 30 Hz"):
        process_biosignals([recording(samples=165, rate=30.0)], SETTINGS)


SIGNALS = arrays(
    np.float64,
    st.sampled_from([2, 3, 511, 512, 700]),
    elements=st.one_of(st.floats(-1e3, 1e3), st.floats(), st.just(0.0)),
    fill=st.sampled_from([0.0, np.nan, 1.5]),
)


@given(signal=SIGNALS)
@settings(max_examples=60, deadline=None, derandomize=True)
@pytest.mark.filterwarnings("error")
def test_any_signal_is_processed_or_missing(signal):
    damage = Recording(dict.fromkeys(BIOSIGNALS, signal), 512.0)
    for batch in process_biosignals([damage, recording(samples=signal.size)], SETTINGS).values():
        assert np.isfinite(batch.waves).all()
        assert np.isfinite(batch.spectrograms).all()
        assert batch.present[0] == (not batch.reasons[0])
        assert batch.present[0] or not batch.valid[0].any()


ANY = SignalFiles(column="ppg", rate=64.0, seconds=4.0, band=(None, 5.0), resampled=16.0)


def test_any_signal_is_filtered_resampled_and_cut():
    time = np.arange(400) / 64
    slow, fast = np.sin(2 * np.pi * 1.0 * time), np.sin(2 * np.pi * 20.0 * time)
    batch = process_signals([slow + fast, 3 * slow, slow[:128]], ANY)
    assert batch.waves.shape == (3, 64)
    assert batch.rate == 16.0
    expected = slow[:256:4]
    np.testing.assert_allclose(batch.waves[0, 8:-8], expected[8:-8], atol=0.02)
    np.testing.assert_allclose(batch.waves[1, 8:-8], 3 * expected[8:-8], atol=0.05)
    assert batch.coverage == pytest.approx([1.0, 1.0, 0.5], abs=1 / 64)
    assert batch.reasons == ("", "", "")


def test_a_signal_does_not_depend_on_the_others_and_damage_is_masked():
    whole = np.random.default_rng(0).normal(size=256)
    gaps = whole.copy()
    gaps[:100] = np.nan
    batch = process_signals([whole, gaps, np.full(256, 2.0)], ANY)
    np.testing.assert_array_equal(batch.waves[0], process_signals([whole], ANY).waves[0])
    assert batch.present.tolist() == [True, False, False]
    assert batch.reasons[1] == "39.1 % of the samples missing, at most 20 % may be"
    assert batch.coverage == [1.0, 0.0, 0.0]
    assert process_signals([], ANY).waves.shape == (0, 64)
