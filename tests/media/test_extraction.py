"""What one recording leaves on disk: a file without pickles, and a picture with every channel in it."""

import numpy as np
import pytest

from pipelines.errors import SettingsError
from pipelines.media.biosignals import Recording, process_biosignals
from pipelines.media.extraction import plot_extraction, save_extraction
from pipelines.media.features import FEATURES, extract_features
from pipelines.recipe import BIOSIGNALS, BiosignalSettings


@pytest.fixture(scope="module")
def recording():
    """Sound EDA, flat ECG, EMG with a gap."""
    emg = np.random.default_rng(0).normal(size=2816)
    emg[1000:1200] = np.nan
    return Recording({"eda": np.sin(np.arange(2816) / 200), "ecg": np.zeros(2816), "emg": emg}, 512.0)


@pytest.fixture(scope="module")
def channels(recording):
    return process_biosignals([recording], BiosignalSettings())


def test_the_file_holds_every_array_without_pickles(tmp_path, recording, channels):
    features = extract_features(recording, BiosignalSettings())
    path = tmp_path / "clip.data"
    save_extraction(path, channels, features)
    with np.load(path, allow_pickle=False) as file:
        for name in BIOSIGNALS:
            np.testing.assert_array_equal(file[f"{name}_wave"], channels[name].waves[0])
            np.testing.assert_array_equal(file[f"{name}_valid"], channels[name].valid[0])
            np.testing.assert_array_equal(file[f"{name}_spectrogram"], channels[name].spectrograms[0])
            np.testing.assert_array_equal(file[f"{name}_features"], features[name].values)
            assert tuple(file[f"{name}_feature_names"]) == FEATURES[name]
            assert file[f"{name}_rate"] == channels[name].rate
            assert file[f"{name}_present"] == (name != "ecg")
        assert file["ecg_reason"] == "flat line at 0.0"
        assert len(file.files) == 8 * len(BIOSIGNALS)


def test_the_picture_shades_gaps_and_names_what_is_missing(tmp_path, channels, monkeypatch):
    from matplotlib.axes import Axes

    shaded, written = [], []
    monkeypatch.setattr(Axes, "axvspan", lambda _, start, stop, **__: shaded.append((start, stop)))
    draw = Axes.text
    monkeypatch.setattr(Axes, "text", lambda self, x, y, s, **k: (written.append(s), draw(self, x, y, s, **k))[1])
    plot_extraction(tmp_path / "clip.png", channels, title="clip")
    assert (tmp_path / "clip.png").read_bytes().startswith(b"\x89PNG")
    assert shaded == [(1000 / 512, 1200 / 512)]
    assert written == ["missing: flat line at 0.0"] * 2


def test_places_that_cannot_be_written_are_named(tmp_path, recording, channels):
    nowhere = tmp_path / "absent"
    with pytest.raises(SettingsError, match=r"clip\.npz: cannot be written"):
        save_extraction(nowhere / "clip.npz", channels, extract_features(recording, BiosignalSettings()))
    with pytest.raises(SettingsError, match=r"clip\.png: cannot be written"):
        plot_extraction(nowhere / "clip.png", channels, title="clip")
    with pytest.raises(SettingsError, match=r"clip\.docx: .*[Ss]upported formats"):
        plot_extraction(tmp_path / "clip.docx", channels, title="clip")
