"""Cutting a turned and scaled rectangle out of a photo."""

import math
from typing import Literal

import numpy as np
from PIL import Image

FINE = 4

Edges = Literal["mirrored", "black"]


def scale_of(matrix: np.ndarray) -> float:
    """How many pixels of the target one pixel of the source covers, along a side; for a (2, 3) similarity."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def sample(
    photo: Image.Image, matrix: np.ndarray, size: tuple[int, int], *, fine: int = FINE, edges: Edges = "mirrored"
) -> Image.Image:
    """Cuts a piece of any position, turn and scale out of a photo.

    A piece that becomes smaller is sampled at the photo's resolution and then resized bilinearly with antialiasing, as
    `images.fit` does with training images. Only the necessary part of the photo is read.

    Args:
        photo: RGB image.
        matrix: (2, 3), from pixels of the piece to pixels of the photo.
        size: (width, height) of the piece.
        fine: Maximum number of samples per pixel of the piece and dimension; larger photos are averaged first.
        edges: How the photo continues beyond its border: mirrored or black.

    Returns:
        RGB image of `size`.
    """
    scale = scale_of(matrix)
    shrink = max(1, int(scale / fine))
    fine = max(1, min(fine, math.ceil(scale / shrink)))
    to_photo = np.column_stack((matrix[:, :2] / fine, matrix[:, 2]))
    piece = sample_points(photo, to_photo, (size[0] * fine, size[1] * fine), shrink=shrink, edges=edges)
    return piece if fine == 1 else piece.resize(size, Image.Resampling.BILINEAR)


def sample_points(
    photo: Image.Image, matrix: np.ndarray, size: tuple[int, int], *, shrink: int = 1, edges: Edges = "mirrored"
) -> Image.Image:
    """Samples a photo, averaged over `shrink` pixels, at one point for each pixel of the piece; else as `sample`."""
    region, origin = _region(photo, matrix, size, shrink, edges)
    to_region = np.column_stack((matrix[:, :2], matrix[:, 2] - origin)) / shrink
    left, top = np.rint(to_region[:, 2]).astype(int).tolist()
    if np.allclose(to_region, ((1, 0, left), (0, 1, top))):  # the pixels themselves
        return region.crop((left, top, left + size[0], top + size[1]))
    return region.transform(size, Image.Transform.AFFINE, tuple(to_region.ravel()), Image.Resampling.BICUBIC)


def bounds(matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The upright box around a piece: its least and greatest (x, y) in the photo, whole pixels."""
    width, height = size
    corners = np.array(((0, 0), (width, 0), (0, height), (width, height))) @ matrix[:, :2].T + matrix[:, 2]
    return np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)


def _region(
    photo: Image.Image, matrix: np.ndarray, size: tuple[int, int], shrink: int, edges: Edges
) -> tuple[Image.Image, np.ndarray]:
    """The part of a photo that a piece needs, averaged over `shrink` pixels, and where in the photo it starts."""
    low, high = bounds(matrix, size)
    low, high = low - 3 * shrink, high + 3 * shrink  # what bicubic interpolation needs around it
    limit = np.asarray(photo.size)
    # What lies in the photo, and as much of it as is seen in the mirror; a pixel at least.
    start = np.clip(np.minimum(low, 2 * limit - high), 0, limit - 1)
    stop = np.clip(np.maximum(high, -low), 1, limit)
    box = (*start.tolist(), *stop.tolist())
    region = photo.reduce(shrink, box) if shrink > 1 else photo.crop(box)
    before = np.maximum(-(-(start - low) // shrink), 0)
    after = np.maximum(-(-(high - stop) // shrink), 0)
    if before.any() or after.any():
        widths = ((before[1], after[1]), (before[0], after[0]), (0, 0))
        mode: Literal["symmetric", "constant"] = "symmetric" if edges == "mirrored" else "constant"
        region = Image.fromarray(np.pad(np.asarray(region), widths, mode))
    return region, start - before * shrink


def centres(start: int, stop: int, scale: float) -> np.ndarray:
    """Where the middles of places lie, such as pixels, in units of other places, such as cells; float64.

    Args:
        start, stop: The places.
        scale: How many of the others come for one of them.
    """
    places: np.ndarray = (np.arange(start, stop) + 0.5) * scale - 0.5
    return places


def interpolated(planes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolates linearly between the pixels of planes (C, h, w); beyond the outer ones, values are constant.

    Args:
        planes: Of floats.
        rows: (H,) where the rows of the result lie, in rows of `planes`, upwards.
        columns: (W,), the same for columns.

    Returns:
        (C, H, W) of the type of `planes`.
    """
    (top, bottom), (left, right) = (
        (min(max(int(places[0]), 0), side - 1), max(int(places[-1]), 0) + 2)
        for places, side in zip((rows, columns), planes.shape[1:], strict=True)
    )
    needed = planes[:, top:bottom, left:right]
    return _along(_along(needed, rows - top, 1), columns - left, 2)


def _along(planes: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    last = planes.shape[axis] - 1
    places = np.clip(np.round(places, 6), 0, last)  # where they are whole numbers but for rounding, pixels are copied
    first = places.astype(int)
    shares = (places - first).astype(planes.dtype)
    before = planes.take(first, axis)
    if not shares.any():
        return before
    change = planes.take(np.minimum(first + 1, last), axis)
    change -= before
    change *= shares if axis == 2 else shares[:, None]
    change += before
    return change
