import numpy as np
import pytest

from pipelines.cache.biosignals import BiosignalShard, ChannelArrays, write_biosignals


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
    write_biosignals(tmp_path / "s.h5", ["a", "b"], {"eda": eda})
    return BiosignalShard(tmp_path / "s.h5"), eda


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
