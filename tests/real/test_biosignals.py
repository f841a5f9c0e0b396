"""Real ECG, EDA and EMG, cut to 5.5 s, resampled to 512 Hz and written as BioVid writes them.

The recordings are those of BioSPPy (1000 Hz) and neurokit2 (100 and 1000 Hz); see the fixture `real_data`.
"""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from pipelines.media.biosignals import process_biosignals, read_biosignals
from pipelines.media.features import FEATURES, extract_features
from pipelines.recipe import BiosignalSettings

SETTINGS = BiosignalSettings()
ECGS = {"neurokit_bio_resting_5min_100hz.csv": 100, "neurokit_ecg_1000hz.csv": 1000, "biosppy_ecg.txt": 1000}
EDAS = {"neurokit_bio_eventrelated_100hz.csv": 100, "biosppy_eda.txt": 1000}


def load(folder: Path, name: str, column: str) -> np.ndarray:
    """One whole signal."""
    if name.endswith(".txt"):
        return np.loadtxt(folder / name)
    header = (folder / name).open().readline().strip().split(",")
    return np.loadtxt(folder / name, delimiter=",", skiprows=1, usecols=header.index(column))


def clips(signal: np.ndarray, rate: int) -> np.ndarray:
    """(N, 2816) at 512 Hz: successive 5.5 s of a signal, at most 20."""
    resampled = scipy.signal.resample_poly(signal - signal[0], 512, rate) + signal[0]
    count = min(20, resampled.size // 2816)
    return resampled[: count * 2816].reshape(count, 2816)


def write(path: Path, **signals: np.ndarray) -> Path:
    """One `_bio.csv`; signals that are not given are flat."""
    columns = [np.round(np.arange(2816) * 1e6 / 512)]
    columns += [signals.get(name, np.zeros(2816)) for name in ("gsr", "ecg", "emg_trapezius")]
    header = "time\tgsr\tecg\temg_trapezius"
    np.savetxt(path, np.stack(columns, axis=1), fmt="%.6f", delimiter="\t", header=header, comments="")
    return path


@pytest.mark.parametrize("name", ECGS)
def test_heart_rates_of_clips_are_those_of_the_whole_recording(name, real_data, tmp_path):
    import neurokit2

    signal, rate = load(real_data / "biosignals", name, "ECG"), ECGS[name]
    peaks = neurokit2.ecg_peaks(neurokit2.ecg_clean(signal, sampling_rate=rate), sampling_rate=rate)[1]["ECG_R_Peaks"]
    seconds = np.asarray(peaks) / rate
    checked = 0
    for index, clip in enumerate(clips(signal, rate)):
        recording = read_biosignals(write(tmp_path / f"{index}_bio.csv", ecg=clip), SETTINGS)
        features = extract_features(recording, SETTINGS)["ecg"]
        heart_rate = features.values[FEATURES["ecg"].index("heart_rate")]
        inside = seconds[(seconds >= 5.5 * index) & (seconds < 5.5 * (index + 1))]
        assert 50 <= heart_rate <= 110, features.reasons
        assert heart_rate == pytest.approx(60 / np.diff(inside).mean(), abs=5)
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("name", ECGS)
def test_the_clip_keeps_the_beats_of_the_wave(name, real_data, tmp_path):
    for index, clip in enumerate(clips(load(real_data / "biosignals", name, "ECG"), ECGS[name])[:3]):
        recording = read_biosignals(write(tmp_path / f"{index}_bio.csv", ecg=clip), SETTINGS)
        channel = process_biosignals([recording], SETTINGS)["ecg"].clip(0)
        assert channel.valid.all()
        level = scipy.signal.detrend(clip)[::2]
        assert np.corrcoef(channel.wave, level)[0, 1] > 0.9


@pytest.mark.parametrize("name", EDAS)
def test_eda_follows_the_recording(name, real_data, tmp_path):
    for index, clip in enumerate(clips(load(real_data / "biosignals", name, "EDA"), EDAS[name])):
        recording = read_biosignals(write(tmp_path / f"{index}_bio.csv", gsr=clip), SETTINGS)
        channels = process_biosignals([recording], SETTINGS)
        wave = channels["eda"].clip(0).wave
        smooth = np.convolve(clip, np.ones(128) / 128, "same")[::16]  # interference sits on the BioSPPy recording
        assert np.abs(wave - smooth)[8:-8].max() < 0.1 * np.ptp(clip)
        features = extract_features(recording, SETTINGS)["eda"]
        values = dict(zip(FEATURES["eda"], features.values.tolist(), strict=True))
        assert not features.reasons
        assert values["tonic_mean"] == pytest.approx(clip.mean(), rel=0.1)
        assert 0 <= values["maximum_position"] <= 5.5
        assert 0 <= values["scr_count"] <= 12
        assert channels["ecg"].reasons == ("flat line at 0.0",)


def test_emg_is_as_loud_as_the_recording(real_data, tmp_path):
    signal = load(real_data / "biosignals", "biosppy_emg.txt", "EMG")
    loudness, expected = [], []
    for index, clip in enumerate(clips(signal, 1000)):
        recording = read_biosignals(write(tmp_path / f"{index}_bio.csv", emg_trapezius=clip), SETTINGS)
        values = extract_features(recording, SETTINGS)["emg"].values
        loudness.append(values[FEATURES["emg"].index("rms")])
        expected.append(scipy.signal.detrend(clip).std())
    assert max(loudness) > 2 * min(loudness)
    assert np.corrcoef(loudness, expected)[0, 1] > 0.95
