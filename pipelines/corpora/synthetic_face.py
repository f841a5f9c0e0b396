"""Draws a face that moves: brows, eyes, nose and mouth by the actions of a Course, plus head motion, blinks and noise.

Outlines of all frames are computed at once in numpy; a frame then costs a copy of the painted head, about twenty small
anti-aliased polygons, one warp that carries the head's motion, and one blend over the background. Polygons have
sub-pixel corners, because a brow that lowers by a tenth of a pixel a frame must not move in steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from pipelines.corpora.synthetic_camera import Camera
from pipelines.corpora.synthetic_head import LEFT, SHIFT, TOP, Look, draw_look, paint_background, paint_head, to_pixels
from pipelines.corpora.synthetic_truth import ACTIONS, Subject, stream

_LOOK_STREAM = 3
"""Second key of the stream that invents a subject's looks."""

UNIT = 0.175
"""Half a face's width as a share of the picture's width."""

_BLOCK = 256
"""Frames whose outlines are held at once, so that memory stays flat in the length of a video."""

_OVERSAMPLING = 1.7
"""Pixels of the head's canvas a pixel of the picture: anti-aliasing of what is drawn twice."""

_CREASE = np.array([0.0, 0.055])
"""From the crease of an upper lid down to its edge."""

_MIRROR = np.array([[[1.0, 1.0]], [[-1.0, 1.0]]])


def height_of(width: int) -> int:
    """Height of the picture, three quarters of its width and even, as yuv420p needs."""
    return round(width * 0.375) * 2


def frame_times(seconds: float, rate: float) -> np.ndarray:
    """Times (T,) in seconds of the frames that begin within a clip: 138 in 5.5 s at 25 Hz."""
    return np.arange(np.ceil(np.round(seconds * rate, 6))) / rate


@dataclass(frozen=True)
class Portrait:
    """What is painted once a subject.

    Attributes:
        look: how the subject looks.
        scale: pixels of the canvas a unit.
        head: RGB (h, w, 3) uint8 without the features that move.
        alpha: coverage of the head (h, w) float32.
        background: RGB (H, W, 3) uint8.
    """

    look: Look
    scale: float
    head: np.ndarray
    alpha: np.ndarray
    background: np.ndarray


def draw_frames(
    rng: np.random.Generator, subject: Subject, actions: np.ndarray, *, seed: int, width: int, rate: float
) -> Iterator[np.ndarray]:
    """Draw a clip.

    Args:
        rng: the clip's random stream: motion of the head, noise of the camera.
        subject: whose face it is.
        actions: how strongly each of ACTIONS is shown, (T, 7).
        seed: of the corpus.
        width: of the picture in pixels.
        rate: frames a second.

    Yields:
        T frames, RGB (height, width, 3) uint8.
    """
    portrait = portray(seed, subject.index, subject.sex, subject.age, width)
    motion = _motion(rng, len(actions), rate)
    camera = Camera(rng, height=height_of(width), width=width, frames=len(actions))
    for frame, picture in enumerate(draw_poses(portrait, actions, motion)):
        yield camera.take(picture, frame)


def draw_poses(portrait: Portrait, actions: np.ndarray, motion: np.ndarray) -> Iterator[np.ndarray]:
    """Draw a face as no camera has seen it yet.

    Args:
        portrait: whose face it is, and what stands behind it.
        actions: how strongly each of ACTIONS is shown, (T, 7); negative ones do the opposite.
        motion: of the head, (T, 4): shift right and down in units, roll in radians, growth.

    Yields:
        T pictures, RGB (height, width, 3) uint8.
    """
    height, width = portrait.background.shape[:2]
    for start in range(0, len(actions), _BLOCK):
        features = _Features(portrait, actions[start : start + _BLOCK])
        for frame, pose in enumerate(motion[start : start + _BLOCK]):
            warp = place_head(pose, portrait.scale, width, height)
            head = cv2.warpAffine(features.draw(frame), warp, (width, height), flags=cv2.INTER_LINEAR)
            alpha = cv2.warpAffine(portrait.alpha, warp, (width, height), flags=cv2.INTER_LINEAR)
            yield cv2.blendLinear(head, portrait.background, alpha, 1.0 - alpha)


@lru_cache(maxsize=2)
def portray(seed: int, index: int, sex: str, age: int, width: int) -> Portrait:
    """Invent how a person looks and paint what does not move; the same for the same arguments."""
    rng = stream(seed, index, _LOOK_STREAM)
    look = draw_look(rng, sex, age)
    unit = UNIT * width
    scale = _OVERSAMPLING * unit
    head, alpha = paint_head(rng, look, scale)
    background = paint_background(rng, look, height_of(width), width, unit)
    return Portrait(look, scale, head, alpha, np.clip(background, 0, 255).astype(np.uint8))


def _motion(rng: np.random.Generator, frames: int, rate: float) -> np.ndarray:
    """Slow motion of the head, (T, 4): shift right and down in units, roll in radians, growth."""
    times = np.arange(frames) / rate
    frequency, phase = rng.uniform(0.05, 0.4, (4, 3)), rng.uniform(0, 2 * np.pi, (4, 3))
    size = np.abs(rng.normal(0, 1, (4, 3))) * np.array([0.04, 0.03, 0.012, 0.008])[:, None]
    place = rng.normal(0, 1, 4) * (0.08, 0.05, 0.02, 0.03)
    return place + (size * np.sin(2 * np.pi * frequency * times[:, None, None] + phase)).sum(axis=-1)


def place_head(pose: np.ndarray, scale: float, width: int, height: int) -> np.ndarray:
    """Affine (2, 3) from the head's canvas to the picture, for one row of a motion; the head turns about the neck."""
    right, down, roll, growth = pose
    ratio = UNIT * width / scale * (1 + growth)
    cos, sin = ratio * np.cos(roll), ratio * np.sin(roll)
    pivot = np.array([-LEFT, 1.3 - TOP]) * scale
    target = np.array([0.5, 0.53]) * (width, height) + (np.array([right, 1.3 + down])) * UNIT * width
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([turn, (target - turn @ pivot)[:, None]], axis=1)


class _Features:
    """Brows, eyes, nose and mouth of every frame as polygons, and the drawing of one frame."""

    def __init__(self, portrait: Portrait, actions: np.ndarray) -> None:
        self._portrait, self._look, self._scale = portrait, portrait.look, portrait.scale
        action = {name: actions[:, i, None] for i, name in enumerate(ACTIONS)}
        self._brows = self._fixed(_brows(self._look, action))
        upper, lower = _lids(self._look, action)
        self._upper, self._crease = self._fixed(upper), self._fixed(upper - _CREASE)
        self._eyes = self._fixed(np.concatenate([upper, lower[:, :, ::-1]], axis=2))
        self._mouth = {name: self._fixed(outline) for name, outline in _mouth(self._look, action).items()}
        self._lines = [(self._fixed(line), weight) for line, weight in _wrinkles(self._look, action)]
        self._eyeballs = [_eyeball(portrait, side) for side in (1, -1)]

    def draw(self, frame: int) -> np.ndarray:
        """The canvas of one frame, RGB (h, w, 3) uint8."""
        image = self._portrait.head.copy()
        thin = max(round(0.014 * self._scale), 1)
        for line, weight in self._lines:
            if weight[frame] > 0.03:
                self._crinkle(image, line[frame], float(weight[frame]), thin)
        for side in (0, 1):
            self._draw_eye(image, side, frame, thin)
        brow = tuple((0.8 * self._look.hair + 0.06 * self._look.skin).tolist())
        for side in (0, 1):
            cv2.fillPoly(image, [self._brows[frame, side]], brow, cv2.LINE_AA, SHIFT)
        self._draw_mouth(image, frame, thin)
        return image

    def _draw_eye(self, image: np.ndarray, side: int, frame: int, thin: int) -> None:
        texture, corner = self._eyeballs[side]
        height, width = texture.shape[:2]
        mask = np.zeros((height, width), dtype=np.uint8)
        outline = self._eyes[frame, side] - (corner << SHIFT)
        cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, SHIFT)
        region = image[corner[1] : corner[1] + height, corner[0] : corner[0] + width]
        cover = mask.astype(np.float32) / 255
        region[:] = cv2.blendLinear(texture, np.ascontiguousarray(region), cover, 1.0 - cover)
        crease = tuple((self._look.skin * 0.62).tolist())
        cv2.polylines(image, [self._crease[frame, side]], False, crease, thin, cv2.LINE_AA, SHIFT)
        lash = tuple((self._look.hair * 0.25 + 14).tolist())
        cv2.polylines(image, [self._upper[frame, side]], False, lash, 2 * thin, cv2.LINE_AA, SHIFT)

    def _draw_mouth(self, image: np.ndarray, frame: int, thin: int) -> None:
        lip = self._look.lip
        colours = {"inside": lip * (0.35, 0.25, 0.25), "teeth": np.array([236.0, 230.0, 220.0]) * 0.94}
        colours |= {"upper": lip * 0.88, "lower": lip}
        for name in ("inside", "teeth", "upper", "lower"):
            cv2.fillPoly(image, [self._mouth[name][frame]], tuple(colours[name].tolist()), cv2.LINE_AA, SHIFT)
        seam = tuple((lip * 0.5).tolist())
        cv2.polylines(image, [self._mouth["seam"][frame]], False, seam, thin, cv2.LINE_AA, SHIFT)

    def _crinkle(self, image: np.ndarray, line: np.ndarray, weight: float, thin: int) -> None:
        """A line somewhat darker than the skin under its middle."""
        x, y = line[len(line) // 2] >> SHIFT
        under = self._portrait.head[y, x].astype(np.float32)
        cv2.polylines(image, [line], False, tuple((under * (1 - 0.32 * weight)).tolist()), thin, cv2.LINE_AA, SHIFT)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return to_pixels(points, self._scale)


def _brows(look: Look, action: dict[str, np.ndarray]) -> np.ndarray:
    """Outlines (T, 2, N, 2): lowered, drawn together and flattened by `brow`."""
    t = np.linspace(0, 1, 9)
    inner, outer = 0.17 - 0.05 * action["brow"], look.eye_distance + 0.27
    x = inner + (outer - inner) * t
    drop = action["brow"] * (0.15 * (1 - t) ** 1.2 + 0.05) - 0.03 * action["smile"]
    arch = (0.09 * np.sin(np.pi * t**0.8) + look.brow_tilt * (t - 0.5)) * (1 - 0.6 * action["brow"])
    y = -look.brow_height - arch + drop + 0.05 * t**2
    half = look.brow_thickness * (0.55 + 0.45 * np.sin(np.pi * (0.15 + 0.7 * t))) * np.clip(1.5 - t, 0, 1)
    upper, lower = np.stack([x, y - half], -1), np.stack([x, y + half], -1)
    return np.concatenate([upper, lower[:, ::-1]], axis=1)[:, None] * _MIRROR


def _lids(look: Look, action: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower lid (T, 2, N, 2): drawn together by `eyes`, met by `blink`."""
    t = np.linspace(-1, 1, 13)
    x = look.eye_distance + look.eye_size * t
    narrow, shut = action["eyes"], np.clip(action["blink"], 0, 1)
    below = 0.062 * (1 - 0.75 * narrow) * (1 - t**2) * (1 - 0.5 * shut)
    above = 0.115 * (1 - 0.72 * narrow) * (1 - np.abs(t) ** 2.3)
    tilt = -0.02 * t
    upper = np.stack(np.broadcast_arrays(x, -above * (1 - shut) + below * shut + tilt), -1)
    lower = np.stack(np.broadcast_arrays(x, below + tilt), -1)
    return upper[:, None] * _MIRROR, lower[:, None] * _MIRROR


def _mouth(look: Look, action: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outlines (T, N, 2): stretched and bared by `mouth`, raised by `nose`, opened by `open`, curved by `smile`."""
    t = np.linspace(-1, 1, 15)
    half = look.mouth_width * (1 + 0.32 * action["mouth"] + 0.25 * action["smile"] - 0.06 * action["open"])
    x = half * t
    bend = look.mouth_curve + 0.05 * action["mouth"] - 0.16 * action["smile"]
    middle = look.mouth_height + bend * (t**2 - 0.4) - 0.04 * action["nose"]
    bow = 1 - t**2
    gap = 0.1 * action["mouth"] + 0.26 * action["open"] + 0.05 * action["smile"]
    upper_edge = middle - 0.4 * gap * bow - 0.03 * action["nose"] * bow
    lower_edge = middle + 0.6 * gap * bow
    thin = 1 - 0.35 * action["mouth"] - 0.25 * action["smile"]
    cupid = 1 - 0.22 * np.exp(-((t / 0.16) ** 2))
    top = upper_edge - look.lip_fullness * thin * bow**0.8 * cupid
    bottom = lower_edge + 1.25 * look.lip_fullness * thin * bow**0.7
    teeth = np.minimum(upper_edge + 0.085 * bow, lower_edge)

    def band(above: np.ndarray, below: np.ndarray) -> np.ndarray:
        upper, lower = (np.stack(np.broadcast_arrays(x, y), -1) for y in (above, below))
        return np.concatenate([upper, lower[:, ::-1]], axis=1)

    return {
        "upper": band(top, upper_edge),
        "lower": band(lower_edge, bottom),
        "inside": band(upper_edge, lower_edge),
        "teeth": band(upper_edge, teeth),
        "seam": band(upper_edge, upper_edge)[:, : len(t)],
    }


def _wrinkles(look: Look, action: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lines (T, N, 2) and how dark each is (T,)."""
    brow, eyes, nose, smile, mouth = (action[name][:, 0] for name in ("brow", "eyes", "nose", "smile", "mouth"))
    x, y = look.nose_width + 0.1, look.nose_length
    half = look.mouth_width
    outer = look.eye_distance + look.eye_size
    fold = np.clip(0.12 + 0.3 * look.wrinkles + 0.5 * nose + 0.5 * smile + 0.3 * mouth, 0, 1) * 0.7
    right = [
        (np.array([(0.07, -0.42), (0.06, -0.32), (0.065, -0.22)]), brow),
        (np.array([(0.02, -0.02), (0.08, -0.05), (0.13, -0.1)]), nose),
        (np.array([(0.02, 0.05), (0.09, 0.03), (0.15, -0.02)]), nose),
        (np.array([(x, y - 0.06), (x + 0.12, y + 0.1), (half + 0.12, y + 0.28)]), fold),
        (np.array([(outer + 0.05, -0.02), (outer + 0.12, -0.06), (outer + 0.18, -0.08)]), eyes * (0.4 + look.wrinkles)),
        (np.array([(outer + 0.05, 0.03), (outer + 0.12, 0.05), (outer + 0.17, 0.09)]), eyes * (0.4 + look.wrinkles)),
        (np.array([(0.24, 0.13), (0.4, 0.17), (0.56, 0.12)]), 0.12 + 0.3 * look.wrinkles + 0.5 * eyes),
    ]
    frames = len(brow)
    return [
        (np.broadcast_to(line * mirror, (frames, *line.shape)), np.clip(weight, 0, 1))
        for line, weight in right
        for mirror in _MIRROR
    ]


def _eyeball(portrait: Portrait, side: int) -> tuple[np.ndarray, np.ndarray]:
    """White, iris, pupil and glint of one eye (h, w, 3) uint8, and where its upper left corner lies on the canvas."""
    look, scale = portrait.look, portrait.scale
    reach = np.array([look.eye_size + 0.03, 0.17])
    centre = np.array([side * look.eye_distance, 0.0])
    corner = to_pixels(centre - reach, scale) >> SHIFT
    width, height = (np.ceil(2 * reach * scale)).astype(int)
    texture = np.empty((height, width, 3), dtype=np.uint8)
    down = np.linspace(-1, 1, height)[:, None, None]
    texture[:] = np.clip(np.array([232.0, 228.0, 224.0]) * (0.88 + 0.12 * np.tanh(3 * down + 1)), 0, 255)
    x, y = to_pixels(centre - np.array([0.0, 0.02]), scale) - (corner << SHIFT)
    for radius, colour in ((0.098, look.iris * 0.45), (0.085, look.iris), (0.043, look.iris * 0.12)):
        size = round(radius * scale * (1 << SHIFT))
        cv2.circle(texture, (int(x), int(y)), size, tuple(colour.tolist()), -1, cv2.LINE_AA, SHIFT)
    glint = round(0.03 * scale * (1 << SHIFT))
    cv2.circle(texture, (int(x + glint), int(y - glint)), glint * 2 // 3, (250, 250, 250), -1, cv2.LINE_AA, SHIFT)
    return texture, corner
