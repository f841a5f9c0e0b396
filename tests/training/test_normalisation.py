import numpy as np
import pytest

from pipelines.recipe import FeatureTable, ManifestCorpus, SignalFiles, SoundFiles
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.training.normalisation import Normaliser, fit_normaliser, normalisation_keys, scope_of
from pipelines.training.samples import Sample
from pipelines.training.sources import Source


class Arrays(Source):
    """A source over arrays by clip name."""

    def __init__(self, view, arrays):
        self.view, self.arrays = view, arrays

    def is_usable(self, row):
        return row.clip in self.arrays

    def read(self, row, rng=None):
        return self.arrays[row.clip]


def rows(*names):
    return [Sample(name, name.split("-")[0], 0) for name in names]


@pytest.fixture
def waves():
    rng = np.random.default_rng(0)
    arrays = {}
    for name, offset in {"a-1": 1000.0, "a-2": 1000.5, "b-1": 1003.0}.items():
        valid = (np.arange(64) % 4 > 0).astype("float32")
        wave = np.where(valid > 0, rng.normal(offset, 2.0, 64), 0).astype("float32")
        arrays[name] = np.stack([wave, valid])
    return Arrays("wave", arrays)


def test_waves_are_standardised_by_their_valid_samples(waves):
    normaliser = fit_normaliser(waves, rows("a-1", "a-2"), "training")
    kept = np.concatenate([waves.arrays[n][0][waves.arrays[n][1] > 0] for n in ("a-1", "a-2")]).astype(float)
    out = normaliser(waves.arrays["b-1"], "b")
    valid = waves.arrays["b-1"][1] > 0
    expected = (waves.arrays["b-1"][0][valid] - kept.mean()) / kept.std()
    np.testing.assert_allclose(out[0][valid], expected, rtol=1e-4, atol=1e-4)
    assert not out[0][~valid].any(), "invalid samples stay zero"
    np.testing.assert_array_equal(out[1], waves.arrays["b-1"][1])


def test_training_statistics_know_their_groups_and_nobody_else(waves):
    normaliser = fit_normaliser(waves, rows("a-1", "a-2"), "training")
    assert normaliser.fitted_on == ("a",)
    waves.arrays["b-1"] = waves.arrays["b-1"] * 100
    again = fit_normaliser(waves, rows("a-1", "a-2"), "training")
    np.testing.assert_array_equal(again.moments[""].mean, normaliser.moments[""].mean)
    assert normaliser.extended(waves, rows("b-1")) is normaliser


def test_per_subject_statistics_come_from_the_subject_alone(waves):
    normaliser = fit_normaliser(waves, rows("a-1", "a-2"), "per-subject").extended(waves, rows("b-1"))
    out = normaliser(waves.arrays["b-1"], "b")
    valid = out[1] > 0
    assert out[0][valid].mean() == pytest.approx(0, abs=1e-3)
    assert out[0][valid].std() == pytest.approx(1, abs=1e-3)
    assert normaliser.fitted_on == ()
    assert normaliser.to_schema()["moments"] == {}, "a test subject's statistics are no part of a model"


def test_spectrograms_are_standardised_by_frequency_and_features_skip_nan():
    rng = np.random.default_rng(1)
    spectrogram = Arrays("spectrogram", {"a-1": (rng.normal(size=(1, 5, 200)) * np.arange(1, 6)[:, None]).astype("f4")})
    out = fit_normaliser(spectrogram, rows("a-1"), "training")(spectrogram.arrays["a-1"], "a")
    np.testing.assert_allclose(out[0].std(axis=1), 1, atol=1e-3)
    nan = np.nan
    features = Arrays("features", {"a-1": np.array([1, nan, nan], "f4"), "a-2": np.array([3, 5, nan], "f4")})
    normaliser = fit_normaliser(features, rows("a-1", "a-2"), "training")
    np.testing.assert_allclose(normaliser(features.arrays["a-2"], "a"), [1, 0, nan])
    assert np.isfinite(normaliser.moments[""].std).all()


def test_statistics_survive_a_checkpoint(waves):
    normaliser = fit_normaliser(waves, rows("a-1", "b-1"), "training")
    again = Normaliser.from_schema(normaliser.to_schema())
    np.testing.assert_array_equal(again(waves.arrays["a-2"], "a"), normaliser(waves.arrays["a-2"], "a"))
    assert again.fitted_on == ("a", "b")


def test_each_kind_of_modality_has_its_own_setting_or_none():
    biovid = override_recipe(load_recipe("demo"), **{"biosignals.normalisation": "per-subject"})
    assert scope_of(biovid, "eda") == "per-subject"
    assert normalisation_keys(biovid, "eda") == ["biosignals.normalisation"]
    assert (scope_of(biovid, "faces"), normalisation_keys(biovid, "faces")) == ("training", [])
    modalities = {
        "voice": SoundFiles(column="v"),
        "pulse": SignalFiles(column="p", rate=10, seconds=10, normalisation="per-group"),
        "tests": FeatureTable(column="t"),
    }
    corpus = ManifestCorpus(classes=("a", "b"), modalities=modalities)
    recipe = biovid.model_copy(update={"corpus": corpus})
    assert [scope_of(recipe, name) for name in modalities] == ["training", "per-subject", "training"]
    keys = [[], ["corpus.modalities.pulse.normalisation"], ["corpus.modalities.tests.normalisation"]]
    assert [normalisation_keys(recipe, name) for name in modalities] == keys
