"""Putting the change that a model made to a part of a photo back into the photo, at the photo's resolution."""

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from stargan import images
from stargan.photos.guided import enlarge
from stargan.photos.part import Part
from stargan.photos.sampling import bounds, sample
from stargan.photos.similarity import invert

BORDER = 0.1  # width of the border in which the change fades out, in shorter sides of the square
LARGEST = 1024  # longer side up to which the change follows the edges of the photo; then it is only enlarged
AT_ONCE = 1 << 20  # pixels of the photo that are changed at once, to limit the memory
GRAY = 2 / 127.5  # a face whose channels differ by no more than two levels counts as black and white


def put_back(
    photo: Image.Image,
    before: np.ndarray,
    after: np.ndarray,
    part: Part,
    mask: np.ndarray | None = None,
    *,
    strength: float = 1.0,
    in_place: bool = False,
) -> Image.Image:
    """Applies the change of a part to the photo that it comes from.

    The change (after minus before) is enlarged along the edges in the photo, fades out towards the border of the
    part, and is added to the photo. Skin and hair therefore keep the camera's detail. Pixels outside the
    square are not touched, and pixels where nothing changed stay the same. A black-and-white face stays black and
    white. For several faces, call this once for each, with the result of the call before as the photo.

    Args:
        photo: RGB image.
        before: (3, H, W) float32 in [-1, 1], the input of the model: `part.image` as an array.
        after: (3, H, W) float32 in [-1, 1], the output of the model.
        part: The part that the model got.
        mask: (H, W) float32 in [0, 1], a factor for the change at each pixel; 0 keeps the photo.
        strength: A factor for the whole change; 0 returns the photo bit for bit.
        in_place: Whether to modify `photo` itself, which saves the time and memory of a copy.

    Returns:
        RGB image of the photo's size.
    """
    result = photo if in_place else photo.copy()
    before = np.asarray(before, np.float32)
    change = (np.asarray(after, np.float32) - before) * np.float32(127.5 * strength)
    if mask is not None:
        change = change * np.asarray(mask, np.float32)
    if not change.any():
        return result
    if np.ptp(before, axis=0).max() <= GRAY:
        change = np.broadcast_to(np.tensordot((0.299, 0.587, 0.114), change, 1).astype(np.float32), change.shape)
    change, matrix = _fine(photo, before, change, part)
    planes = [Image.fromarray(plane) for plane in change * _window(*change.shape[1:])]
    for box in _strips(matrix, planes[0].size, photo.size):
        _add(result, planes, invert(matrix), box)
    return result


def _fine(photo: Image.Image, before: np.ndarray, change: np.ndarray, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """The change at about the photo's resolution, and where its pixels lie in the photo."""
    height, width = change.shape[1:]
    factor = max(1, min(math.ceil(part.scale), LARGEST // max(width, height)))
    if factor == 1:
        return change, part.matrix
    matrix = np.column_stack((part.matrix[:, :2] / factor, part.matrix[:, 2]))
    guide = images.to_array([sample(photo, matrix, (width * factor, height * factor), fine=1)])[0]
    return enlarge(change, before, guide), matrix


def _window(height: int, width: int) -> np.ndarray:
    """Weights from 0 at the border of the square to 1 inside; (height, width) float32."""
    border = BORDER * min(height, width)

    def side(length: int) -> np.ndarray:
        middles = np.arange(length) + 0.5
        depth = np.clip((np.minimum(middles, length - middles) - 0.5) / border, 0, 1)
        return depth * depth * (3 - 2 * depth)

    return np.outer(side(height), side(width)).astype(np.float32)


def _strips(matrix: np.ndarray, size: tuple[int, int], photo: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Parts of the photo, from top to bottom, that cover a part together: (left, top, right, bottom)."""
    low, high = bounds(matrix, size)
    left, top = np.maximum(low, 0).tolist()
    right, bottom = np.minimum(high, photo).tolist()
    if right <= left:
        return
    rows = max(1, AT_ONCE // (right - left))
    for start in range(top, bottom, rows):
        yield left, start, right, min(start + rows, bottom)


def _add(photo: Image.Image, planes: list[Image.Image], to_plane: np.ndarray, box: tuple[int, int, int, int]) -> None:
    """Adds a change to one part of a photo."""
    left, top, right, bottom = box
    shift = to_plane[:, :2] @ (left, top) + to_plane[:, 2]
    data = tuple(np.column_stack((to_plane[:, :2], shift)).ravel())
    size = (right - left, bottom - top)
    pixels = np.asarray(photo.crop(box)).astype(np.float32)
    for channel, plane in enumerate(planes):  # beyond the plane, Pillow gives zeros
        pixels[..., channel] += np.asarray(
            plane.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
        )
    np.clip(np.rint(pixels, out=pixels), 0, 255, out=pixels)
    photo.paste(Image.fromarray(pixels.astype(np.uint8)), (left, top))
