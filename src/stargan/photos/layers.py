"""The change of one part of a photo, as a function of the photo's colours."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from stargan import images
from stargan.photos import guided
from stargan.photos.part import Fade, Part
from stargan.photos.sampling import bounds, centres, interpolated, sample_points, scale_of
from stargan.photos.similarity import invert

SMOOTHNESS = 256  # pixels of the longer side from which coefficients are interpolated linearly
DETAIL = 768  # cells of the longer side, about; in larger parts, a change is computed in cells of several pixels

Box = tuple[int, int, int, int]
"""(left, top, right, bottom)."""


@dataclass(frozen=True)
class Layer:
    """The change of one part, as a function of the photo's colours.

    Attributes:
        nodes: (12, H, W) float32, coefficients as `guided.fit` gives them, at points that are spread over the photo; or
            (3, H, W), the change itself, if it follows no colours.
        first: Column and row of the first node; node (0, 0) is `spacing / 2` from the photo's left and upper edge.
        spacing: Pixels of the photo from node to node; no less than `step`.
        step: Pixels of the photo along one cell in which the change is computed.
        box: What part of the photo it changes.
    """

    nodes: np.ndarray
    first: tuple[int, int]
    spacing: float
    step: int
    box: Box

    @classmethod
    def of(
        cls, part: Part, before: np.ndarray, change: np.ndarray, reduced: Image.Image, size: tuple[int, int]
    ) -> "Layer":
        """Makes the change of a part a function of the photo's colours.

        Args:
            part: The part.
            before: (3, H, W) float32 in [-1, 1], its image.
            change: (3, H, W) float32, in levels from 0 to 255.
            reduced: The photo, reduced by the part's `cell_size`.
            size: (width, height) of the photo.
        """
        step = cell_size(part)
        coefficients, matrix = _coefficients(part, before, change, reduced, step)
        scale = scale_of(matrix)
        spacing = max(step, scale)
        reach = 3 * spacing / scale if spacing > 1 else 0  # what is interpolated passes the border by less
        height, width = coefficients.shape[1:]
        coefficients *= _weights((width, height), part.fade, 0.5 + reach)
        low, high = bounds(part.matrix, part.image.size)
        (left, top), (right, bottom) = np.clip(low, 0, size).tolist(), np.clip(high, 0, size).tolist()
        box = (left, top, right, bottom)
        return cls(*_spread(coefficients, matrix, spacing, box), spacing, step, box)

    def coefficients(self, step: int, cells: Box) -> np.ndarray:
        """(4, 3, H, W) or (1, 3, H, W) float32 for cells of `step` pixels."""
        columns = centres(cells[0], cells[2], step / self.spacing) - self.first[0]
        rows = centres(cells[1], cells[3], step / self.spacing) - self.first[1]
        return interpolated(self.nodes, rows, columns).reshape(-1, 3, len(rows), len(columns))


def _coefficients(
    part: Part, before: np.ndarray, change: np.ndarray, reduced: Image.Image, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """(12, H, W) or (3, H, W) float32, and the matrix from their pixels to pixels of the photo."""
    height, width = change.shape[1:]
    if part.scale <= 1:  # the change has more detail than the photo, and follows no edges
        size = (math.ceil(width * part.scale), math.ceil(height * part.scale))
        return guided.resized(change, size, Image.Resampling.HAMMING), _for_size(part, size)
    factor = math.ceil(min(part.scale, max(1, SMOOTHNESS / max(width, height))))
    size = (width * factor, height * factor)
    matrix = _for_size(part, size)
    samples = sample_points(reduced, matrix / step, size)
    return guided.fit(change, before, images.to_array([samples])[0]).reshape(12, size[1], size[0]), matrix


def _for_size(part: Part, size: tuple[int, int]) -> np.ndarray:
    """The part's matrix as if its image were resized."""
    return np.column_stack((part.matrix[:, :2] * (np.array(part.image.size) / size), part.matrix[:, 2]))


def _spread(planes: np.ndarray, matrix: np.ndarray, spacing: float, box: Box) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads planes of a part at nodes around a box of the photo: (N, H, W) float32, and the first node."""
    left, top = (math.floor(side / spacing) - 1 for side in box[:2])
    right, bottom = (math.ceil(side / spacing) + 1 for side in box[2:])
    to_plane = invert(matrix)
    if not (to_plane[0, 1] or to_plane[1, 0]):  # not turned: along lines, this takes a fifth of the time
        columns = centres(left, right, spacing * to_plane[0, 0]) + to_plane[0, 2]
        rows = centres(top, bottom, spacing * to_plane[1, 1]) + to_plane[1, 2]
        return interpolated(planes, rows, columns), (left, top)
    around = math.ceil(1.5 * spacing / scale_of(matrix)) + 1  # for nodes beyond a border that does not fade out
    planes = np.pad(planes, ((0, 0), (around, around), (around, around)), "edge")
    linear = spacing * to_plane[:, :2]
    data = tuple(np.column_stack((linear, linear @ (left, top) + to_plane[:, 2] + around)).ravel())
    size = (right - left, bottom - top)
    nodes = [  # beyond the plane, Pillow gives zeros
        Image.fromarray(plane).transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
        for plane in planes
    ]
    return np.stack([np.asarray(plane) for plane in nodes]), (left, top)


def cell_size(part: Part) -> int:
    """Pixels of the photo along one cell of a part's change."""
    return max(1, round(part.scale * max(part.image.size) / DETAIL))


def _weights(size: tuple[int, int], fade: tuple[Fade, ...], empty: float) -> np.ndarray:
    """How much of a change is used at each pixel: (height, width) float32 in [0, 1].

    At sides with a border, the outer `empty` pixels get 0.
    """
    unit = min(size)
    across, down = (
        _ramp(np.arange(length) + 0.5, first, unit, empty) * _ramp(np.arange(length)[::-1] + 0.5, last, unit, empty)
        for length, first, last in zip(size, fade[:2], fade[2:], strict=True)
    )
    return np.outer(down, across).astype(np.float32)


def _ramp(distances: np.ndarray, fade: Fade, unit: float, empty: float) -> np.ndarray:
    """Weights at distances from one side, in pixels."""
    if not fade[1]:
        return np.ones_like(distances)
    begin = max(fade[0] * unit, empty)
    depth = np.clip((distances - begin) / max(fade[1] * unit - begin, 1e-6), 0, 1)
    return depth * depth * (3 - 2 * depth)
