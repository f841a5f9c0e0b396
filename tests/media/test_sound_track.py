"""Sound in the videos that are written."""

from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.media.sound_track import Sound
from pipelines.media.video import probe, read_frames, write_video

RATE = 44100
CLICK_S = 1.0
LENGTH_S = 2.0


def pictures(seconds: float = LENGTH_S, rate: int = 25) -> list[np.ndarray]:
    return [np.full((48, 64, 3), index % 256, np.uint8) for index in range(round(seconds * rate))]


def click(start_s: float = 0.0, block: int = 1000) -> Sound:
    """A click at CLICK_S of the pictures' time, in blocks."""
    times = start_s + np.arange(round((LENGTH_S - start_s) * RATE)) / RATE
    wave = np.where(np.abs(times - CLICK_S) < 2e-4, 0.9, 0.0).astype(np.float32)
    return Sound([wave[i : i + block] for i in range(0, len(wave), block)], RATE, start_s)


def heard(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times of the samples by the container's stamps, and the samples in [-1, 1]."""
    times, samples = [], []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                samples.append(part.to_ndarray().ravel())
                times.append(frame.time + np.arange(len(samples[-1])) / RATE)
    return np.concatenate(times), np.concatenate(samples)


@pytest.mark.parametrize(("name", "start_s"), [("a.mp4", 0.0), ("late.mp4", 0.25), ("a.avi", 0.0)])
def test_sound_is_heard_when_it_should_be(name, start_s, tmp_path):
    write_video(tmp_path / name, pictures(), 25, sound=click(start_s))
    times, samples = heard(tmp_path / name)
    assert times[np.abs(samples).argmax()] == pytest.approx(CLICK_S, abs=0.002)
    # AAC's first frame of 1024 samples is the encoder's own.
    assert start_s - 1100 / RATE < times[0] <= start_s
    assert times[-1] == pytest.approx(LENGTH_S, abs=0.05)
    assert np.abs(samples[np.abs(times - CLICK_S) > 0.1]).max() < 0.01


def test_an_avi_file_has_its_pictures_in_order(tmp_path):
    write_video(tmp_path / "a.avi", pictures(), 25, sound=click())
    frames = [(frame.time_s, int(frame.rgb().mean())) for frame in read_frames(tmp_path / "a.avi")]
    np.testing.assert_allclose([time for time, _ in frames], np.arange(50) / 25, atol=1e-6)
    assert np.all(np.diff([mean for _, mean in frames]) >= 0)
    assert (probe(tmp_path / "a.avi").rate, probe(tmp_path / "a.avi").frames) == (25, 50)
    assert (tmp_path / "a.avi").read_bytes()[8:11] == b"AVI"


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_the_same_sound_gives_the_same_bytes_in_any_blocks(name, tmp_path):
    rng = np.random.default_rng(0)
    wave = (0.2 * rng.normal(size=RATE)).astype(np.float32)
    contents = set()
    for number, block in enumerate((RATE, RATE, 1024, 777)):
        blocks = [wave[i : i + block] for i in range(0, RATE, block)]
        (tmp_path / str(number)).mkdir()
        write_video(tmp_path / str(number) / name, pictures(1.0), 25, sound=Sound(blocks, RATE))
        _, samples = heard(tmp_path / str(number) / name)
        contents.add(samples.tobytes())
        if block == RATE:
            contents.add((tmp_path / str(number) / name).read_bytes())
    assert len(contents) == 2, "one file, one sound"


def test_blocks_are_drawn_as_the_pictures_are(tmp_path):
    drawn = []

    def blocks():
        for number in range(20):
            drawn.append(number)
            yield np.zeros(RATE // 10, np.float32)

    def frames():
        for index, picture in enumerate(pictures()):
            assert len(drawn) <= index / 25 * 10 + 2
            yield picture

    write_video(tmp_path / "a.mp4", frames(), 25, sound=Sound(blocks(), RATE))
    assert len(drawn) == 20


@pytest.mark.parametrize(
    ("name", "sound", "words"),
    [
        ("a.avi", Sound([], RATE, 0.25), "start_s = 0.25: an avi file"),
        ("a.mp4", Sound([np.zeros((2, 9), np.float32)], RATE), r"got \(2, 9\)"),
    ],
)
def test_sound_that_cannot_be_written(name, sound, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        write_video(tmp_path / name, pictures(), 25, sound=sound)
    assert not list(tmp_path.iterdir())


def test_sound_before_the_pictures_is_refused():
    with pytest.raises(ValueError, match=r"start_s = -0.1"):
        Sound([], RATE, -0.1)
