"""Cutting a turned and scaled rectangle out of a photo."""

import functools
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


@functools.lru_cache(128)  # the tiles of a row and of a column have theirs in common
def interpolation(start: int, stop: int, scale: float, limit: float = math.inf) -> tuple[np.ndarray, int]:
    """Interpolates linearly along one dimension.

    Args:
        start, stop: The places, such as pixels, between which values are wanted.
        scale: How many nodes, such as cells, come for one place.
        limit: Number of nodes, if the first one is node 0; beyond the outer nodes, values are constant.

    Returns:
        (stop - start, M) float32, to be multiplied with the values of M nodes; the first of the nodes.
    """
    places = (np.arange(start, stop) + 0.5) * scale - 0.5
    if limit < math.inf:
        places = np.clip(places, 0, limit - 1)
    first, last = math.floor(places[0]), math.ceil(places[-1])
    distances = np.abs(places[:, None] - np.arange(first, last + 1))
    return np.maximum(1 - distances, 0).astype(np.float32), first
