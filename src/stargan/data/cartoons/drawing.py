"""Draws a face part by part, from the background to the hat.

Lengths are fractions of the image's side. A face has its own coordinates: the origin lies between the height of the
eyes and the nose, x points right, y points down; `Face.shift_x`, `shift_y` and `scale` place it in the image.
"""

import numpy as np
from PIL import Image

from stargan.data.cartoons.faces import EXCLUSIVE, HAIR_COLOURS, Colour, Face, Labels, names_on
from stargan.data.cartoons.pen import Pen, arc, curve, mirrored, toned

_WHITE: Colour = (255, 255, 255)
_DARK: Colour = (30, 28, 40)

# The fringe's lower edge from left to right; x in half widths of the head.
_FRINGES = (
    ((-0.80, -0.13), (-0.40, -0.145), (0.0, -0.14), (0.40, -0.145), (0.80, -0.13)),
    ((-0.84, -0.10), (-0.45, -0.145), (0.05, -0.185), (0.42, -0.225), (0.66, -0.18), (0.86, -0.10)),
    ((-0.86, -0.10), (-0.60, -0.18), (-0.25, -0.22), (0.30, -0.175), (0.84, -0.10)),
    ((-0.86, -0.09), (-0.55, -0.16), (0.0, -0.235), (0.55, -0.16), (0.86, -0.09)),
    ((-0.86, -0.10), (-0.74, -0.18), (-0.35, -0.205), (0.35, -0.205), (0.74, -0.18), (0.86, -0.10)),
)


def draw(face: Face, labels: Labels, size: int = 128) -> Image.Image:
    """Draws a face with these labels; the same arguments give the same image, bit for bit.

    Args:
        face: The person.
        labels: Nine values, 0 or 1, in the order of `ATTRIBUTES`; or a mapping by name, where a missing name is 0.
        size: Side of the image in pixels.

    Returns:
        RGB image, size × size.

    Raises:
        DomainError: Not exactly one hair colour, an unknown name, not nine labels, or one that is not 0 or 1.
    """
    on = names_on(labels)
    hair = next(colour for name, colour in zip(EXCLUSIVE, HAIR_COLOURS, strict=True) if name in on)
    pen = Pen(face, size, 4 if size < 128 else 3 if size < 256 else 2)
    pen.oval(0, 0.02, 0.44, 0.44, toned(face.background, 1.16))
    if "Long_Hair" in on:
        wide = face.width + face.hair_volume
        pen.shape([(-wide, 0), (wide, 0), (wide, 0.34), (-wide, 0.34)], toned(hair, 0.66))  # behind the neck
    _body(pen, face)
    _ears(pen, face)
    if "Long_Hair" in on:
        _locks(pen, face, hair)
    _head(pen, face)
    _eyes(pen, face, hair)
    _nose(pen, face)
    if "Beard" in on:
        _beard(pen, face, hair)
    (_smile if "Smiling" in on else _closed_mouth)(pen, face)
    _hair_on_top(pen, face, hair)
    if "Eyeglasses" in on:
        _glasses(pen, face)
    if "Wearing_Hat" in on:
        (_cap if face.hat_style == 2 else _beanie)(pen, face)
    return pen.image.resize((size, size), Image.Resampling.BOX)


def _outline(face: Face, grow: float = 0.0) -> np.ndarray:
    """The head (72, 2), clockwise from the right: an ellipse above, a jaw of the face's own shape below."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    bend = np.where(sin > 0, 1 / face.jaw, 1.0)
    x = (face.width + grow) * np.sign(cos) * np.abs(cos) ** bend * np.where(sin > 0, 1 - 0.06 * sin, 1)
    return np.stack([x, (face.height + grow) * sin], 1)


def _body(pen: Pen, face: Face) -> None:
    top, half = face.height + 0.06, 0.085 + face.width * 0.1
    left = curve([(-0.56, 0.75), (-0.44, top + 0.11), (-0.27, top + 0.04), (-half - 0.01, top - 0.01)])
    shirt = mirrored(left)
    pen.shape(shirt, face.shirt)
    if face.collar == 2:
        pen.glaze([(x, top + y) for x, y in ((-1, 0.09), (1, 0.09), (1, 0.12), (-1, 0.12))], _WHITE, 0.6, within=shirt)
    pen.shade(shirt, toned(face.shirt, 0.6), -0.05, 0.03)
    if face.collar == 1:
        hem = np.array([(-half - 0.006, top - 0.005), (0, top + 0.1), (half + 0.006, top - 0.005)])
    else:
        hem = arc(0, top - 0.005, half + 0.006, 0.065, 180, 0)
    neck = [(-half, 0.1), *hem.tolist(), (half, 0.1)]
    pen.shape(neck, face.skin)
    pen.glaze(_outline(face) + np.array([0, 0.05]), toned(face.skin, 0.62), 0.6, within=neck)
    pen.line(hem, toned(face.shirt, 0.72), 0.028)


def _ears(pen: Pen, face: Face) -> None:
    for side in (-1, 1):
        pen.oval(side * (face.width + 0.004), 0.035, 0.036, 0.052, toned(face.skin, 0.9))
        pen.oval(side * (face.width + 0.008), 0.037, 0.018, 0.03, toned(face.skin, 0.74))


def _head(pen: Pen, face: Face) -> None:
    head = _outline(face)
    pen.shape(head, face.skin, toned(face.skin, 0.8), 0.008)
    pen.shade(head, toned(face.skin, 0.72), -0.035, -0.022)
    for side in (-1, 1):
        cheek = arc(side * face.width * 0.62, 0.095, 0.042, 0.027, 0, 360)
        pen.glaze(cheek, (236, 92, 92), 0.28, within=head)


def _eyes(pen: Pen, face: Face, hair: Colour) -> None:
    size = face.eye_size
    for side in (-1, 1):
        x = side * face.eye_gap
        pen.oval(x, -0.008, size * 1.16, size, _WHITE)
        pen.oval(x, -0.004, size * 0.68, size * 0.74, face.iris)
        pen.oval(x, -0.004, size * 0.36, size * 0.4, _DARK)
        pen.oval(x - size * 0.26, -0.02, size * 0.22, size * 0.24, _WHITE)
        pen.line(arc(x, -0.006, size * 1.16, size * 1.04, 195, 345, 12), _DARK, 0.013)
        brow = curve([(x - side * 0.042, -0.078), (x, -0.094), (x + side * 0.05, -0.08 + face.brow_tilt)])
        pen.line(brow, toned(hair, 0.72), 0.019)


def _nose(pen: Pen, face: Face) -> None:
    tip, wide = 0.025 + face.nose_length, face.nose_width
    pen.glaze(curve([(-0.008, 0.02), (wide, tip), (0, tip + 0.012), (-wide * 0.3, tip)]), toned(face.skin, 0.7), 0.55)
    pen.line(curve([(-wide, tip - 0.004), (0, tip + 0.012), (wide, tip - 0.004)]), toned(face.skin, 0.62), 0.011)


def _closed_mouth(pen: Pen, face: Face) -> None:
    y, wide = face.height * 0.58, face.mouth_width
    pen.oval(0, y + 0.009, wide * 0.72, 0.016, (206, 104, 104))
    pen.line([(-wide, y), (wide, y)], (112, 42, 48), 0.014)


def _smile(pen: Pen, face: Face) -> None:
    y, wide = face.height * 0.58 - 0.018, face.mouth_width * 1.5
    inside = np.concatenate([arc(0, y - 0.012, wide, 0.026, 158, 22), arc(0, y, wide, 0.078, 10, 170)])
    pen.shape(inside, (128, 30, 44), (206, 104, 104), 0.015)
    teeth = np.concatenate([arc(0, y - 0.012, wide * 0.94, 0.026, 158, 22), arc(0, y, wide * 0.9, 0.042, 12, 168)])
    pen.shape(teeth, _WHITE)


def _beard(pen: Pen, face: Face, hair: Colour) -> None:
    wide, middle = face.width, face.height * 0.58
    tip = 0.045 + face.nose_length
    jaw = _outline(face, 0.012)[1:36]
    jaw[:, 1] += face.beard_length * np.clip(jaw[:, 1] / face.height, 0, 1) ** 2
    cheek = [(-wide - 0.01, 0.01), (-wide * 0.86, 0.05), (-wide * 0.62, middle - 0.05), (-0.03, tip), (0, tip + 0.006)]
    points = np.concatenate([mirrored(curve(cheek)), jaw])
    pen.shape(points, toned(hair, 0.82), toned(hair, 0.62), 0.01)
    pen.shade(points, toned(hair, 0.58), -0.02, -0.015)


def _locks(pen: Pen, face: Face, hair: Colour) -> None:
    wide, end = face.width + face.hair_volume, face.hair_length
    outer = [(-wide + 0.02, -0.12), (-wide - 0.012, 0.06), (-wide - 0.04, 0.24), (-wide - 0.02, end)]
    inner = [(-wide + 0.05, end + 0.035), (-wide + 0.115, end - 0.02), (-wide + 0.1, 0.2), (-wide + 0.12, 0.0)]
    left = curve([*outer, *inner])
    for lock in (left, left * (-1, 1)):
        pen.shape(lock, hair, toned(hair, 0.66))
    for x in (-wide + 0.03, -wide + 0.065, wide - 0.03, wide - 0.065):
        pen.line(curve([(x, 0.12), (x * 1.06, 0.24), (x * 1.0, end - 0.02)]), toned(hair, 0.8), 0.011)


def _hair_on_top(pen: Pen, face: Face, hair: Colour) -> None:
    wide, high = face.width + face.hair_volume * 0.75, face.height + face.hair_volume
    side = [(-wide + 0.03, 0.05), (-face.width * 0.88, 0.0)]
    fringe = [(x * face.width, y) for x, y in _FRINGES[face.fringe]]
    inner = curve([*side, *fringe, *((-x, y) for x, y in reversed(side))])
    top = np.concatenate([inner, arc(0, -0.02, wide, high - 0.02, 10, -190, 40)])
    dark = toned(hair, 0.62)
    pen.shape(top, hair, dark)
    pen.shade(top, dark, -0.03, -0.012)
    outer, lower = arc(0, -0.02, wide * 0.84, high * 0.84, 200, 262), arc(0, -0.02, wide * 0.7, high * 0.72, 258, 204)
    pen.glaze(np.concatenate([outer, lower]), toned(hair, 1.6), 0.6, within=top)


def _glasses(pen: Pen, face: Face) -> None:
    across, down, gap = 0.076, 0.064, face.eye_gap + 0.004
    bend = 0.45 + 0.55 * face.frame
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    corner = np.stack([np.cos(angle), np.sin(angle)], 1)
    lens = np.sign(corner) * np.abs(corner) ** bend * (across, down)
    for side in (-1, 1):
        placed = lens + np.array([side * gap, -0.002])
        pen.glaze(placed, (120, 190, 235), 0.3)
        pen.line(np.concatenate([placed, placed[:2]]), _DARK, 0.024)
        pen.line([(side * (gap + across), -0.01), (side * (face.width + 0.01), -0.016)], _DARK, 0.02)
    pen.line(curve([(-gap + across, -0.008), (0, -0.02), (gap - across, -0.008)]), _DARK, 0.02)


def _dome(pen: Pen, face: Face) -> tuple[float, float, float]:
    """Draws a hat's upper part; returns half its width, the height of its top and that of its lower edge."""
    wide, top, edge = face.width + face.hair_volume + 0.012, -face.height - face.hair_volume - 0.03, -0.135
    dome = arc(0, edge, wide, edge - top, 180, 360, 32)
    pen.shape(dome, face.hat, toned(face.hat, 0.7), 0.01)
    pen.shade(dome, toned(face.hat, 0.6), -0.035, -0.01)
    return wide, top, edge


def _beanie(pen: Pen, face: Face) -> None:
    if face.hat_style == 1:
        pen.oval(0, -face.height - face.hair_volume - 0.045, 0.062, 0.055, (214, 208, 204))
        pen.oval(-0.006, -face.height - face.hair_volume - 0.05, 0.052, 0.047, (246, 242, 236))
    wide, _, edge = _dome(pen, face)
    dark, wide = toned(face.hat, 0.7), wide + 0.014
    low, up = edge + 0.02, edge - 0.055
    cuff = np.concatenate([arc(0, up, wide, 0.02, 180, 360), arc(0, low, wide, 0.02, 0, 180)])
    pen.shape(cuff, toned(face.hat, 1.2), dark, 0.01)
    for x in np.linspace(-0.75, 0.75, 7):
        pen.line([(x * wide, up - 0.002), (x * wide, low + 0.004)], dark, 0.008)


def _cap(pen: Pen, face: Face) -> None:
    wide, top, edge = _dome(pen, face)
    dark = toned(face.hat, 0.62)
    for side in (-1, 1):
        pen.line(curve([(0, top), (side * wide * 0.42, top * 0.8), (side * wide * 0.56, edge)]), dark, 0.008)
    pen.oval(0, top, 0.026, 0.014, dark)
    peak = np.concatenate([arc(0, edge, wide * 0.99, 0.085, 180, 360), arc(0, edge, wide * 0.99, 0.024, 0, 180)])
    pen.shape(peak, toned(face.hat, 0.78), toned(face.hat, 0.5), 0.01)
    pen.line(arc(0, edge + 0.004, wide * 0.86, 0.068, 200, 340), toned(face.hat, 1.25), 0.01)
