"""Windows that cover a whole photo, for models that know of no places in it."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from stargan.photos.part import WHOLE, Fade, Part

OVERLAP = 0.25  # of a window's side, at least, with the next window
SMALLEST = 64  # pixels of a window's shorter side, if the photo has as many; smaller ones show nothing and fade badly


@dataclass(frozen=True)
class Window:
    """A place in a photo.

    Attributes:
        box: (left, top, right, bottom) in pixels.
        fade: As that of the `Part` that is cut out there.
    """

    box: tuple[float, float, float, float]
    fade: tuple[Fade, Fade, Fade, Fade]


def cover(photo: tuple[int, int], shape: tuple[int, int], fraction: float = 1.0) -> list[Window]:
    """Covers a photo with windows of one shape and size.

    They are evenly spaced. Where two overlap, one fades into the other: everywhere in the photo, their weights add up
    to 1. A photo that has the shape itself gets one window, if `fraction` is 1.

    Args:
        photo: (width, height) of the photo.
        shape: (width, height) in any unit, such as the size of a model.
        fraction: Size of a window, relative to the largest one that fits; over 0, up to 1. In small photos, windows
            are larger, up to `SMALLEST` pixels.

    Returns:
        Windows, row by row.
    """
    largest = min(photo[0] / shape[0], photo[1] / shape[1])
    unit = min(largest, max(fraction * largest, SMALLEST / min(shape)))
    width, height = shape[0] * unit, shape[1] * unit
    shorter = min(width, height)
    return [
        Window((left, top, left + width, top + height), (before, above, after, below))
        for top, above, below in _places(photo[1], height, shorter)
        for left, before, after in _places(photo[0], width, shorter)
    ]


def cut(photo: Image.Image, window: Window, size: tuple[int, int]) -> Part:
    """Cuts a window out of a photo; it is resized bilinearly with antialiasing, as in `images.fit`.

    Args:
        photo: RGB image.
        window: From `cover`, for a photo of this size.
        size: (width, height) of the result.
    """
    left, top, right, bottom = window.box
    box = (max(left, 0), max(top, 0), min(right, photo.width), min(bottom, photo.height))
    matrix = np.array((((right - left) / size[0], 0, left), (0, (bottom - top) / size[1], top)))
    return Part(photo.resize(size, Image.Resampling.BILINEAR, box), matrix, window.fade)


def _places(length: float, side: float, unit: float) -> list[tuple[float, Fade, Fade]]:
    """Where windows of a side start along a photo's length, and how they fade at both ends, in a unit."""
    count = 1 + max(0, math.ceil((length - side - 0.5) / (side * (1 - OVERLAP))))  # half a pixel may stay over
    if count == 1:
        return [((length - side) / 2, WHOLE, WHOLE)]
    step = (length - side) / (count - 1)
    # Networks see least near the border, so the outer quarters of the overlap are not used.
    fade = (0.25 * (side - step) / unit, 0.75 * (side - step) / unit)
    return [(index * step, fade if index else WHOLE, fade if index < count - 1 else WHOLE) for index in range(count)]
