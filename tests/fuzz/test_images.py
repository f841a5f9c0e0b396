"""Damaged crops: an image that cannot be read costs its frame, and no more memory than it has pixels."""

import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.faces import decode_jpeg
from pipelines.media.picture_size import image_size

BLACK = np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize("family", ["jpg", "png"])
def test_a_damaged_image_is_read_or_its_frame_is_lost(fuzz, family):
    batch = fuzz(family, 150)
    assert not batch.faults, batch.faults


def claiming(suffix: str, width: int, height: int) -> bytes:
    content = bytearray(cv2.imencode(suffix, BLACK)[1].tobytes())
    if suffix == ".png":
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    else:
        at = content.index(b"\xff\xc0")
        content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(("size", "reason"), [((65500, 65500), "sides of 1 to 16384"), ((8001, 8001), "64 megapixels")])
def test_a_header_that_claims_gigabytes_is_refused_unread(suffix, size, reason):
    tracemalloc.start()
    with pytest.raises(UnreadableMedia, match=f"frames of {size[0]}x{size[1]} pixels, .*{reason}"):
        decode_jpeg(claiming(suffix, *size))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_size_of_intact_images(suffix):
    for width, height in ((1, 1), (37, 21), (300, 2)):
        image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
        for options in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]) if suffix == ".jpg" else ([],):
            content = cv2.imencode(suffix, image, options)[1].tobytes()
            assert image_size(content) == (width, height)
            assert decode_jpeg(content).shape == image.shape


def test_a_chunk_that_claims_gigabytes_is_no_image():
    content = bytearray(cv2.imencode(".png", BLACK)[1].tobytes())
    at = content.index(b"IDAT")
    content[at - 4 : at] = struct.pack(">I", 0x7FFFFFFF)
    assert image_size(bytes(content)) is None
    with pytest.raises(UnreadableMedia, match="not a JPEG image"):
        decode_jpeg(bytes(content))


@pytest.mark.parametrize("suffix", [".bmp", ".tiff", ".webp", ".ppm"])
def test_other_formats_are_no_crops(suffix):
    with pytest.raises(UnreadableMedia, match="not a JPEG image"):
        decode_jpeg(cv2.imencode(suffix, BLACK)[1].tobytes())
