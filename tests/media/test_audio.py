"""Sound as a stream of blocks on the container's time axis."""

import wave
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.audio import AudioInfo, probe_audio, read_sound

RATE = 16000


def tone(seconds: float, rate: int = RATE, pitch: float = 440.0) -> np.ndarray:
    """(n,) float32 sine at a third of full scale."""
    return (np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate) / 3).astype(np.float32)


def joined(path, rate: int = RATE) -> tuple[float, np.ndarray]:
    """Start and samples of a whole track; every block begins where the one before ended, and lasts a second at most."""
    blocks = list(read_sound(path, rate))
    for one, other in pairwise(blocks):
        assert other.start_s == pytest.approx(one.start_s + len(one.samples) / rate, abs=1e-9)
    assert all(0 < len(block.samples) <= rate and block.samples.dtype == np.float32 for block in blocks)
    return blocks[0].start_s, np.concatenate([block.samples for block in blocks])


def gaps(path) -> list[tuple[float, float]]:
    """(start, length) in seconds of all blocks marked as gaps."""
    return [(round(b.start_s, 4), round(len(b.samples) / RATE, 4)) for b in read_sound(path, RATE) if b.is_gap]


def test_samples_come_back_in_place(record):
    path = record("a.mkv", [(0.25, tone(2.5))], video=True)
    start_s, samples = joined(path)
    assert start_s == 0.25
    np.testing.assert_allclose(samples, tone(2.5), atol=5e-5)
    assert probe_audio(path) == AudioInfo(
        rate=RATE, channels=1, start_s=0.25, video_start_s=0.0, duration_s=pytest.approx(2.75, abs=0.01)
    )


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_resampling_moves_nothing(record, rate):
    _, samples = joined(record("a.wav", [(0.0, tone(1.5, rate))], rate=rate))
    assert len(samples) == 1.5 * RATE
    np.testing.assert_allclose(samples[200:-200], tone(1.5)[200:-200], atol=2e-3)


def test_the_size_of_packets_changes_nothing(record):
    noise = np.random.default_rng(0).normal(0, 0.1, 88200)
    whole, parts = (
        joined(record(f"{packet}.mkv", [(0.0, noise)], rate=44100, packet=packet))[1] for packet in (44100, 441)
    )
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le"])
def test_full_scale_is_one_in_every_format(record, codec):
    square = np.where(np.arange(RATE) % 100 < 50, 1.0, -1.0)
    _, samples = joined(record("a.wav", [(0.0, square)], codec=codec))
    np.testing.assert_allclose(samples, square, atol=0.01)


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(record, channels):
    sound = np.stack([tone(1.0, pitch=200 + 50 * channel) for channel in range(channels)])
    _, samples = joined(record("a.wav", [(0.0, sound)]))
    np.testing.assert_allclose(samples, sound.mean(0), atol=5e-5)


def test_a_gap_is_marked_and_keeps_later_sound_in_place(record):
    path = record("a.mkv", [(0.0, tone(1.0)), (3.2, tone(0.5))])
    assert gaps(path) == [(1.0, 1.0), (2.0, 1.0), (3.0, 0.2)]
    _, samples = joined(path)
    np.testing.assert_allclose(samples[:RATE], tone(1.0), atol=5e-5)
    assert not samples[RATE : round(3.2 * RATE)].any()
    np.testing.assert_allclose(samples[round(3.2 * RATE) :], tone(0.5), atol=5e-5)


def test_a_gap_keeps_resampled_sound_in_place_to_the_sample(record):
    path = record("a.mkv", [(0.0, tone(0.777, 44100)), (1.013, tone(1.0, 44100))], rate=44100)
    _, samples = joined(path)
    assert len(samples) == pytest.approx(2.013 * RATE, abs=1)
    np.testing.assert_allclose(samples[round(1.013 * RATE) + 200 : -200], tone(1.0)[200:-200], atol=4e-3)


@pytest.mark.parametrize(
    ("begins", "length", "stops"),
    [(1.015, 1.0, 2.0), (1.025, 1.0, 2.025), (0.985, 1.0, 2.0), (0.6, 1.0, 1.6), (0.2, 0.5, 1.0)],
)
def test_stamps_that_jitter_are_forgiven_and_overlaps_are_cut(record, begins, length, stops):
    path = record("a.mkv", [(0.0, tone(1.0)), (begins, tone(length, pitch=900))], packet=RATE)
    _, samples = joined(path)
    assert len(samples) / RATE == pytest.approx(stops, abs=1e-3)
    assert bool(gaps(path)) == (begins > 1.02)
    np.testing.assert_allclose(samples[:RATE], tone(1.0), atol=5e-5)
    if stops > 1.1:
        np.testing.assert_allclose(samples[-RATE // 2 :], tone(length, pitch=900)[-RATE // 2 :], atol=5e-5)


def test_a_clock_that_drifts_is_followed(record):
    """Stamps 1 % faster than the samples: after ten seconds sound would be 0.1 s early."""
    click = np.zeros(1600, np.float32)
    click[0] = 0.9
    path = record("a.mkv", [(0.101 * index, click) for index in range(100)])
    _, samples = joined(path)
    clicks = np.flatnonzero(samples > 0.5) / RATE
    np.testing.assert_allclose(clicks, 0.101 * np.arange(100), atol=0.021)


def test_what_an_encoder_put_before_the_first_sample_is_dropped(record):
    click = np.zeros(RATE, np.float32)
    click[4000:4020] = 0.9
    for name in ("a.mp4", "a.mkv"):
        start_s, samples = joined(record(name, [(0.0, click)], codec="aac", packet=1024))
        assert start_s + np.abs(samples).argmax() / RATE == pytest.approx(0.25, abs=0.003)


def test_a_file_without_sound_yields_nothing(tmp_path):
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), np.zeros((32, 32, 3), np.uint8))
    assert list(read_sound(path, RATE)) == []
    assert probe_audio(path) is None


def test_sound_alone_has_no_video_to_be_apart_from(record):
    assert probe_audio(record("a.wav", [(0.0, tone(0.5))])).video_start_s is None


def test_missing_empty_and_foreign_files_say_so(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a recording\n" * 500)
    for name, words in (("absent.mp4", "does not exist"), ("empty.mp4", "0 bytes"), ("text.mp4", "not a readable")):
        for read in (probe_audio, lambda path: list(read_sound(path, RATE))):
            with pytest.raises(UnreadableMedia, match=words):
                read(tmp_path / name)


def test_a_track_without_a_packet_is_an_error(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
    with pytest.raises(UnreadableMedia, match="no sound could be decoded"):
        list(read_sound(tmp_path / "a.wav", RATE))
    with pytest.raises(UnreadableMedia, match="no sound could be decoded"):
        probe_audio(tmp_path / "a.wav")


def packets_of(path) -> list[tuple[int, int]]:
    """Position and size of all packets of sound."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]


def test_damage_is_told_with_its_second(record):
    path = record("a.mp4", [(0.0, tone(2.0))], codec="aac", packet=1024)
    data = bytearray(path.read_bytes())
    for position, size in packets_of(path)[16:18]:
        data[position : position + size] = bytes(value ^ 0xFF for value in data[position : position + size])
    path.write_bytes(data)
    with pytest.raises(UnreadableMedia, match=r"sound is damaged at second 0\.9\d \(invalid data") as caught:
        list(read_sound(path, RATE))
    assert caught.value.file == path


def test_a_track_cut_short_is_refused_although_it_decodes(record, tmp_path):
    path, first = record("a.mp4", [(0.0, tone(2.0))], codec="aac", packet=1024), tmp_path / "first.mp4"
    with av.open(str(path)) as source, av.open(str(first), "w", options={"movflags": "+faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    position, size = packets_of(first)[15]
    first.write_bytes(first.read_bytes()[: position + size])
    with pytest.raises(UnreadableMedia, match=r"truncated: 1\.\d\d of 2\.\d\d declared seconds"):
        list(read_sound(first, RATE))


def test_numbers_that_are_none_are_refused(record):
    sound = tone(1.0)
    sound[8000] = np.nan
    with pytest.raises(UnreadableMedia, match=r"not a number at second 0\.\d\d"):
        list(read_sound(record("a.wav", [(0.0, sound)], codec="pcm_f32le"), RATE))


def test_a_broken_clock_is_refused(record):
    path = record("a.mkv", [(0.0, tone(0.5)), (7200.0, tone(0.5))])
    with pytest.raises(UnreadableMedia, match=r"jump by 7200 s at second 0\.50"):
        list(read_sound(path, RATE))


def test_a_format_that_nothing_decodes_is_told(record):
    path = record("a.mkv", [(0.0, tone(0.5))])
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/ABC/DEF"))
    for read in (probe_audio, lambda path: list(read_sound(path, RATE))):
        with pytest.raises(UnreadableMedia, match="its audio is in a format that cannot be decoded"):
            read(path)
