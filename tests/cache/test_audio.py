"""Shards of sound."""

import numpy as np
import pytest

from pipelines.cache.audio import AudioShard, AudioShardWriter
from pipelines.errors import MtpkdError
from pipelines.media.audio import SoundBlock
from pipelines.media.log_mel import log_mel
from pipelines.recipe import AudioSettings

SETTINGS = AudioSettings(rate=8000, mels=16, high=3900.0)
HOP = 0.01


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, round(seconds * 8000)).astype(np.float32)


def blocks(wave: np.ndarray, start_s: float = 0.0, size: int = 8000, gap: tuple[float, float] = (0, 0)):
    """Blocks of a wave; those that begin within a gap, in seconds of the axis, are marked."""
    for first in range(0, len(wave), size):
        time_s = start_s + first / 8000
        yield SoundBlock(time_s, wave[first : first + size], is_gap=gap[0] <= time_s < gap[1])


def write(path, parts) -> AudioShardWriter:
    with AudioShardWriter(path, SETTINGS) as writer:
        for block in parts:
            writer.add(block)
    return writer


def test_a_window_is_the_spectrogram_around_its_centre(tmp_path):
    wave = noise(20)
    writer = write(tmp_path / "a.h5", blocks(wave, start_s=1.5))
    assert (writer.is_present, writer.span, writer.coverage) == (True, (1.5, 21.5), 1.0)
    shard, whole = AudioShard(tmp_path / "a.h5"), log_mel(wave, SETTINGS)
    assert shard.is_present
    assert shard.span == (1.5, 21.5)
    read = shard.read(11.5, 2.0)
    assert read.shape == (1, 16, 200)
    assert read.dtype == np.float32
    # Ten seconds into the track is column 1000.
    np.testing.assert_allclose(read[0], whole[:, 900:1100], atol=0.04)


@pytest.mark.parametrize("centre", [5.0, 5.003, 5.0051, 7.123])
def test_windows_are_centred_to_half_a_hop(tmp_path, centre):
    wave = np.zeros(80_000, np.float32)
    wave[round(centre * 8000)] = 1.0
    write(tmp_path / "a.h5", blocks(wave))
    column = AudioShard(tmp_path / "a.h5").read(centre, 1.01)[0].sum(0).argmax()
    assert abs(column - 50) <= 1


@pytest.mark.parametrize(("centre", "first"), [(2.0, 0), (2.3, 0), (3.2, 20), (11.7, 801), (12.0, 801)])
def test_a_window_over_an_end_is_moved_inside(tmp_path, centre, first):
    wave = noise(10)
    write(tmp_path / "a.h5", blocks(wave, start_s=2.0))
    shard = AudioShard(tmp_path / "a.h5")
    assert shard.covers(centre, 2.0)
    np.testing.assert_allclose(shard.read(centre, 2.0)[0], log_mel(wave, SETTINGS)[:, first : first + 200], atol=0.04)


@pytest.mark.parametrize("centre", [0.9, 1.97, 12.03, 50.0, -3.0])
def test_a_window_with_less_than_half_inside_is_not_covered(tmp_path, centre):
    write(tmp_path / "a.h5", blocks(noise(10), start_s=2.0))
    shard = AudioShard(tmp_path / "a.h5")
    assert not shard.covers(centre, 2.0)
    with pytest.raises(KeyError, match="has no sound 2 s around"):
        shard.read(centre, 2.0)


def test_a_track_shorter_than_the_window_covers_nothing(tmp_path):
    write(tmp_path / "a.h5", blocks(noise(1.5)))
    shard = AudioShard(tmp_path / "a.h5")
    assert not shard.covers(0.75, 2.0)
    assert shard.covers(0.75, 1.5)


def test_a_window_mostly_in_a_gap_is_not_covered(tmp_path):
    wave = noise(12)
    wave[4 * 8000 : 8 * 8000] = 0
    writer = write(tmp_path / "a.h5", blocks(wave, gap=(4, 8)))
    assert writer.coverage == pytest.approx(8 / 12)
    shard = AudioShard(tmp_path / "a.h5")
    assert [shard.covers(centre, 2.0) for centre in (3.9, 4.1, 6.0, 7.9, 8.1)] == [True, False, False, False, True]


@pytest.mark.parametrize("size", [1000, 8000, 33_333])
def test_blocks_of_any_size_give_the_same_file(tmp_path, size):
    wave = noise(30)
    for number, parts in enumerate((blocks(wave), blocks(wave, size=size))):
        write(tmp_path / f"{number}.h5", parts)
    one, other = (AudioShard(tmp_path / f"{number}.h5").read(15.0, 29.0) for number in range(2))
    np.testing.assert_array_equal(one, other)


def test_equal_sound_gives_equal_bytes(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.h5", blocks(noise(5)))
    assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "1.h5").read_bytes()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "there is no sound track"),
        (list(blocks(np.zeros(80_000, np.float32))), "the track is silent"),
        (list(blocks(9e-5 * np.sign(noise(10)))), "the track is silent"),
    ],
    ids=["none", "zeros", "below -80 dBFS"],
)
def test_a_track_that_cannot_be_used_is_missing_with_a_reason(tmp_path, parts, reason):
    writer = write(tmp_path / "a.h5", parts)
    shard = AudioShard(tmp_path / "a.h5")
    for side in (writer, shard):
        assert (side.is_present, side.reason, side.span) == (False, reason, None)
    assert writer.coverage == 0.0
    assert not shard.covers(1.0, 1.0)
    with pytest.raises(KeyError):
        shard.read(1.0, 1.0)
    assert (tmp_path / "a.h5").stat().st_size < 20_000


def test_a_quiet_track_is_not_a_silent_one(tmp_path):
    wave = np.zeros(80_000, np.float32)
    wave[40_000] = 2e-4
    assert write(tmp_path / "a.h5", blocks(wave)).is_present


def test_a_track_that_breaks_off_is_given_up_with_its_reason(tmp_path):
    with AudioShardWriter(tmp_path / "a.h5", SETTINGS) as writer:
        for block in blocks(noise(20)):
            writer.add(block)
        writer.discard("sound is damaged at second 20.00")
    shard = AudioShard(tmp_path / "a.h5")
    assert (shard.is_present, shard.reason) == (False, "sound is damaged at second 20.00")


def test_blocks_that_leave_a_hole_are_refused(tmp_path):
    with AudioShardWriter(tmp_path / "a.h5", SETTINGS) as writer:
        writer.add(SoundBlock(0.5, noise(1)))
        with pytest.raises(ValueError, match=r"begins at 1\.600000 s cannot follow 1\.500000 s"):
            writer.add(SoundBlock(1.6, noise(1)))


def test_foreign_and_missing_files_are_refused_by_name(tmp_path):
    with pytest.raises(MtpkdError, match=r"absent\.h5 is missing"):
        AudioShard(tmp_path / "absent.h5")
    (tmp_path / "b.h5").write_bytes(b"no such thing")
    with pytest.raises(MtpkdError, match=r"b\.h5 is damaged"):
        AudioShard(tmp_path / "b.h5")


def test_a_stretch_is_the_mean_of_neighbouring_columns(tmp_path):
    wave = noise(20)
    write(tmp_path / "a.h5", blocks(wave, start_s=1.5, gap=(3, 5)))
    shard, whole = AudioShard(tmp_path / "a.h5"), log_mel(wave, SETTINGS)
    part = shard.stretch(11.5, 13.5, most=201)
    np.testing.assert_allclose(part.log_mel.T, whole[:, 1000:1201], atol=0.04)
    assert (part.start_s, part.stop_s) == pytest.approx((11.495, 13.505))
    coarse = shard.stretch(11.5, 13.5, most=41)
    assert coarse.log_mel.shape == (41, 16)
    np.testing.assert_allclose(coarse.log_mel[1], whole[:, 1005:1010].mean(axis=1), atol=0.04)
    np.testing.assert_allclose(coarse.log_mel[40], whole[:, 1200], atol=0.04)
    np.testing.assert_allclose(part.gaps, [[3.5, 5.5]])


@pytest.mark.parametrize(("start", "stop"), [(-5.0, 0.0), (0.0, 99.0), (50.0, 60.0)])
def test_a_stretch_beyond_the_track_ends_with_it(tmp_path, start, stop):
    write(tmp_path / "a.h5", blocks(noise(3), start_s=1.0))
    part = AudioShard(tmp_path / "a.h5").stretch(start, stop, most=1000)
    assert 0.99 <= part.start_s < part.stop_s <= 4.02


def test_a_silent_track_has_no_stretch(tmp_path):
    write(tmp_path / "a.h5", [])
    with pytest.raises(KeyError, match="there is no sound track"):
        AudioShard(tmp_path / "a.h5").stretch(0.0, 1.0, most=10)
