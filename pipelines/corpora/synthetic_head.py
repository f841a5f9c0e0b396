"""What does not move in a drawn face: who it is, the head with its hair and shading, and what stands behind it.

Painted once a subject in floating point, so shading is smooth; only the features that move are drawn a frame. Lengths
are in units of half the face's width, x to the right, y downwards, the origin on the nose's bridge between the eyes.
"""

from dataclasses import dataclass

import cv2
import numpy as np

LEFT, TOP, RIGHT, BOTTOM = -1.65, -1.85, 1.65, 2.35
"""What the head's canvas shows, in units."""

SHIFT = 4
"""Bits of a pixel's fraction in the integers that OpenCV draws polygons from."""

_SKINS = ((245, 214, 192), (236, 198, 170), (224, 180, 148), (205, 156, 120), (176, 126, 92), (141, 98, 70))
_HAIRS = ((38, 28, 24), (62, 42, 30), (94, 64, 40), (140, 98, 56), (196, 158, 100), (124, 62, 36))
_GREY = (176, 172, 168)
_IRISES = ((92, 62, 40), (66, 46, 34), (84, 112, 140), (98, 116, 84), (120, 134, 146))
_SHIRTS = ((86, 112, 140), (132, 76, 72), (96, 124, 100), (150, 140, 122), (72, 74, 92), (178, 150, 108))
_WALLS = ((206, 212, 214), (190, 204, 196), (216, 208, 196), (178, 190, 206), (202, 196, 208))


_HAIRLINES = {
    "fringe": ((0.9, -0.3), (0.78, -0.55), (0.4, -0.6), (0.0, -0.64), (-0.4, -0.6), (-0.78, -0.55), (-0.9, -0.3)),
    "parted": ((0.9, -0.3), (0.8, -0.72), (0.5, -0.98), (0.1, -1.02), (-0.35, -0.9), (-0.75, -0.72), (-0.9, -0.3)),
    "receding": ((0.9, -0.3), (0.74, -0.72), (0.5, -1.04), (0, -0.98), (-0.5, -1.04), (-0.74, -0.72), (-0.9, -0.3)),
    "bob": ((0.9, -0.1), (0.82, -0.62), (0.55, -0.9), (0.3, -1.05), (-0.3, -0.86), (-0.78, -0.6), (-0.9, -0.1)),
    "long": ((0.93, -0.3), (0.84, -0.7), (0.5, -0.92), (0.0, -0.98), (-0.5, -0.92), (-0.84, -0.7), (-0.93, -0.3)),
}
"""Corners of the hairline from the right temple to the left one; other styles have that of long hair."""


@dataclass(frozen=True)
class Look:
    """How a subject looks; lengths in units, colours as RGB of 0 to 255."""

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    shirt: np.ndarray
    wall: np.ndarray
    lip: np.ndarray
    hair_style: str
    beard: float
    jaw: float
    chin: float
    eye_distance: float
    eye_size: float
    brow_height: float
    brow_thickness: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    mouth_height: float
    mouth_width: float
    mouth_curve: float
    lip_fullness: float
    wrinkles: float
    light: float


def draw_look(rng: np.random.Generator, sex: str, age: int) -> Look:
    """Invent the looks of a subject; hair turns grey and skin wrinkled with age."""
    skin = np.array(_SKINS[rng.choice(len(_SKINS), p=(0.24, 0.26, 0.2, 0.14, 0.1, 0.06))], dtype=np.float32)
    skin = skin * rng.uniform(0.97, 1.02) + rng.normal(0, 2, 3)
    grey = float(np.clip((age - 40) / 25 + rng.normal(0, 0.2), 0, 0.95))
    hair = np.array(_HAIRS[rng.integers(3 if skin[0] < 190 else len(_HAIRS))], dtype=np.float32)
    styles = ("bob", "long", "fringe", "bun") if sex == "w" else ("short", "short", "parted", "receding", "bald")
    woman = sex == "w"
    return Look(
        skin=skin,
        hair=hair * (1 - grey) + np.array(_GREY, dtype=np.float32) * grey,
        iris=np.array(_IRISES[rng.integers(2 if skin[0] < 190 else len(_IRISES))], dtype=np.float32),
        shirt=np.array(_SHIRTS[rng.integers(len(_SHIRTS))], dtype=np.float32) * rng.uniform(0.85, 1.1),
        wall=np.array(_WALLS[rng.integers(len(_WALLS))], dtype=np.float32) * rng.uniform(0.8, 1.0),
        lip=skin * np.array([0.86, 0.6, 0.6] if woman else [0.84, 0.68, 0.66], dtype=np.float32),
        hair_style=str(rng.choice(styles)),
        beard=0.0 if woman or rng.random() < 0.5 else float(rng.uniform(0.15, 0.75)),
        jaw=float(rng.uniform(2.0, 2.25) if woman else rng.uniform(2.15, 2.6)),
        chin=float(rng.uniform(1.28, 1.42) if woman else rng.uniform(1.34, 1.5)),
        eye_distance=float(rng.uniform(0.39, 0.44)),
        eye_size=float(rng.uniform(0.19, 0.225)),
        brow_height=float(rng.uniform(0.27, 0.33)),
        brow_thickness=float(rng.uniform(0.035, 0.055) if woman else rng.uniform(0.055, 0.085)),
        brow_tilt=float(rng.uniform(-0.04, 0.06)),
        nose_length=float(rng.uniform(0.5, 0.6)),
        nose_width=float(rng.uniform(0.15, 0.21)),
        mouth_height=float(rng.uniform(0.82, 0.9)),
        mouth_width=float(rng.uniform(0.33, 0.42)),
        mouth_curve=float(rng.uniform(-0.065, 0.012)),
        lip_fullness=float(rng.uniform(0.08, 0.12) if woman else rng.uniform(0.06, 0.095)),
        wrinkles=float(np.clip((age - 25) / 40, 0, 1)),
        light=float(rng.uniform(-1, 1)),
    )


class Canvas:
    """A float image over which layers are laid, with the alpha of what they cover."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        width, height = round((RIGHT - LEFT) * scale), round((BOTTOM - TOP) * scale)
        self.image = np.zeros((height, width, 3), dtype=np.float32)
        self.alpha = np.zeros((height, width), dtype=np.float32)
        self.x, self.y = np.meshgrid(
            (np.arange(width, dtype=np.float32) + 0.5) / scale + LEFT,
            (np.arange(height, dtype=np.float32) + 0.5) / scale + TOP,
        )

    def mask(self, outline: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """Coverage (H, W) in 0 to 1 of a polygon (N, 2) in units, its edge softened by `blur` units."""
        mask = np.zeros(self.alpha.shape, dtype=np.uint8)
        cv2.fillPoly(mask, [to_pixels(outline, self.scale)], 255, cv2.LINE_AA, SHIFT)
        soft = mask.astype(np.float32) / 255
        return cv2.GaussianBlur(soft, (0, 0), blur * self.scale) if blur else soft

    def lay(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Lay a colour (3,) or picture (H, W, 3) over everything, where the mask says."""
        covered = mask + self.alpha * (1 - mask)
        share = np.divide(mask, covered, out=np.zeros_like(mask), where=covered > 0)
        self.image += share[..., None] * (colour - self.image)
        self.alpha = covered

    def spot(self, x: float, y: float, width: float, height: float) -> np.ndarray:
        """A soft spot (H, W) of height 1 around a point."""
        return np.exp(-(((self.x - x) / width) ** 2) - ((self.y - y) / height) ** 2)


def to_pixels(points: np.ndarray, scale: float) -> np.ndarray:
    """Units to OpenCV's fixed-point pixels of the head's canvas, shape kept."""
    return np.round(((points - (LEFT, TOP)) * scale - 0.5) * (1 << SHIFT)).astype(np.int32)


def paint_head(rng: np.random.Generator, look: Look, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The head without brows, eyes and mouth: RGB (H, W, 3) uint8 and its alpha (H, W) float32, at pixels a unit."""
    canvas = Canvas(scale)
    hair = look.hair * _strands(rng, canvas)[..., None]
    if (back := _back_hair(look)) is not None:
        canvas.lay(canvas.mask(back, 0.012), hair * 0.72)
    skin = look.skin * _light(canvas, look)[..., None]
    canvas.lay(canvas.mask(_neck()), skin * (0.86 - 0.16 * canvas.spot(0, 1.35, 1.2, 0.35)[..., None]))
    for side in (-1, 1):
        canvas.lay(canvas.mask(_ellipse(side * 1.0, 0.1, 0.14, 0.3)), skin * 0.88)
    face = canvas.mask(face_outline(look))
    canvas.lay(face, _complexion(canvas, look, skin))
    _nose(canvas, look)
    if look.beard:
        _beard(canvas, look, face)
    if look.hair_style != "bald":
        shadow = canvas.mask(_front_hair(look) + np.array([0, 0.06]), 0.05) * face
        canvas.lay(0.35 * shadow, look.skin * 0.55)
        canvas.lay(canvas.mask(_front_hair(look), 0.008), hair)
    return np.clip(canvas.image, 0, 255).astype(np.uint8), canvas.alpha


def paint_background(rng: np.random.Generator, look: Look, height: int, width: int, unit: float) -> np.ndarray:
    """Wall and shoulders, (H, W, 3) float32 RGB; `unit` is pixels a unit."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    slope = 1 + 0.12 * look.light * (x / width - 0.5) - 0.1 * (y / height - 0.4)
    image = look.wall * slope[..., None]
    if rng.random() < 0.5:  # the edge of a door or a curtain
        edge = rng.uniform(0.05, 0.2) if rng.random() < 0.5 else rng.uniform(0.8, 0.95)
        image *= 1 - 0.04 * (1 + np.tanh((x - edge * width) / (0.008 * width)))[..., None]
    centre = np.array([width / 2, 0.53 * height])
    shoulders = _smooth(
        np.array([(-2.5, 3.2), (-2.3, 2.2), (-1.5, 1.78), (-0.6, 1.5), (0.6, 1.5), (1.5, 1.78), (2.3, 2.2), (2.5, 3.2)])
    )
    mask = np.zeros((height, width), dtype=np.uint8)
    points = np.round((shoulders * unit + centre) * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, SHIFT)
    cover = cv2.GaussianBlur(mask, (0, 0), 0.012 * unit)[..., None].astype(np.float32) / 255
    across, down = (x - centre[0]) / unit, (y - centre[1]) / unit
    fold = 1 - 0.18 * np.exp(-((across / 1.1) ** 2) - ((down - 1.7) / 0.5) ** 2)
    return image + cover * (look.shirt * (slope * fold)[..., None] - image)


def face_outline(look: Look) -> np.ndarray:
    """The face's outline (N, 2): an ellipse above the cheekbones, a squarer one below."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    power = 2 / look.jaw
    lower = np.stack([np.sign(x) * np.abs(x) ** power, look.chin * np.abs(y) ** power], axis=1)
    # A chin is narrower than a superellipse's.
    lower[:, 0] *= 1 - 0.22 * (lower[:, 1] / look.chin) ** 2
    upper = np.stack([x, 1.3 * y], axis=1)
    return np.where(y[:, None] > 0, lower, upper) + np.array([0.0, 0.05])


def _light(canvas: Canvas, look: Look) -> np.ndarray:
    """Light from above and from one side."""
    return 1.0 + 0.07 * look.light * np.clip(canvas.x, -1, 1) - 0.05 * np.clip(canvas.y, -1, 1.4)


def _complexion(canvas: Canvas, look: Look, skin: np.ndarray) -> np.ndarray:
    """Skin with the relief of a face: dark sockets and sides, light forehead, cheeks and nose."""
    edge = 1 - canvas.mask(face_outline(look) * (0.93, 0.95), 0.16)
    shade = 1 - 0.3 * edge
    for side in (-1, 1):
        x = side * look.eye_distance
        shade -= 0.2 * canvas.spot(x * 0.95, -0.06, 0.3, 0.16) + 0.06 * canvas.spot(x * 0.7, -0.1, 0.16, 0.2)
        shade += 0.07 * canvas.spot(side * 0.5, 0.42, 0.3, 0.22)
        shade -= 0.08 * canvas.spot(side * 0.36, 0.62, 0.1, 0.25) * (0.4 + look.wrinkles)
    shade += 0.08 * canvas.spot(0, -0.75, 0.6, 0.35) + 0.09 * canvas.spot(0, 0.15, 0.09, 0.4)
    shade -= 0.14 * canvas.spot(0, look.mouth_height + 0.22, 0.22, 0.06)
    for line, y in enumerate((-0.62, -0.74, -0.86)):
        arch = canvas.y - y + 0.05 * np.cos(canvas.x * 3)
        shade -= 0.09 * look.wrinkles * np.exp(-((arch / 0.018) ** 2) - (canvas.x / (0.5 - 0.06 * line)) ** 4)
    blush = canvas.spot(-0.55, 0.45, 0.3, 0.24) + canvas.spot(0.55, 0.45, 0.3, 0.24)
    tint = 1 - blush[..., None] * np.array([0.0, 0.09, 0.08], dtype=np.float32)
    return skin * shade[..., None] * tint


def _nose(canvas: Canvas, look: Look) -> None:
    tip, width = look.nose_length, look.nose_width
    dark = 0.2 * canvas.spot(0, tip + 0.1, 1.1 * width, 0.05)
    for side in (-1, 1):
        dark += 0.1 * canvas.spot(side * 0.15, 0.12, 0.05, 0.3)
        dark += 0.16 * canvas.spot(side * (width + 0.05), tip, 0.045, 0.09)
    canvas.image *= 1 - dark[..., None]
    canvas.image *= 1 + 0.1 * canvas.spot(0, tip - 0.06, 0.09, 0.1)[..., None]
    for side in (-1, 1):
        nostril = canvas.mask(_ellipse(side * 0.5 * width, tip + 0.055, 0.34 * width, 0.03), 0.012)
        canvas.lay(0.75 * nostril, look.skin * 0.36)


def _beard(canvas: Canvas, look: Look, face: np.ndarray) -> None:
    """Stubble to full beard on jaw and upper lip, by `look.beard`."""
    edge = 0.62 + 0.5 * np.exp(-((canvas.x / 0.45) ** 2)) - 0.45 * np.abs(canvas.x)
    jaw = 0.5 + 0.5 * np.tanh((canvas.y - edge) / 0.14)
    lip = canvas.spot(0, look.mouth_height - 0.17, 0.36, 0.07)
    bare = canvas.spot(0, look.mouth_height + 0.01, 0.34, 0.1)
    cover = np.clip(jaw + lip - 0.9 * bare, 0, 1) * face * look.beard
    canvas.lay(np.minimum(canvas.alpha, cover), look.hair * 0.9 + look.skin * 0.08)


def _strands(rng: np.random.Generator, canvas: Canvas) -> np.ndarray:
    """Brightness of hair: fine streaks that run downwards, and a sheen on top."""
    height, width = canvas.alpha.shape
    coarse = rng.normal(1.0, 0.12, (max(height // 40, 2), max(width // 2, 2))).astype(np.float32)
    streaks = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return streaks * (1 + 0.22 * canvas.spot(-0.3, -1.4, 0.6, 0.25) - 0.12 * np.clip(np.abs(canvas.x) - 0.6, 0, 1))


def _back_hair(look: Look) -> np.ndarray | None:
    """Hair behind face and neck (N, 2), or None where there is none."""
    lengths = {"bob": (1.2, 1.12), "long": (1.22, 2.25), "fringe": (1.18, 0.95)}
    if look.hair_style == "bun":
        return _ellipse(0.0, -1.5, 0.42, 0.33)
    if look.hair_style not in lengths:
        return None
    width, length = lengths[look.hair_style]
    side = [(width * 0.8, -1.05), (width, -0.4), (width + 0.02, 0.4), (width * 0.98, length)]
    right = [(0.5, -1.45), *side, (0.55, length + 0.06)]
    return _smooth(np.array([(0.0, -1.52), *right, *[(-x, y) for x, y in right[::-1]]]))


def _front_hair(look: Look) -> np.ndarray:
    """Hair above the hairline (N, 2)."""
    crown = {"short": -1.55, "parted": -1.6, "receding": -1.42}.get(look.hair_style, -1.56)
    side = {"short": -0.05, "parted": 0.0, "receding": -0.02, "bun": -0.1}.get(look.hair_style, 0.75)
    width = 1.08 if look.hair_style in ("short", "parted", "receding", "bun") else 1.17
    outer = [(-width + 0.02, side), (-width, -0.45), (-0.82, -1.15), (-0.4, crown + 0.08), (0.0, crown)]
    outer += [(-x, y) for x, y in outer[-2::-1]]
    inner = _HAIRLINES.get(look.hair_style, _HAIRLINES["long"])
    return _smooth(np.array([*outer, (0.97, side), *inner, (-0.97, side)]))


def _neck() -> np.ndarray:
    right = [(0.52, 1.0), (0.54, 1.6), (0.5, 1.95), (0.25, 2.16)]
    return _smooth(np.array([*right, (0.0, 2.2), *[(-x, y) for x, y in right[::-1]]]))


def _ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], axis=1)


def _smooth(corners: np.ndarray, steps: int = 8) -> np.ndarray:
    """A closed Catmull-Rom curve (N * steps, 2) through corners (N, 2)."""
    before, after, beyond = (np.roll(corners, -k, axis=0)[:, None] for k in (-1, 1, 2))
    here = corners[:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 2 * here + (after - before) * t + (2 * before - 5 * here + 4 * after - beyond) * t**2
    return (0.5 * (curve + (3 * here - before - 3 * after + beyond) * t**3)).reshape(-1, 2)
