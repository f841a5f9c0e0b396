"""Features on simulated signals whose answer is known, and on everything an electrode can do wrong."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.media.biosignals import Recording
from pipelines.media.features import FEATURES, Features, extract_features
from pipelines.recipe import BIOSIGNALS, BiosignalSettings

SETTINGS = BiosignalSettings()
RATE, SAMPLES = 512, 2816
TIME = np.arange(SAMPLES) / RATE


def extract(channel: str, signal: np.ndarray, rate: float = RATE, **changes) -> Features:
    """Features of one channel; the others are flat."""
    channels = {name: np.zeros(signal.size) for name in BIOSIGNALS} | {channel: signal}
    return extract_features(Recording(channels, float(rate)), SETTINGS.model_copy(update=changes))[channel]


def named(channel: str, features: Features) -> dict[str, float]:
    return dict(zip(FEATURES[channel], features.values.tolist(), strict=True))


def response(onset: float, rise: float) -> np.ndarray:
    """A skin conductance response: steep rise, slow decay, highest 0.8 s after its onset."""
    since = np.clip(TIME - onset, 0, None)
    shape = np.exp(-since / 2.0) - np.exp(-since / 0.3)
    return rise * shape / shape.max()


def heart(beats: np.ndarray, rate: int = RATE, samples: int = SAMPLES) -> np.ndarray:
    """An ECG in microvolts with R peaks at the given seconds."""
    time = np.arange(samples)[:, None] / rate - beats
    waves = 900 * np.exp(-((time / 0.012) ** 2)) - 150 * np.exp(-(((time - 0.03) / 0.012) ** 2))
    return (waves + 200 * np.exp(-(((time - 0.25) / 0.05) ** 2))).sum(axis=1)


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(0)


def test_every_feature_is_documented_in_the_table():
    from pipelines.media import features

    for channel, names in FEATURES.items():
        assert all(f"| {channel} | {name} |" in (features.__doc__ or "") for name in names)


def test_eda_counts_and_measures_its_responses(random):
    signal = 5 + response(0.6, 0.8) + response(3.0, 0.4) + random.normal(size=SAMPLES) * 1e-4
    features = extract("eda", signal)
    values = named("eda", features)
    assert not features.reasons
    assert values["scr_count"] == 2
    assert values["scr_amplitude_max"] == pytest.approx(0.8, rel=0.15)
    assert values["scr_amplitude_mean"] == pytest.approx(0.6, rel=0.25)
    assert values["maximum_position"] == pytest.approx(TIME[signal.argmax()], abs=0.1)
    assert values["range"] == pytest.approx(np.ptp(signal), rel=0.05)
    assert values["tonic_mean"] == pytest.approx(signal.mean(), rel=0.05)


def test_eda_without_a_response_counts_zero(random):
    signal = 5 - 0.05 * TIME + random.normal(size=SAMPLES) * 1e-4
    values = named("eda", extract("eda", signal))
    assert (values["scr_count"], values["scr_amplitude_mean"], values["scr_amplitude_max"]) == (0, 0, 0)
    assert values["tonic_slope"] < 0
    assert values["maximum_position"] < 0.3


def test_eda_slope_has_the_sign_of_the_drift(random):
    up, down = (named("eda", extract("eda", 5 + slope * TIME))["tonic_slope"] for slope in (0.1, -0.1))
    assert up > 0.005
    assert down == pytest.approx(-up, rel=0.05)


@pytest.mark.parametrize("rate", [55, 72, 100, 150])
def test_ecg_of_a_regular_heart(rate):
    beats = np.arange(0.37, 5.5, 60 / rate)
    features = extract("ecg", heart(beats))
    values = named("ecg", features)
    assert not features.reasons
    assert values["heart_rate"] == pytest.approx(rate, abs=0.7)
    assert beats.size - 2 <= values["r_peak_count"] <= beats.size
    assert values["rmssd"] < 4
    assert values["sdnn"] < 4


def test_ecg_variability_in_milliseconds():
    intervals = np.array([0.80, 0.90, 0.80, 0.90, 0.80])
    values = named("ecg", extract("ecg", heart(0.6 + np.concatenate(([0], intervals.cumsum())))))
    assert values["rmssd"] == pytest.approx(100, abs=4)
    assert values["sdnn"] == pytest.approx(54.8, abs=6)  # of 5 intervals, or of the 4 whose peaks were all found
    assert values["heart_rate"] == pytest.approx(60 / 0.84, abs=1)


def test_a_beat_hidden_in_a_gap_lengthens_no_interval():
    beats = np.arange(0.3, 5.5, 0.75)
    signal = heart(beats)
    hidden = slice(round((beats[3] - 0.1) * RATE), round((beats[3] + 0.1) * RATE))
    signal[hidden] = np.nan
    assert named("ecg", extract("ecg", signal))["heart_rate"] == pytest.approx(80, abs=0.7)


def test_noise_is_no_heart_beat(random):
    refused = 0
    for _ in range(10):
        features = extract("ecg", random.normal(size=SAMPLES) * 100)
        assert np.isfinite(named("ecg", features)["r_peak_count"])
        refused += "heart_rate" in features.reasons
        assert set(features.reasons) <= {"heart_rate", "rmssd", "sdnn"}
    assert refused >= 8


def test_emg_of_a_known_signal(random):
    band = np.sin(2 * np.pi * 80 * TIME)
    active = (TIME % 2.0) < 0.6
    signal = 3000 + (1 + 39 * active) * band
    values = named("emg", extract("emg", signal))
    assert values["rms"] == pytest.approx(np.sqrt(np.mean(((1 + 39 * active) * band) ** 2)), rel=0.03)
    assert values["amplitude_mean"] == pytest.approx(np.mean(np.abs((1 + 39 * active) * band)), rel=0.05)
    assert values["activity_share"] == pytest.approx(active.mean(), abs=0.05)
    assert values["median_frequency"] == pytest.approx(80, abs=2)


def test_only_the_seconds_that_are_used_count():
    quiet_then_loud = np.concatenate([np.sin(2 * np.pi * 80 * TIME), 100 * np.sin(2 * np.pi * 80 * TIME)])
    values = named("emg", extract("emg", quiet_then_loud))
    assert values["rms"] == pytest.approx(1 / np.sqrt(2), rel=0.15)


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.zeros(SAMPLES), "flat line at 0.0"),
        (np.full(SAMPLES, np.nan), "100.0 % of the samples missing, at most 20 % may be"),
        (np.arange(100.0), "0.20 s recorded, at least 1 s are needed"),
    ],
)
@pytest.mark.parametrize("channel", BIOSIGNALS)
def test_missing_channels_have_no_features(channel, signal, reason):
    features = extract(channel, signal)
    assert features.values.dtype == np.float32
    assert np.isnan(features.values).all()
    assert features.reasons == dict.fromkeys(FEATURES[channel], reason)


def test_a_single_beat_has_a_count_and_no_rate():
    features = extract("ecg", heart(np.array([2.5])))
    assert set(features.reasons) == {"heart_rate", "rmssd", "sdnn"}
    assert "at least 2 are needed" in features.reasons["heart_rate"]


def test_a_rate_without_an_envelope_has_the_rest():
    features = extract("emg", np.sin(np.arange(200.0) ** 1.5), rate=15, emg_band=(1.0, 5.0), seconds=13.0)
    assert set(features.reasons) == {"amplitude_mean", "activity_share"}
    assert "15 Hz is too slow" in features.reasons["amplitude_mean"]


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.3, 1.0])
def test_windows_of_any_length_survive(seconds, random):
    signal = random.normal(size=SAMPLES)
    for channel in BIOSIGNALS:
        features = extract(channel, signal, seconds=seconds)
        assert set(features.reasons) == {n for n, v in named(channel, features).items() if np.isnan(v)}


SIGNALS = st.one_of(
    arrays(np.float64, st.sampled_from([2, 40, 512, 700]), elements=st.floats(), fill=st.sampled_from([0.0, np.nan])),
    arrays(np.float64, st.sampled_from([512, 700, 2816]), elements=st.integers(-3, 3).map(float), fill=st.just(0.0)),
    st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).normal(size=SAMPLES)),
    st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).normal(size=SAMPLES).cumsum()),
    st.floats(0.01, 300).map(lambda f: 1e9 * np.sin(f * TIME)),
    st.integers(1, 2815).map(lambda at: (np.arange(SAMPLES) == at) * 1e6),
    st.floats(-1e11, 1e11).map(lambda slope: slope * TIME),
)


@given(signal=SIGNALS, rate=st.sampled_from([512.0, 511.9, 64.3]))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_signal_gives_values_or_reasons_and_no_warning(signal, rate):
    slow = SETTINGS.model_copy(update={"emg_band": (5.0, 30.0)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = extract_features(Recording(dict.fromkeys(BIOSIGNALS, signal), rate), slow)
    for channel, found in features.items():
        assert found.values.shape == (len(FEATURES[channel]),)
        assert not np.isinf(found.values).any()
        assert set(found.reasons) == {n for n, v in named(channel, found).items() if np.isnan(v)}
        assert all(found.reasons.values())
