"""Pictures of a synthetic conversation: one face or two side by side, and the crops that a corpus would publish.

- Valence moves the corners of the mouth, cheeks and brows. Arousal opens the eyes, lifts the brows, drops the jaw and
  unsettles the head, but only in people who show it. Talking and blinking move the same features for another reason.
- A face that is not to be seen hides behind a sheet of paper or has left the picture.
- With two people the picture is two portraits, each cut to half the width, as a video call shows them.
- A crop is aligned by the head's known place and as tight as the bundled cascade's boxes, which were centred 0.19 units
  below the eyes with half a side of 1.19 units (24 faces, 1,200 frames): published and own crops look alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.corpora.synthetic_affwild2_truth import Performance, Speech, during
from pipelines.corpora.synthetic_camera import Camera
from pipelines.corpora.synthetic_face import UNIT, Portrait, draw_poses, height_of, place_head, portray
from pipelines.corpora.synthetic_head import LEFT, SHIFT, TOP
from pipelines.corpora.synthetic_truth import ACTIONS

CROP_SIDE = 112
"""Pixels, as in Aff-Wild2's cropped_aligned."""

_CROP_CENTRE, _CROP_HALF = np.array([0.0, 0.19]), 1.19
"""Of the face in a crop, in units."""

_GONE = 0.9
"""How far a picture moves to show nothing of the person, in its widths."""

_SEEN = 0.2
"""A face hidden by more than this share has no crop."""

_MISSED = 0.004
"""Share of the frames at which a detector starts to miss a face for no reason."""


@dataclass(frozen=True, eq=False)
class _Tile:
    """One person's part of the picture.

    Attributes:
        portrait: who is to be seen.
        actions: (T, 7), see `draw_poses`.
        motion: (T, 4), see `draw_poses`.
        covered, gone: how far the face is hidden, (T,) in 0 to 1.
        missed: frames without a crop although the face is there, (T,) bool.
        paper: RGB of the sheet.
        cut: columns that are cut off at the left.
    """

    portrait: Portrait
    actions: np.ndarray
    motion: np.ndarray
    covered: np.ndarray
    gone: np.ndarray
    missed: np.ndarray
    paper: tuple[float, float, float]
    cut: int


def size_of(width: int, people: int) -> tuple[int, int]:
    """Width and height of the picture in pixels: 4 to 3 with one person, about 16 to 9 with two."""
    return width, height_of(_portrait_width(width, people))


def draw_scene(
    rng: np.random.Generator,
    performances: Sequence[Performance],
    speeches: Sequence[Speech],
    times: np.ndarray,
    *,
    seed: int,
    width: int,
    crops: bool,
) -> Iterator[tuple[np.ndarray, list[np.ndarray | None]]]:
    """Draw a video.

    Args:
        rng: the video's random stream.
        performances: truth of one person, or of the left and the right one.
        speeches: how they speak.
        times: of the frames in seconds, (T,).
        seed: of the corpus.
        width: of the picture in pixels.
        crops: whether crops are wanted.

    Yields:
        T pictures, RGB (height, width, 3) uint8, each with a crop (112, 112, 3) a person; None where the face cannot be
        seen, or where no crops are wanted.
    """
    people = len(performances)
    tiles = [
        _tile(rng, performance, speech, times, seed=seed, width=width, people=people)
        for performance, speech in zip(performances, speeches, strict=True)
    ]
    width, height = size_of(width, people)
    camera = Camera(rng, height=height, width=width, frames=len(times))
    share = width // people
    for frame, parts in enumerate(zip(*(_draw_tile(tile, share) for tile in tiles), strict=True)):
        picture = camera.take(np.ascontiguousarray(np.concatenate(parts, axis=1)), frame)
        cut_out = [_crop(tile, picture, frame, share * number) if crops else None for number, tile in enumerate(tiles)]
        yield picture, cut_out


def _portrait_width(width: int, people: int) -> int:
    return width if people == 1 else 3 * width // 4


def _tile(
    rng: np.random.Generator,
    performance: Performance,
    speech: Speech,
    times: np.ndarray,
    *,
    seed: int,
    width: int,
    people: int,
) -> _Tile:
    person, full = performance.person, _portrait_width(width, people)
    starts = rng.random(len(times)) < _MISSED
    missed = np.convolve(starts, np.ones(int(rng.integers(1, 4))))[: len(times)] > 0
    return _Tile(
        portrait=portray(seed, person.index, person.sex, person.age, full),
        actions=_actions(rng, performance, speech, times),
        motion=_motion(rng, performance, times),
        covered=during(times, performance.covered),
        gone=during(times, performance.gone),
        missed=missed,
        paper=tuple(rng.uniform(150.0, 225.0, 3).tolist()),
        cut=(full - width // people) // 2,
    )


def _actions(rng: np.random.Generator, performance: Performance, speech: Speech, times: np.ndarray) -> np.ndarray:
    """How strongly each of ACTIONS is shown, (T, 7)."""
    valence = performance.person.valence_shown * performance.valence(times)
    arousal = performance.person.arousal_shown * performance.arousal(times)
    pleased, displeased = np.maximum(valence, 0.0), np.maximum(-valence, 0.0)
    talking = np.interp(times, speech.times, speech.strength)
    blinks = np.cumsum(rng.exponential(4.0, int(times[-1] / 2) + 8))
    shown = {
        "brow": 0.8 * displeased - 0.35 * arousal,
        "eyes": 0.35 * pleased + 0.3 * displeased - 0.5 * arousal,
        "nose": 0.4 * displeased,
        "mouth": 0.15 * displeased,
        "open": 0.4 * talking + 0.35 * np.maximum(arousal, 0.0),
        "smile": 0.9 * pleased - 0.6 * displeased,
        "blink": np.zeros(len(times)),
    }
    actions = np.stack([shown[name] + _ripple(rng, times, 0.05) for name in ACTIONS], axis=1)
    lowest = [-0.6 if name in ("brow", "eyes", "smile") else 0.0 for name in ACTIONS]
    actions = np.clip(actions, lowest, 1.0)
    # Clearly apart, so only the nearest blink counts.
    nearest = np.abs(times - blinks[_nearest(blinks, times)])
    actions[:, ACTIONS.index("blink")] = np.exp(-0.5 * (nearest / 0.055) ** 2)
    return actions


def _motion(rng: np.random.Generator, performance: Performance, times: np.ndarray) -> np.ndarray:
    """Of the head, (T, 4): people who show their arousal move more with it."""
    unrest = 1.0 + 2.0 * np.maximum(performance.person.arousal_shown * performance.arousal(times), -0.4)
    place = rng.normal(0.0, 1.0, 4) * (0.06, 0.05, 0.02, 0.03)
    sway = np.stack([_ripple(rng, times, size) for size in (0.04, 0.03, 0.015, 0.008)], axis=1)
    return place + unrest[:, None] * sway


def _ripple(rng: np.random.Generator, times: np.ndarray, size: float) -> np.ndarray:
    """Slow fluctuation without a cause, (T,)."""
    frequency, phase = rng.uniform(0.08, 0.7, 3), rng.uniform(0, 2 * np.pi, 3)
    waves = (np.sin(2 * np.pi * f * times + p) for f, p in zip(frequency, phase, strict=True))
    return size * np.sum(list(waves), axis=0)


def _nearest(moments: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Index of the moment (n,) that is nearest to each of the times (T,)."""
    after = np.clip(np.searchsorted(moments, times), 1, len(moments) - 1)
    return after - (times - moments[after - 1] < moments[after] - times)


def _draw_tile(tile: _Tile, width: int) -> Iterator[np.ndarray]:
    for frame, picture in enumerate(draw_poses(tile.portrait, tile.actions, tile.motion)):
        if tile.covered[frame] > 0:
            _cover(picture, tile, frame)
        if tile.gone[frame] > 0:
            picture = _moved_away(picture, tile.gone[frame])
        yield picture[:, tile.cut : tile.cut + width]


def _moved_away(picture: np.ndarray, share: float) -> np.ndarray:
    """The camera looks elsewhere: the wall goes on where the picture ended."""
    height, width = picture.shape[:2]
    shift = np.array([[1.0, 0.0, share * _GONE * width], [0.0, 1.0, 0.0]])
    return cv2.warpAffine(picture, shift, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _cover(picture: np.ndarray, tile: _Tile, frame: int) -> None:
    """Hold a written sheet before the face; it rises from below."""
    height, width = picture.shape[:2]
    unit = UNIT * width
    right, down, roll, _ = tile.motion[frame]
    hidden = np.array([0.5 * width, 0.53 * height]) + unit * np.array([right, down + 0.15])
    centre = hidden + (1.0 - tile.covered[frame]) * np.array([0.0, height - hidden[1] + 1.7 * unit])
    turn = unit * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])

    def on_sheet(points: list[tuple[float, float]]) -> np.ndarray:
        return np.round((np.array(points) @ turn.T + centre) * (1 << SHIFT)).astype(np.int32)

    sheet = on_sheet([(-1.25, -1.6), (1.25, -1.6), (1.25, 1.6), (-1.25, 1.6)])
    cv2.fillPoly(picture, [sheet], tile.paper, cv2.LINE_AA, SHIFT)
    ink = tuple(0.75 * value for value in tile.paper)
    for row in np.linspace(-1.2, 1.2, 7).tolist():
        cv2.polylines(picture, [on_sheet([(-0.9, row), (0.9, row)])], False, ink, 1, cv2.LINE_AA, SHIFT)


def _crop(tile: _Tile, picture: np.ndarray, frame: int, left: int) -> np.ndarray | None:
    """The face of a tile that begins at column `left` of the picture."""
    if max(tile.covered[frame], tile.gone[frame]) > _SEEN or tile.missed[frame]:
        return None
    height, width = tile.portrait.background.shape[:2]
    place = place_head(tile.motion[frame], tile.portrait.scale, width, height)
    place[:, 2] += (left - tile.cut + tile.gone[frame] * _GONE * width, 0.0)
    step = 2 * _CROP_HALF / CROP_SIDE * tile.portrait.scale
    corner = (_CROP_CENTRE - _CROP_HALF - (LEFT, TOP)) * tile.portrait.scale + step / 2
    to_canvas = np.array([[step, 0.0, corner[0]], [0.0, step, corner[1]], [0.0, 0.0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    side = (CROP_SIDE, CROP_SIDE)
    return cv2.warpAffine(picture, place @ to_canvas, side, flags=flags, borderMode=cv2.BORDER_REPLICATE)
