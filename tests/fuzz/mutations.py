"""What goes wrong with bytes: cut short, flipped, zeroed, repeated, spliced, and headers that claim too much.

A mutation is a function of (content, another content of the same kind, seed) alone, so a seed in a message is enough
to make its file again.
"""

import random

_TAGS = {
    ".mp4": (
        b"stsz",
        b"stts",
        b"stsc",
        b"stco",
        b"ctts",
        b"elst",
        b"tkhd",
        b"mvhd",
        b"mdhd",
        b"avc1",
        b"avcC",
        b"mp4a",
    ),
    ".avi": (b"avih", b"strh", b"strf", b"movi", b"idx1", b"00dc", b"01wb"),
    ".wav": (b"RIFF", b"fmt ", b"data"),
    ".aiff": (b"FORM", b"COMM", b"SSND"),
    ".jpg": (b"\xff\xc0", b"\xff\xc4", b"\xff\xda", b"\xff\xdb"),
    ".png": (b"IHDR", b"IDAT"),
    ".h5": (b"OHDR", b"FRHP", b"EAHD", b"FAHD", b"BTHD", b"OCHK", b"GCOL", b"TREE", b"\x89HDF"),
    ".npy": (b"NUMPY",),
}
_TAGS[".mov"] = _TAGS[".m4a"] = _TAGS[".mp4"]
_HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 1_000_000_000, 0xFFFF, 0x4000, 0x10000000, 0)


def mutated(content: bytes, other: bytes, seed: int, suffix: str = "") -> bytes:
    """One damaged copy of `content`."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(_KINDS)(data, other, chance, suffix)
    return bytes(data)


def _truncate(data: bytearray, other: bytes, chance: random.Random, suffix: str) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _flip(data: bytearray, other: bytes, chance: random.Random, suffix: str) -> None:
    for _ in range(chance.choice((1, 2, 4, 8, 16, 32, 64)) if data else 0):
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _zero(data: bytearray, other: bytes, chance: random.Random, suffix: str) -> None:
    start = _place(data, chance)
    stop = min(len(data), start + chance.choice((1, 4, 16, 256, 4096)))
    data[start:stop] = bytes(stop - start)


def _repeat(data: bytearray, other: bytes, chance: random.Random, suffix: str) -> None:
    start = _place(data, chance)
    block = data[start : start + chance.choice((1, 4, 16, 256, 4096))]
    data[start:start] = block * chance.choice((1, 2, 8))


def _splice(data: bytearray, other: bytes, chance: random.Random, suffix: str) -> None:
    data[_place(data, chance) :] = other[chance.randrange(len(other) + 1) :]


def _claim(data: bytearray, other: bytes, chance: random.Random, suffix: str) -> None:
    """A huge number where a header has one of its own."""
    tag = chance.choice(_TAGS.get(suffix, (b"",)))
    found = [at for at in range(len(data)) if data.startswith(tag, at)] if tag else list(range(min(64, len(data))))
    if found:
        at = chance.choice(found) + len(tag) + chance.randrange(48)
        size = chance.choice((1, 2, 4, 4, 4, 8))
        value = chance.choice(_HUGE) & (256**size - 1)
        data[at : at + size] = value.to_bytes(size, chance.choice(("big", "little")))


_KINDS = (_truncate, _flip, _flip, _zero, _repeat, _splice, _claim, _claim, _claim)


def _place(data: bytearray, chance: random.Random) -> int:
    """A position; one of three lies among the first or the last bytes, where headers and indices are."""
    if not data:
        return 0
    area = chance.randrange(6)
    near = min(len(data), 2048)
    if area == 0:
        return chance.randrange(near)
    return len(data) - 1 - chance.randrange(near) if area == 1 else chance.randrange(len(data))
