"""Times of frames from the index against those of decoded frames."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media import time_stamps
from pipelines.media.time_stamps import frame_times
from pipelines.media.video import read_frames


@pytest.fixture
def film(tmp_path):
    """Writes frames at given ticks of 1/100 s, with a bar of light as long as the number of the frame."""

    def write(name: str, ticks=range(0, 80, 4), codec: str = "libx264", options=None, discard: int = 0) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25, options=options or {})
            stream.width, stream.height = 64, 64
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.time_base = Fraction(1, 100) if codec == "libx264" else Fraction(1, 25)
            for index, tick in enumerate(ticks):
                image = np.full((64, 64, 3), 40, np.uint8)
                image[:, : index + 1] = 200
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts, picture.time_base = tick - discard, Fraction(1, 100)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def no_decoding(monkeypatch):
    """Fails where a video is decoded for its times."""

    def refuse(path):
        raise AssertionError(f"{path} is decoded")

    monkeypatch.setattr(time_stamps, "read_frames", refuse)


def decoded(path: Path) -> list[float]:
    return [frame.time_s for frame in read_frames(path)]


UNEVEN = [0, 4, 9, 12, 30, 31, 60, 64, 68, 90]


@pytest.mark.parametrize("ticks", [range(0, 80, 4), UNEVEN, range(25, 105, 4)], ids=["even", "uneven", "late"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.usefixtures("no_decoding")
def test_times_are_those_of_decoded_frames_in_order_of_display(film, name, ticks):
    path = film(name, ticks)
    np.testing.assert_array_equal(frame_times(path), decoded(path))
    np.testing.assert_allclose(np.diff(frame_times(path)), np.diff(list(ticks)) / 100, atol=1e-3)


@pytest.mark.usefixtures("no_decoding")
def test_frames_that_an_edit_list_hides_are_hidden(film):
    path = film("a.mp4", discard=8, options={"bf": "0"})
    with av.open(str(path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 20
    assert len(decoded(path)) == 18
    np.testing.assert_array_equal(frame_times(path), decoded(path))


@pytest.mark.usefixtures("no_decoding")
def test_in_an_avi_pictures_that_look_ahead_take_the_stamps_in_turn(film):
    path = film("a.avi", range(0, 200, 4), options={"bf": "3"})
    np.testing.assert_array_equal(frame_times(path), decoded(path))
    np.testing.assert_allclose(decoded(path), np.arange(50) / 25, atol=1e-6)
    bars = [int((frame.luma()[32] > 120).sum()) for frame in read_frames(path)]
    assert bars == sorted(bars)


@pytest.mark.parametrize(
    ("name", "codec", "options"), [("a.avi", "mpeg4", {}), ("a.avi", "mpeg4", {"bf": "2"}), ("a.mp4", "mpeg4", {})]
)
def test_where_a_packet_need_not_be_a_picture_the_video_is_decoded(film, name, codec, options):
    path = film(name, codec=codec, options=options)
    assert len(frame_times(path)) == 20
    np.testing.assert_array_equal(frame_times(path), decoded(path))


def test_stamps_that_repeat_are_settled_by_decoding(tmp_path):
    path = tmp_path / "sloppy.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        for milliseconds in (0, 40, 40, 120):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                packet.pts = packet.dts = milliseconds
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    np.testing.assert_allclose(frame_times(path), [0, 0.04, 0.08, 0.12], atol=1e-3)


def test_a_file_cut_short_is_refused_as_decoding_refuses_it(film, tmp_path):
    whole, path = film("a.mp4"), tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": "+faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(path)) as container:
        ends = [packet.pos + packet.size for packet in container.demux() if packet.size]
    path.write_bytes(path.read_bytes()[: ends[9]])
    for read in (frame_times, decoded):
        with pytest.raises(UnreadableMedia, match="truncated: ends after 10 of 20 declared frames"):
            read(path)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    with pytest.raises(UnreadableMedia, match="does not exist"):
        frame_times(tmp_path / "absent.mp4")


def test_a_format_that_nothing_decodes_is_told(film):
    path = film("a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    for read in (frame_times, decoded):
        with pytest.raises(UnreadableMedia, match="its video is in a format that cannot be decoded"):
            read(path)
