"""Luma and colour of one frame."""

import tracemalloc

import av
import cv2
import numpy as np
import pytest

from pipelines.media.frame import OTHER_FORMATS, PLANAR_FORMATS, VideoFrame

CONVERTED_WHOLE = ("rgb565le", "yuv411p")
FORMATS = [*PLANAR_FORMATS, *OTHER_FORMATS, *CONVERTED_WHOLE]


def picture_of(image: np.ndarray, kind: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(format=kind)


@pytest.fixture(params=["yuv420p", "yuvj422p", "yuv444p", "rgb24", "yuv420p10le"])
def frame(request, portrait) -> VideoFrame:
    """The portrait, as decoders of several kinds would give it."""
    return VideoFrame(index=0, time_s=0.0, picture=picture_of(portrait, request.param))


def test_luma_is_brightness_and_cannot_be_written(frame, portrait):
    luma = frame.luma()
    assert luma.shape == portrait.shape[:2]
    assert np.corrcoef(luma.ravel(), cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY).ravel())[0, 1] > 0.999
    with pytest.raises(ValueError, match="read-only"):
        luma[0, 0] = 0


def test_luma_of_planar_video_is_not_copied(portrait):
    picture = av.VideoFrame.from_ndarray(portrait, format="rgb24").reformat(format="yuv420p")
    frame = VideoFrame(index=0, time_s=0.0, picture=picture)
    assert np.shares_memory(frame.luma(), np.frombuffer(memoryview(picture.planes[0]), np.uint8))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_region_is_that_part_of_the_whole(frame, turns):
    turned = VideoFrame(index=0, time_s=0.0, picture=frame.picture, turns=turns)
    whole = turned.rgb()
    assert whole.shape == (turned.height, turned.width, 3)
    random = np.random.default_rng(turns)
    for _ in range(10):
        x0, x1 = sorted(random.choice(turned.width + 1, 2, replace=False).tolist())
        y0, y1 = sorted(random.choice(turned.height + 1, 2, replace=False).tolist())
        np.testing.assert_array_equal(turned.rgb((x0, y0, x1, y1)), whole[y0:y1, x0:x1])


@pytest.mark.parametrize(
    ("kind", "height", "width"),
    [(kind, 358, 474) for kind in FORMATS] + [(kind, 351, 471) for kind in (*OTHER_FORMATS, *CONVERTED_WHOLE)],
)
def test_in_every_format_a_region_is_that_part_of_the_whole(kind, height, width, portrait):
    picture = picture_of(portrait[:height, :width], kind)
    turned = VideoFrame(index=0, time_s=0.0, picture=picture, turns=1)
    whole, luma = turned.rgb(), turned.luma()
    np.testing.assert_array_equal(whole, np.rot90(picture.to_ndarray(format="rgb24", threads=1)))
    random = np.random.default_rng(FORMATS.index(kind))
    for _ in range(10):
        x0, x1 = sorted(random.choice(turned.width + 1, 2, replace=False).tolist())
        y0, y1 = sorted(random.choice(turned.height + 1, 2, replace=False).tolist())
        region = (x0, y0, x1, y1)
        np.testing.assert_array_equal(turned.rgb(region), whole[y0:y1, x0:x1])
        np.testing.assert_array_equal(turned.luma(region), luma[y0:y1, x0:x1])


@pytest.mark.parametrize("kind", [*PLANAR_FORMATS, *OTHER_FORMATS])
def test_only_the_region_is_converted(kind):
    picture = av.VideoFrame(3840, 2160, kind)
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    frame = VideoFrame(index=0, time_s=0.0, picture=picture)
    tracemalloc.start()
    frame.rgb((1000, 1000, 1100, 1100))
    frame.rgb((1000, 1000, 1200, 1200), (50, 50))
    frame.luma((1000, 1000, 1100, 1100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3840 * 2160 / 10


@pytest.mark.parametrize("turns", [0, 3])
def test_a_shrunk_region_is_the_mean_of_its_blocks(frame, turns):
    turned = VideoFrame(index=0, time_s=0.0, picture=frame.picture, turns=turns)
    region = (40, 60, 280, 240)
    expected = cv2.resize(np.ascontiguousarray(turned.rgb(region)), (60, 45), interpolation=cv2.INTER_AREA)
    shrunk = turned.rgb(region, (60, 45))
    assert shrunk.shape == expected.shape
    assert np.abs(shrunk.astype(int) - expected).mean() < 2.5  # chroma is averaged before, or after, it is spread
    grey = [cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(int) for image in (shrunk, expected)]
    assert np.abs(grey[0] - grey[1]).mean() < 1.5


def test_the_frames_own_colour_matrix_is_used(portrait):
    picture = av.VideoFrame.from_ndarray(portrait, format="rgb24").reformat(format="yuv420p", dst_colorspace="ITU709")
    picture.colorspace = 1  # AVCOL_SPC_BT709
    frame = VideoFrame(index=0, time_s=0.0, picture=picture)
    error = np.abs(frame.rgb((100, 40, 300, 200)).astype(int) - portrait[40:200, 100:300])
    picture.colorspace = 5  # AVCOL_SPC_BT470BG, that is BT.601
    wrong = np.abs(frame.rgb((100, 40, 300, 200)).astype(int) - portrait[40:200, 100:300])
    assert error.mean() < 0.8 * wrong.mean()


@pytest.mark.parametrize("region", [(0, 0, 481, 10), (-1, 0, 5, 5), (5, 5, 5, 9), (0, 350, 10, 361)])
def test_a_region_beyond_the_frame_is_an_error(region, as_frame, portrait):
    with pytest.raises(ValueError, match="does not lie in a frame of 480x360"):
        as_frame(portrait).rgb(region)
