"""Putting the changes that a model made to parts of a photo back into the photo, at the photo's resolution."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from stargan import images
from stargan.photos import guided
from stargan.photos.layers import Box, Layer, cell_size
from stargan.photos.part import Part
from stargan.photos.sampling import centres, interpolated

TILE = 256  # side in pixels of what is changed at once, to stay within the caches


def put_back(
    photo: Image.Image,
    before: np.ndarray,
    after: np.ndarray,
    parts: Sequence[Part],
    masks: np.ndarray | None = None,
    *,
    strength: float = 1.0,
    in_place: bool = False,
) -> Image.Image:
    """Applies the changes of parts to the photo that they come from.

    A change (after minus before) is enlarged along the edges in the photo, fades out towards the border of the part,
    and is added to the photo. Skin and hair therefore keep the camera's detail. Where parts overlap, their changes add
    up. Pixels outside the parts are not touched, and pixels where nothing changed stay the same.

    Args:
        photo: RGB image.
        before: (N, 3, H, W) float32 in [-1, 1], the input of the model: the images of `parts` as an array.
        after: (N, 3, H, W) float32 in [-1, 1], the output of the model.
        parts: The N parts of the photo.
        masks: (N, H, W) float32 in [0, 1], a factor for the change at each pixel; 0 keeps the photo.
        strength: A factor for all changes; 0 returns the photo bit for bit.
        in_place: Whether to modify `photo` itself, which saves the time and memory of a copy.

    Returns:
        RGB image of the photo's size.
    """
    before = np.asarray(before, np.float32)
    changes = (np.asarray(after, np.float32) - before) * np.float32(127.5 * strength)
    if masks is not None:
        changes *= np.asarray(masks, np.float32)[:, None]
    changed = [item for item in zip(parts, before, changes, strict=True) if item[2].any()]
    result = photo if in_place else photo.copy()
    if len(changed) == 1 and changed[0][0].is_whole(photo.size):
        _paste(result, changed[0][2], (0, 0, *photo.size))
        return result
    reduced = {step: photo.reduce(step) if step > 1 else photo for step in {cell_size(part) for part, *_ in changed}}
    layers = [Layer.of(*item, reduced[cell_size(item[0])], photo.size) for item in changed]
    for box, found in _tiles(layers, photo.size):
        _add(result, found, reduced, box)
    return result


def _tiles(layers: list[Layer], size: tuple[int, int]) -> Iterator[tuple[Box, list[Layer]]]:
    """Tiles of a photo of `size`, each with the layers that change it; tiles without any are left out."""
    for top in range(0, size[1], TILE):
        for left in range(0, size[0], TILE):
            box = (left, top, min(left + TILE, size[0]), min(top + TILE, size[1]))
            if found := [layer for layer in layers if _common(layer.box, box)]:
                yield box, found


def _add(photo: Image.Image, layers: list[Layer], reduced: dict[int, Image.Image], box: Box) -> None:
    """Adds the changes of layers to one tile of a photo."""
    step = min(layer.step for layer in layers)
    small = reduced[step]
    columns = np.clip(centres(box[0], box[2], 1 / step), 0, small.width - 1)
    rows = np.clip(centres(box[1], box[3], 1 / step), 0, small.height - 1)
    left, top = int(columns[0]), int(rows[0])
    cells = (left, top, math.ceil(columns[-1]) + 1, math.ceil(rows[-1]) + 1)
    colours = images.to_array([small.crop(cells)])[0]
    change = np.zeros_like(colours)
    for layer in layers:
        if common := _common(_cells(layer.box, step), cells):
            place = (..., slice(common[1] - top, common[3] - top), slice(common[0] - left, common[2] - left))
            change[place] += guided.apply(layer.coefficients(step, common), colours[place])
    if np.rint(change).any():
        _paste(photo, interpolated(change, rows - top, columns - left) if step > 1 else change, box)


def _paste(photo: Image.Image, change: np.ndarray, box: Box) -> None:
    """Adds a change, (3, H, W) float32 in levels, to the pixels of a box; overwrites `change`."""
    change += np.float32(0.5)  # to round
    for band, levels in zip(photo.crop(box).split(), change, strict=True):
        levels += np.asarray(band)
    levels = np.clip(change, 0, 255, out=change).astype(np.uint8)
    photo.paste(Image.merge("RGB", [Image.fromarray(band) for band in levels]), box[:2])


def _cells(box: Box, step: int) -> Box:
    """The cells of `step` pixels in which a box of pixels lies."""
    return box[0] // step, box[1] // step, -(-box[2] // step), -(-box[3] // step)


def _common(one: Box, other: Box) -> Box | None:
    """What two boxes share."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    return (left, top, right, bottom) if left < right and top < bottom else None
