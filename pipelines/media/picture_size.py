"""How large a picture can be: judged by its header, before anything is allocated for its pixels.

A header costs nothing to write and may claim gigabytes. OpenCV stops at 2^30 pixels (3 GB), FFmpeg at 2^28.
"""

MAX_SIDE = 16384
"""Sides beyond this are a broken or hostile header, not a face video."""
MAX_PIXELS = 64_000_000
"""Most pixels of a picture: twice as many as 8K video has."""

PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
JPEG_BEGIN = b"\xff\xd8"
# Start of frame of every coding; among them lie DHT (C4), JPG (C8) and DAC (CC), which are tables.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_STOPS = frozenset({0xDA, 0xD9})  # the first scan, the end
_JPEG_FILLERS = frozenset({0x00, 0xFF})
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def size_fault(width: int, height: int) -> str | None:
    """Why a picture of this size cannot be meant, or None."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        return f"frames of {width}x{height} pixels, sides of 1 to {MAX_SIDE} can be read"
    if width * height > MAX_PIXELS:
        return f"frames of {width}x{height} pixels, {MAX_PIXELS / 1e6:.0f} megapixels at most can be read"
    return None


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the header of a JPEG or PNG file claims, the largest where it claims several.

    None for anything else: other formats, which OpenCV would read as well, are no pictures here.
    """
    if data.startswith(PNG_BEGIN):
        return _png_size(data)
    if not data.startswith(JPEG_BEGIN):
        return None
    sizes = _jpeg_sizes(data)
    return max(sizes, key=lambda size: size[0] * size[1]) if sizes else None


def _png_size(data: bytes) -> tuple[int, int] | None:
    """None also where a chunk claims more than there is, for which OpenCV makes room, or pictures of their own size."""
    at = len(PNG_BEGIN)
    while data[at + 4 : at + 8] not in (b"IEND", b"fcTL"):
        at += 12 + int.from_bytes(data[at : at + 4])
        if at + 8 > len(data):
            return None
    is_whole = data[12:16] == b"IHDR" and data[at + 4 : at + 8] == b"IEND"
    return (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) if is_whole else None


def _jpeg_sizes(data: bytes) -> list[tuple[int, int]]:
    """Width and height of every frame header before the first scan."""
    sizes, at = [], 2
    # Decoders pass over what is no marker, and so does this.
    while (at := data.find(b"\xff", at)) >= 0 and at + 9 <= len(data):
        marker = data[at + 1]
        if marker in _JPEG_STOPS:
            break
        if marker in _JPEG_FILLERS:
            at += 1
            continue
        if marker in _JPEG_FRAMES:
            sizes.append((data[at + 7] << 8 | data[at + 8], data[at + 5] << 8 | data[at + 6]))
        at += 2 if marker in _JPEG_ALONE else 2 + (data[at + 2] << 8 | data[at + 3])
    return sizes
