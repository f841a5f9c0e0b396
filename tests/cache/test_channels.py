import numpy as np
import pytest

from pipelines.cache.channels import ChannelArrays, ChannelShard, write_channels
from pipelines.errors import MtpkdError


@pytest.fixture
def shard(tmp_path):
    rng = np.random.default_rng(0)
    eda = ChannelArrays(
        wave=rng.normal(size=(2, 16)).astype("float32"),
        valid=np.arange(32).reshape(2, 16) % 5 > 0,
        spectrogram=rng.normal(size=(2, 4, 6)).astype("float32"),
        features=np.array([[1, np.nan], [3, 4]], "float32"),
        feature_names=("tonic", "scr_count"),
        present=np.array([True, False]),
    )
    write_channels(tmp_path / "s.h5", ["a", "b"], {"eda": eda})
    return ChannelShard(tmp_path / "s.h5"), eda


def test_each_view_has_its_documented_shape(shard):
    reader, eda = shard
    wave = reader.read("a", "eda", "wave")
    assert wave.dtype == np.float32
    np.testing.assert_array_equal(wave, np.stack([eda.wave[0], eda.valid[0]]))
    np.testing.assert_array_equal(reader.read("a", "eda", "spectrogram"), eda.spectrogram[:1])
    np.testing.assert_array_equal(reader.read("a", "eda", "features"), eda.features[0])


@pytest.mark.parametrize("clip", ["b", "unknown"])
def test_an_absent_channel_is_never_handed_out(shard, clip):
    reader, _ = shard
    assert not reader.is_present(clip, "eda")
    with pytest.raises(KeyError, match="has no usable eda"):
        reader.read(clip, "eda", "wave")


def test_a_channel_has_the_parts_that_it_was_given(tmp_path):
    values = np.arange(6, dtype="float32").reshape(2, 3)
    table = ChannelArrays(present=np.array([True, True]), features=values, feature_names=("x", "y", "z"))
    write_channels(tmp_path / "g.h5", ["a", "b"], {"tests": table})
    reader = ChannelShard(tmp_path / "g.h5")
    np.testing.assert_array_equal(reader.read("b", "tests", "features"), values[1])
    with pytest.raises(MtpkdError, match=r"has no tests/wave"):
        reader.read("b", "tests", "wave")


def test_what_is_read_belongs_to_the_reader(shard):
    reader, eda = shard
    reader.read("a", "eda", "features")[:] = 7
    np.testing.assert_array_equal(reader.read("a", "eda", "features"), eda.features[0])


def test_features_have_the_names_they_were_given_or_numbers(shard, tmp_path):
    assert shard[0].has_features("eda")
    assert shard[0].feature_names("eda") == ("tonic", "scr_count")
    nameless = ChannelArrays(present=np.array([True]), features=np.zeros((1, 3), "float32"))
    wave = ChannelArrays(present=np.array([True]), wave=np.zeros((1, 3), "float32"), valid=np.ones((1, 3), bool))
    write_channels(tmp_path / "n.h5", ["a"], {"table": nameless, "signal": wave})
    other = ChannelShard(tmp_path / "n.h5")
    assert other.feature_names("table") == ("0", "1", "2")
    assert not other.has_features("signal")
