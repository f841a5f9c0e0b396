"""Reading and writing videos."""

import contextlib
import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.video import probe, read_frames, write_video


def moving(count: int = 30, height: int = 120, width: int = 160) -> list[np.ndarray]:
    """Blurred noise that drifts to the right, with a red upper left corner."""
    random = np.random.default_rng(0)
    base = cv2.GaussianBlur(random.integers(0, 255, (height, width, 3), dtype=np.uint8), (0, 0), 4)
    images = [np.roll(base, index, 1) for index in range(count)]
    for image in images:
        image[:40, :40] = 255, 0, 0
    return images


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """30 frames of 160x120 at 25 a second."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_video(path, moving(), 25)
    return path


@pytest.fixture(scope="module")
def indexed_first(clip, tmp_path_factory) -> Path:
    """The same packets with the index in front, so that a cut file still opens."""
    path = tmp_path_factory.mktemp("video") / "first.mp4"
    with av.open(str(clip)) as source, av.open(str(path), "w", options={"movflags": "+faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


def reason(path: Path) -> str:
    """Why reading a file to its end fails."""
    with pytest.raises(UnreadableMedia) as caught:
        for _ in read_frames(path):
            pass
    assert caught.value.file == path
    return caught.value.reason


def test_what_is_written_is_read_back(clip):
    frames = [(frame.index, frame.time_s, frame.rgb()) for frame in read_frames(clip)]
    assert [index for index, _, _ in frames] == list(range(30))
    np.testing.assert_allclose([time for _, time, _ in frames], np.arange(30) / 25, atol=1e-4)
    for (_, _, image), original in zip(frames, moving(), strict=True):
        assert np.abs(image[60:].astype(int) - original[60:]).mean() < 6


def test_probe_tells_size_rate_and_length(clip):
    info = probe(clip)
    assert (info.width, info.height, info.rate, info.frames) == (160, 120, 25.0, 30)
    assert info.duration_s == pytest.approx(1.2, abs=0.01)


def test_the_same_frames_give_the_same_bytes(tmp_path):
    contents = set()
    for index in range(6):
        write_video(tmp_path / f"{index}.mp4", moving(20, 240, 320), 25)
        contents.add((tmp_path / f"{index}.mp4").read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "no frame"),
        ([np.zeros((120, 161, 3), np.uint8)], "161x120"),
        ([np.zeros((120, 160, 3), np.uint8), np.zeros((160, 120, 3), np.uint8)], "frame 1"),
    ],
)
def test_frames_that_cannot_be_written_leave_nothing_behind(frames, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        write_video(tmp_path / "clip.mp4", frames, 25)
    assert not list(tmp_path.iterdir())


def test_a_failing_renderer_keeps_the_earlier_file(tmp_path):
    def broken():
        yield from moving(3)
        raise RuntimeError("renderer")

    path = tmp_path / "clip.mp4"
    write_video(path, moving(2), 25)
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        write_video(path, broken(), 25)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_colon_in_the_name_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(Path("http:clip.mp4"), moving(2), 25)
    assert probe(Path("http:clip.mp4")).frames == 2


@pytest.mark.parametrize("turned", [None, [0, 1, -1, 0], [-1, 0, 0, -1], [0, -1, 1, 0]])
def test_frames_are_upright(turned, tmp_path):
    """The container's matrix rows (a b / c d) take a stored pixel (x, y) to (ax + cy, bx + dy), ISO 14496-12."""
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        if turned is not None:
            a, b, c, d = (value << 16 for value in turned)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        picture = av.VideoFrame.from_ndarray(moving(1)[0], format="rgb24")
        container.mux([*stream.encode(picture), *stream.encode()])
    frame = next(read_frames(path))
    quarter = turned is not None and turned[0] == 0
    assert (frame.width, frame.height) == ((120, 160) if quarter else (160, 120))
    assert frame.luma().shape == (frame.height, frame.width)
    corners = {None: (5, 5), 1: (5, -5), -1: (-5, 5), 0: (-5, -5)}
    row, column = corners[None if turned is None else turned[1]]
    red, green, blue = frame.rgb()[row, column].astype(int)
    assert red > 200
    assert green < 60
    assert blue < 60
    whole = frame.rgb()
    np.testing.assert_array_equal(frame.rgb((11, 20, 64, 53)), whole[20:53, 11:64])


def test_missing_empty_and_foreign_files_say_so(tmp_path):
    assert reason(tmp_path / "absent.mp4") == "the file does not exist"
    assert "folder" in reason(tmp_path)
    (tmp_path / "empty.mp4").touch()
    assert reason(tmp_path / "empty.mp4") == "the file is empty (0 bytes)"
    (tmp_path / "text.mp4").write_text("not a video\n" * 500)
    assert "not a readable video" in reason(tmp_path / "text.mp4")
    with pytest.raises(UnreadableMedia):
        probe(tmp_path / "text.mp4")


def test_sound_alone_is_no_video(tmp_path):
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    assert reason(tmp_path / "sound.wav") == "there is no video stream (streams: audio)"


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_file_cut_before_its_index_cannot_be_opened(share, clip, tmp_path):
    data = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: int(share * len(data))])
    assert "not a readable video" in reason(tmp_path / "cut.mp4")


def packet_ends(path: Path) -> list[int]:
    """Positions in a file at which its packets end, in the order of the file."""
    with av.open(str(path)) as container:
        return [packet.pos + packet.size for packet in container.demux(video=0) if packet.dts is not None]


def test_a_file_cut_inside_a_packet_names_the_frame(indexed_first, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(indexed_first.read_bytes()[: packet_ends(indexed_first)[24] - 3])
    frames, shown = read_frames(path), 0
    with contextlib.suppress(UnreadableMedia):
        for shown, _ in enumerate(frames, 1):  # noqa: B007
            pass
    assert 10 < shown < 25
    assert reason(path).startswith(f"decoding stopped at frame {shown} (invalid data")


def test_a_file_cut_between_packets_is_refused_although_it_decodes(indexed_first, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(indexed_first.read_bytes()[: packet_ends(indexed_first)[19]])
    assert reason(path) == "truncated: ends after 20 of 30 declared frames"


def test_a_hostile_size_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((2, 20000), np.uint8))
    assert reason(tmp_path / "wide.png") == "frames of 20000x2 pixels, sides of 1 to 16384 can be read"


def test_a_size_that_changes_is_refused(tmp_path):
    pictures = [cv2.imencode(".jpg", np.zeros(size, np.uint8))[1].tobytes() for size in ((64, 64), (48, 64))]
    (tmp_path / "mixed.mjpeg").write_bytes(pictures[0] * 3 + pictures[1])
    assert reason(tmp_path / "mixed.mjpeg") == "size changes from 64x64 to 64x48 at frame 3"


def test_frames_without_time_stamps_are_placed_by_the_rate(tmp_path):
    path = tmp_path / "stream.mjpeg"
    path.write_bytes(cv2.imencode(".jpg", np.zeros((64, 64), np.uint8))[1].tobytes() * 5)
    times = [frame.time_s for frame in read_frames(path)]
    np.testing.assert_allclose(np.diff(times), 1 / probe(path).rate, atol=1e-6)


def test_time_always_advances(tmp_path):
    path = tmp_path / "sloppy.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        for milliseconds in (0, 40, 40, 40, 200):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                packet.pts = packet.dts = milliseconds
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    np.testing.assert_allclose([frame.time_s for frame in read_frames(path)], [0, 0.04, 0.08, 0.12, 0.2], atol=1e-3)


def test_concealed_pictures_are_marked(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    end = packet_ends(clip)[0]
    for position in range(end // 2, end, 7):
        data[position] ^= 0xFF
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    assert next(read_frames(path)).damaged
    assert not any(frame.damaged for frame in read_frames(clip))
