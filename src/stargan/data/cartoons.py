"""Cartoon faces: drawn pictures whose labels are known, and whose true translations are known as well.

A picture is a pure function of a `Face` (all that a translation has to keep), its labels and its size. No randomness
is left once a face is drawn by lot, so drawing the same face with one other label gives the exact answer that a
translation should have given.

Lengths are parts of the picture's side. A face has its own frame: the origin lies between the eyes' height and the
nose, x goes right, y goes down; `Face.shift` and `Face.scale` place it in the picture.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from stargan.errors import DataError, DomainError

EXCLUSIVE: tuple[str, ...] = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
ATTRIBUTES: tuple[str, ...] = (*EXCLUSIVE, "Long_Hair", "Eyeglasses", "Smiling", "Beard", "Wearing_Hat")

LIST = "list_attr_cartoons.txt"
IMAGES = "images"

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]] | np.ndarray
Labels = Sequence[int] | Mapping[str, int] | np.ndarray

_CHANCES = (0.45, 0.4, 0.5, 0.35, 0.35)  # of the binary attributes
_SAMPLES, _PAIRS = 0, 1  # streams of randomness: a pair never shows a face of `sample`

# Hair of four lightnesses and hues; backgrounds are of middle lightness and never of a hair's or a skin's hue.
_HAIR: tuple[Colour, ...] = ((38, 34, 44), (246, 202, 72), (122, 54, 24), (206, 210, 220))
_SKINS: tuple[Colour, ...] = (
    (255, 224, 200), (250, 208, 176), (238, 186, 148), (222, 164, 122), (200, 142, 106), (174, 120, 92),
    (146, 96, 70), (116, 74, 56),
)  # fmt: skip
_BACKGROUNDS: tuple[Colour, ...] = (
    (88, 168, 172), (104, 160, 216), (152, 128, 206), (112, 182, 136), (220, 116, 140), (92, 124, 180), (196, 120, 184),
)  # fmt: skip
_CLOTHES: tuple[Colour, ...] = (
    (210, 58, 66), (52, 84, 176), (38, 134, 88), (124, 64, 164), (236, 122, 48), (24, 140, 156), (232, 92, 150),
)  # fmt: skip
_IRISES: tuple[Colour, ...] = ((92, 56, 34), (52, 116, 178), (70, 132, 82), (112, 120, 136), (150, 96, 40))
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


def _between(low: float, high: float) -> Any:
    return field(metadata={"lot": lambda rng: rng.uniform(low, high)})


def _style(count: int) -> Any:
    return field(metadata={"lot": lambda rng: int(rng.integers(count))})


@dataclass(frozen=True)
class Face:
    """All of a drawn person that labels do not say, and that a translation keeps; with the ranges that `sample` uses.

    Colours are RGB from 0 to 255, lengths parts of the picture's side.
    """

    skin: Colour
    iris: Colour
    background: Colour
    shirt: Colour
    hat: Colour
    width: float = _between(0.200, 0.228)  # half the head's
    height: float = _between(0.255, 0.285)  # half the head's
    jaw: float = _between(0.8, 1.25)  # from pointed to square
    eye_gap: float = _between(0.086, 0.102)  # from the middle to an eye
    eye_size: float = _between(0.036, 0.046)  # half its height
    brow_tilt: float = _between(-0.012, 0.02)  # how far the outer end of a brow lies lower
    nose_length: float = _between(0.05, 0.075)
    nose_width: float = _between(0.02, 0.034)  # half
    mouth_width: float = _between(0.055, 0.07)  # half, closed
    fringe: int = _style(5)
    hair_volume: float = _between(0.034, 0.052)  # how far hair stands off the head
    hair_length: float = _between(0.34, 0.42)  # the height at which long hair ends
    beard_length: float = _between(0.02, 0.06)  # below the chin
    frame: float = _between(0.0, 1.0)  # of glasses, from rectangular to round
    hat_style: int = _style(3)  # a beanie, one with a pompom, a cap
    collar: int = _style(3)  # a round neck, a V neck, a round neck and stripes
    shift_x: float = _between(-0.03, 0.03)  # how far the face is off the middle
    shift_y: float = _between(-0.02, 0.02)
    scale: float = _between(0.98, 1.09)


@dataclass(frozen=True)
class Pair:
    """A picture and its one true translation.

    Attributes:
        image: The source, RGB.
        source: Its labels, (9,) uint8 in the order of `ATTRIBUTES`.
        target: The labels asked for: another hair colour, or one binary attribute flipped.
        truth: The same face drawn with `target`.
    """

    image: Image.Image
    source: np.ndarray
    target: np.ndarray
    truth: Image.Image


def sample(seed: int, index: int) -> tuple[Face, np.ndarray]:
    """Draws a person by lot: a pure function of both numbers, which must not be negative.

    Returns:
        The face, and labels (9,) uint8: hair colours equally often, each binary attribute by a chance of its own.
    """
    return _sample(np.random.default_rng([seed, index, _SAMPLES]))


def pairs(count: int, seed: int, size: int) -> Iterator[Pair]:
    """Yields pictures with their true translations, each of which changes one thing.

    The targets take turns: the four hair colours, each on a face with another one, then each binary attribute, in one
    round added and in the next one removed. The faces are none of those that `sample` gives, whatever the seed.

    Args:
        count: How many.
        seed: The same seed gives the same pairs.
        size: Side of the pictures in pixels.
    """
    for index in range(count):
        rng = np.random.default_rng([seed, index, _PAIRS])
        face, source = _sample(rng)
        turn, kind = divmod(index, len(ATTRIBUTES))
        target = source.copy()
        if kind < len(EXCLUSIVE):
            # Some other colour, each equally often.
            before = (kind + 1 + int(rng.integers(len(EXCLUSIVE) - 1))) % len(EXCLUSIVE)
            source[: len(EXCLUSIVE)] = np.arange(len(EXCLUSIVE)) == before
            target[: len(EXCLUSIVE)] = np.arange(len(EXCLUSIVE)) == kind
        else:
            source[kind] = turn % 2
            target[kind] = 1 - source[kind]
        yield Pair(draw(face, source, size), source, target, draw(face, target, size))


def write(
    out: Path, count: int, *, seed: int = 0, size: int = 128, progress: Callable[[int], None] | None = None
) -> None:
    """Writes a data set in CelebA's format: `list_attr_cartoons.txt` and `images/000001.png` onwards.

    It is made in a hidden folder beside `out` and renamed at the end, so a broken run leaves no half data set.

    Args:
        out: The folder; it must be missing or empty. Its parents are made.
        count: How many pictures.
        seed: Picture i shows `sample(seed, i)`.
        size: Their side in pixels.
        progress: Called with the number of pictures done after each.

    Raises:
        DataError: `out` is something already, or `count` is below 1.
    """
    if count < 1:
        raise DataError(f"count is {count}; must be at least 1")
    out = out.resolve()  # "." has no name of its own to rename to
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists and is not an empty folder; give another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    # mkdtemp's folder is closed to others, and would stay so when renamed; one made inside it is as usual.
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        made = temporary / out.name
        _write_into(made, count, seed, size, progress)
        if out.exists():
            out.rmdir()
        os.replace(made, out)  # noqa: PTH105
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_into(out: Path, count: int, seed: int, size: int, progress: Callable[[int], None] | None) -> None:
    (out / IMAGES).mkdir(parents=True)
    lines = [str(count), " ".join(ATTRIBUTES)]
    for index in range(count):
        face, labels = sample(seed, index)
        name = f"{index + 1:06d}.png"
        draw(face, labels, size).save(out / IMAGES / name)
        lines.append(" ".join([name, *("1" if label else "-1" for label in labels)]))
        if progress:
            progress(index + 1)
    (out / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sample(rng: np.random.Generator) -> tuple[Face, np.ndarray]:
    background = _pick(rng, _BACKGROUNDS)
    clothes = [colour for colour in _CLOTHES if np.linalg.norm(np.subtract(colour, background)) > 90]
    face = Face(
        skin=_pick(rng, _SKINS),
        iris=_pick(rng, _IRISES),
        background=background,
        shirt=_pick(rng, clothes),
        hat=_pick(rng, clothes),
        **{item.name: item.metadata["lot"](rng) for item in fields(Face) if item.metadata},
    )
    labels = np.zeros(len(ATTRIBUTES), np.uint8)
    labels[int(rng.integers(len(EXCLUSIVE)))] = 1
    labels[len(EXCLUSIVE) :] = rng.random(len(_CHANCES)) < _CHANCES
    return face, labels


def _pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours, slightly off, so that no two pictures agree by accident."""
    chosen = colours[int(rng.integers(len(colours)))]
    red, green, blue = (int(np.clip(c + d, 0, 255)) for c, d in zip(chosen, rng.integers(-7, 8, 3), strict=True))
    return red, green, blue


def draw(face: Face, labels: Labels, size: int = 128) -> Image.Image:
    """Draws a face with these labels: the same arguments give the same picture.

    Args:
        face: The person.
        labels: Nine values 0 or 1 in the order of `ATTRIBUTES`, or a mapping by name in which what is left out is 0.
        size: Side of the picture in pixels.

    Returns:
        An RGB picture, size × size.

    Raises:
        DomainError: Not exactly one hair colour, an unknown name, a wrong number of labels or one not 0 or 1.
    """
    shown = _shown(labels)
    hair = next(colour for name, colour in zip(EXCLUSIVE, _HAIR, strict=True) if name in shown)
    pen = _Pen(face, size, 4 if size < 128 else 3 if size < 256 else 2)
    pen.oval(0, 0.02, 0.44, 0.44, _toned(face.background, 1.16))
    if "Long_Hair" in shown:
        wide = face.width + face.hair_volume
        pen.shape([(-wide, 0), (wide, 0), (wide, 0.34), (-wide, 0.34)], _toned(hair, 0.66))  # behind the neck
    _body(pen, face)
    _ears(pen, face)
    if "Long_Hair" in shown:
        _locks(pen, face, hair)
    _head(pen, face)
    _eyes(pen, face, hair)
    _nose(pen, face)
    if "Beard" in shown:
        _beard(pen, face, hair)
    (_smile if "Smiling" in shown else _closed_mouth)(pen, face)
    _hair_on_top(pen, face, hair)
    if "Eyeglasses" in shown:
        _glasses(pen, face)
    if "Wearing_Hat" in shown:
        (_cap if face.hat_style == 2 else _beanie)(pen, face)
    return pen.image.resize((size, size), Image.Resampling.BOX)


def _shown(labels: Labels) -> set[str]:
    """The names of the labels that are 1."""
    if isinstance(labels, Mapping):
        unknown = [name for name in labels if name not in ATTRIBUTES]
        if unknown:
            raise DomainError(f"cartoons do not have {unknown[0]!r}; they have {', '.join(ATTRIBUTES)}")
        values = dict(labels)
    else:
        if np.shape(labels) != (len(ATTRIBUTES),):
            raise DomainError(f"labels of a cartoon are {len(ATTRIBUTES)} values; got shape {np.shape(labels)}")
        values = dict(zip(ATTRIBUTES, labels, strict=True))
    for name, value in values.items():
        if value not in (0, 1):
            raise DomainError(f"{name} is {value}; must be 0 or 1")
    shown = {name for name, value in values.items() if value}
    if len(shown.intersection(EXCLUSIVE)) != 1:
        raise DomainError(f"a cartoon has exactly one of {', '.join(EXCLUSIVE)}; got {sorted(shown & set(EXCLUSIVE))}")
    return shown


class _Pen:
    """Draws shapes given in a face's frame, on a canvas larger than the picture by an integer factor.

    Pillow's shapes have hard edges; averaging the larger canvas down makes them smooth. Points are (n, 2).
    """

    def __init__(self, face: Face, size: int, factor: int):
        side = size * factor
        self.unit = side * face.scale
        self.x, self.y = (0.5 + face.shift_x) * side, (0.505 + face.shift_y) * side
        self.image = Image.new("RGB", (side, side), face.background)
        self._draw = ImageDraw.Draw(self.image)

    def shape(self, points: Points, colour: Colour, edge: Colour | None = None, width: float = 0.012) -> None:
        """A filled polygon, with a line around it if `edge` is given."""
        placed = self._place(points)
        self._draw.polygon(placed, colour)
        if edge:
            self._draw.line([*placed, *placed[:2]], edge, self._width(width), joint="curve")

    def oval(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """A filled ellipse around (x, y), by its half axes."""
        self._draw.ellipse(self._place([(x - across, y - down), (x + across, y + down)]), colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """An open line with round ends."""
        self._draw.line(self._place(points), colour, self._width(width), joint="curve")
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, colour)

    def glaze(self, points: Points, colour: Colour, opacity: float, within: Points | None = None) -> None:
        """A see-through polygon, cut to another one if `within` is given."""
        mask = self._mask(points, opacity)
        self._paste(colour, mask if within is None else ImageChops.darker(mask, self._mask(within, 1.0)))

    def shade(self, points: np.ndarray, colour: Colour, dx: float, dy: float) -> None:
        """Darkens what a polygon leaves uncovered of itself when moved: the side that is away from the light."""
        moved = ImageChops.invert(self._mask(points + np.array([dx, dy]), 1.0))
        self._paste(colour, ImageChops.darker(self._mask(points, 0.5), moved))

    def _paste(self, colour: Colour, mask: Image.Image) -> None:
        box = mask.getbbox()  # pasting costs by the area, and most masks are small
        if box:
            self.image.paste(colour, box, mask.crop(box))

    def _mask(self, points: Points, opacity: float) -> Image.Image:
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(self._place(points), round(255 * opacity))
        return mask

    def _place(self, points: Points) -> list[tuple[float, float]]:
        listed = points.tolist() if isinstance(points, np.ndarray) else points
        return [(self.x + x * self.unit, self.y + y * self.unit) for x, y in listed]

    def _width(self, width: float) -> int:
        return max(1, round(width * self.unit))


def _toned(colour: Colour, factor: float) -> Colour:
    """Darker for a factor below 1, lighter (towards white) above."""
    end, part = (0, 1 - factor) if factor < 1 else (255, factor - 1)
    red, green, blue = (round(c + (end - c) * part) for c in colour)
    return red, green, blue


def _arc(x: float, y: float, across: float, down: float, start: float, stop: float, count: int = 24) -> np.ndarray:
    """Points (count, 2) on an ellipse; degrees go from the right, clockwise as seen."""
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack([x + across * np.cos(angle), y + down * np.sin(angle)], 1)


def _curve(points: Sequence[tuple[float, float]], steps: int = 6) -> np.ndarray:
    """A smooth line through all points (Catmull and Rom's spline)."""
    known = np.array(points)
    known = np.concatenate([known[:1], known, known[-1:]])
    before, start, stop, after = (known[i : len(known) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    inner = start + t / 2 * (
        (stop - before) + t * (2 * before - 5 * start + 4 * stop - after + t * (3 * (start - stop) + after - before))
    )
    return np.concatenate([inner.reshape(-1, 2), known[-1:]])


def _both(left: np.ndarray) -> np.ndarray:
    """A line and its mirror image, joined at its end."""
    return np.concatenate([left, left[::-1] * (-1, 1)])


def _outline(face: Face, grow: float = 0.0) -> np.ndarray:
    """The head (72, 2), clockwise from the right: an ellipse above, a jaw of the face's own shape below."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    bend = np.where(sin > 0, 1 / face.jaw, 1.0)
    x = (face.width + grow) * np.sign(cos) * np.abs(cos) ** bend * np.where(sin > 0, 1 - 0.06 * sin, 1)
    return np.stack([x, (face.height + grow) * sin], 1)


def _body(pen: _Pen, face: Face) -> None:
    top, half = face.height + 0.06, 0.085 + face.width * 0.1
    left = _curve([(-0.56, 0.75), (-0.44, top + 0.11), (-0.27, top + 0.04), (-half - 0.01, top - 0.01)])
    shirt = _both(left)
    pen.shape(shirt, face.shirt)
    if face.collar == 2:
        pen.glaze([(x, top + y) for x, y in ((-1, 0.09), (1, 0.09), (1, 0.12), (-1, 0.12))], _WHITE, 0.6, within=shirt)
    pen.shade(shirt, _toned(face.shirt, 0.6), -0.05, 0.03)
    if face.collar == 1:
        hem = np.array([(-half - 0.006, top - 0.005), (0, top + 0.1), (half + 0.006, top - 0.005)])
    else:
        hem = _arc(0, top - 0.005, half + 0.006, 0.065, 180, 0)
    neck = [(-half, 0.1), *hem.tolist(), (half, 0.1)]
    pen.shape(neck, face.skin)
    pen.glaze(_outline(face) + np.array([0, 0.05]), _toned(face.skin, 0.62), 0.6, within=neck)
    pen.line(hem, _toned(face.shirt, 0.72), 0.028)


def _ears(pen: _Pen, face: Face) -> None:
    for side in (-1, 1):
        pen.oval(side * (face.width + 0.004), 0.035, 0.036, 0.052, _toned(face.skin, 0.9))
        pen.oval(side * (face.width + 0.008), 0.037, 0.018, 0.03, _toned(face.skin, 0.74))


def _head(pen: _Pen, face: Face) -> None:
    head = _outline(face)
    pen.shape(head, face.skin, _toned(face.skin, 0.8), 0.008)
    pen.shade(head, _toned(face.skin, 0.72), -0.035, -0.022)
    for side in (-1, 1):
        cheek = _arc(side * face.width * 0.62, 0.095, 0.042, 0.027, 0, 360)
        pen.glaze(cheek, (236, 92, 92), 0.28, within=head)


def _eyes(pen: _Pen, face: Face, hair: Colour) -> None:
    size = face.eye_size
    for side in (-1, 1):
        x = side * face.eye_gap
        pen.oval(x, -0.008, size * 1.16, size, _WHITE)
        pen.oval(x, -0.004, size * 0.68, size * 0.74, face.iris)
        pen.oval(x, -0.004, size * 0.36, size * 0.4, _DARK)
        pen.oval(x - size * 0.26, -0.02, size * 0.22, size * 0.24, _WHITE)
        pen.line(_arc(x, -0.006, size * 1.16, size * 1.04, 195, 345, 12), _DARK, 0.013)
        brow = _curve([(x - side * 0.042, -0.078), (x, -0.094), (x + side * 0.05, -0.08 + face.brow_tilt)])
        pen.line(brow, _toned(hair, 0.72), 0.019)


def _nose(pen: _Pen, face: Face) -> None:
    tip, wide = 0.025 + face.nose_length, face.nose_width
    pen.glaze(_curve([(-0.008, 0.02), (wide, tip), (0, tip + 0.012), (-wide * 0.3, tip)]), _toned(face.skin, 0.7), 0.55)
    pen.line(_curve([(-wide, tip - 0.004), (0, tip + 0.012), (wide, tip - 0.004)]), _toned(face.skin, 0.62), 0.011)


def _closed_mouth(pen: _Pen, face: Face) -> None:
    y, wide = face.height * 0.58, face.mouth_width
    pen.oval(0, y + 0.009, wide * 0.72, 0.016, (206, 104, 104))
    pen.line([(-wide, y), (wide, y)], (112, 42, 48), 0.014)


def _smile(pen: _Pen, face: Face) -> None:
    y, wide = face.height * 0.58 - 0.018, face.mouth_width * 1.5
    inside = np.concatenate([_arc(0, y - 0.012, wide, 0.026, 158, 22), _arc(0, y, wide, 0.078, 10, 170)])
    pen.shape(inside, (128, 30, 44), (206, 104, 104), 0.015)
    teeth = np.concatenate([_arc(0, y - 0.012, wide * 0.94, 0.026, 158, 22), _arc(0, y, wide * 0.9, 0.042, 12, 168)])
    pen.shape(teeth, _WHITE)


def _beard(pen: _Pen, face: Face, hair: Colour) -> None:
    wide, middle = face.width, face.height * 0.58
    tip = 0.045 + face.nose_length
    jaw = _outline(face, 0.012)[1:36]
    jaw[:, 1] += face.beard_length * np.clip(jaw[:, 1] / face.height, 0, 1) ** 2
    cheek = [(-wide - 0.01, 0.01), (-wide * 0.86, 0.05), (-wide * 0.62, middle - 0.05), (-0.03, tip), (0, tip + 0.006)]
    points = np.concatenate([_both(_curve(cheek)), jaw])
    pen.shape(points, _toned(hair, 0.82), _toned(hair, 0.62), 0.01)
    pen.shade(points, _toned(hair, 0.58), -0.02, -0.015)


def _locks(pen: _Pen, face: Face, hair: Colour) -> None:
    wide, end = face.width + face.hair_volume, face.hair_length
    outer = [(-wide + 0.02, -0.12), (-wide - 0.012, 0.06), (-wide - 0.04, 0.24), (-wide - 0.02, end)]
    inner = [(-wide + 0.05, end + 0.035), (-wide + 0.115, end - 0.02), (-wide + 0.1, 0.2), (-wide + 0.12, 0.0)]
    left = _curve([*outer, *inner])
    for lock in (left, left * (-1, 1)):
        pen.shape(lock, hair, _toned(hair, 0.66))
    for x in (-wide + 0.03, -wide + 0.065, wide - 0.03, wide - 0.065):
        pen.line(_curve([(x, 0.12), (x * 1.06, 0.24), (x * 1.0, end - 0.02)]), _toned(hair, 0.8), 0.011)


def _hair_on_top(pen: _Pen, face: Face, hair: Colour) -> None:
    wide, high = face.width + face.hair_volume * 0.75, face.height + face.hair_volume
    side = [(-wide + 0.03, 0.05), (-face.width * 0.88, 0.0)]
    fringe = [(x * face.width, y) for x, y in _FRINGES[face.fringe]]
    inner = _curve([*side, *fringe, *((-x, y) for x, y in reversed(side))])
    top = np.concatenate([inner, _arc(0, -0.02, wide, high - 0.02, 10, -190, 40)])
    dark = _toned(hair, 0.62)
    pen.shape(top, hair, dark)
    pen.shade(top, dark, -0.03, -0.012)
    outer, lower = _arc(0, -0.02, wide * 0.84, high * 0.84, 200, 262), _arc(0, -0.02, wide * 0.7, high * 0.72, 258, 204)
    pen.glaze(np.concatenate([outer, lower]), _toned(hair, 1.6), 0.6, within=top)


def _glasses(pen: _Pen, face: Face) -> None:
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
    pen.line(_curve([(-gap + across, -0.008), (0, -0.02), (gap - across, -0.008)]), _DARK, 0.02)


def _dome(pen: _Pen, face: Face) -> tuple[float, float, float]:
    """A hat's upper part; gives half its width, the height of its top and that of its lower edge."""
    wide, top, edge = face.width + face.hair_volume + 0.012, -face.height - face.hair_volume - 0.03, -0.135
    dome = _arc(0, edge, wide, edge - top, 180, 360, 32)
    pen.shape(dome, face.hat, _toned(face.hat, 0.7), 0.01)
    pen.shade(dome, _toned(face.hat, 0.6), -0.035, -0.01)
    return wide, top, edge


def _beanie(pen: _Pen, face: Face) -> None:
    if face.hat_style == 1:
        pen.oval(0, -face.height - face.hair_volume - 0.045, 0.062, 0.055, (214, 208, 204))
        pen.oval(-0.006, -face.height - face.hair_volume - 0.05, 0.052, 0.047, (246, 242, 236))
    wide, _, edge = _dome(pen, face)
    dark, wide = _toned(face.hat, 0.7), wide + 0.014
    low, up = edge + 0.02, edge - 0.055
    cuff = np.concatenate([_arc(0, up, wide, 0.02, 180, 360), _arc(0, low, wide, 0.02, 0, 180)])
    pen.shape(cuff, _toned(face.hat, 1.2), dark, 0.01)
    for x in np.linspace(-0.75, 0.75, 7):
        pen.line([(x * wide, up - 0.002), (x * wide, low + 0.004)], dark, 0.008)


def _cap(pen: _Pen, face: Face) -> None:
    wide, top, edge = _dome(pen, face)
    dark = _toned(face.hat, 0.62)
    for side in (-1, 1):
        pen.line(_curve([(0, top), (side * wide * 0.42, top * 0.8), (side * wide * 0.56, edge)]), dark, 0.008)
    pen.oval(0, top, 0.026, 0.014, dark)
    peak = np.concatenate([_arc(0, edge, wide * 0.99, 0.085, 180, 360), _arc(0, edge, wide * 0.99, 0.024, 0, 180)])
    pen.shape(peak, _toned(face.hat, 0.78), _toned(face.hat, 0.5), 0.01)
    pen.line(_arc(0, edge + 0.004, wide * 0.86, 0.068, 200, 340), _toned(face.hat, 1.25), 0.01)
