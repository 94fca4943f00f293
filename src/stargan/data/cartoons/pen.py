"""The tools that faces are drawn with: filled shapes, lines and shadows, and smooth curves."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from stargan.data.cartoons.faces import Colour, Face

Points = Sequence[tuple[float, float]] | np.ndarray


class Pen:
    """Draws shapes given in a face's frame, on a canvas larger than the image by an integer factor.

    Pillow draws hard edges; averaging the larger canvas down to the image's size smooths them. Points are (n, 2).
    """

    def __init__(self, face: Face, size: int, factor: int) -> None:
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
        """A translucent polygon, clipped to another one if `within` is given."""
        mask = self._mask(points, opacity)
        self._paste(colour, mask if within is None else ImageChops.darker(mask, self._mask(within, 1.0)))

    def shade(self, points: np.ndarray, colour: Colour, dx: float, dy: float) -> None:
        """Darkens the side of a polygon away from the light: what the polygon leaves bare when moved by (dx, dy)."""
        moved = ImageChops.invert(self._mask(points + np.array([dx, dy]), 1.0))
        self._paste(colour, ImageChops.darker(self._mask(points, 0.5), moved))

    def _paste(self, colour: Colour, mask: Image.Image) -> None:
        box = mask.getbbox()  # pasting takes time by the area, and most masks are small
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


def toned(colour: Colour, factor: float) -> Colour:
    """Darker for a factor below 1, lighter (towards white) above."""
    end, part = (0, 1 - factor) if factor < 1 else (255, factor - 1)
    red, green, blue = (round(c + (end - c) * part) for c in colour)
    return red, green, blue


def arc(x: float, y: float, across: float, down: float, start: float, stop: float, count: int = 24) -> np.ndarray:
    """Points (count, 2) on an ellipse; degrees go from the right, clockwise as seen."""
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack([x + across * np.cos(angle), y + down * np.sin(angle)], 1)


def curve(points: Sequence[tuple[float, float]], steps: int = 6) -> np.ndarray:
    """A smooth line through all points (Catmull and Rom's spline)."""
    known = np.array(points)
    known = np.concatenate([known[:1], known, known[-1:]])
    before, start, stop, after = (known[i : len(known) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    inner = start + t / 2 * (
        (stop - before) + t * (2 * before - 5 * start + 4 * stop - after + t * (3 * (start - stop) + after - before))
    )
    return np.concatenate([inner.reshape(-1, 2), known[-1:]])


def mirrored(left: np.ndarray) -> np.ndarray:
    """A line from the left and its mirror image, joined at the end of the first."""
    return np.concatenate([left, left[::-1] * (-1, 1)])
