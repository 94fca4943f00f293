"""A change as a function of the photo's colours, so that it follows the photo's edges.

Enlarged by itself, a change of hair reaches over into the wall behind it, as a halo. Within a small window of the small
image, the change is therefore written as a linear function of the colour there. The coefficients are smooth and can be
enlarged; applied to the colours of the photo, they give a change that is as sharp as the photo. Models often flatten
fine texture, such as strands of hair. To keep the photo's texture, the function is applied to the photo's colours with
the texture removed.

What a model draws anew, such as the frame of glasses, is no function of the colours there. It is enlarged and added as
it is.

He, Sun and Tang, "Guided image filtering" (PAMI 2013), with a guide of three channels; He and Sun, "Fast guided filter"
(arXiv 1505.00996), for the small and the large image.
"""

import numpy as np
from PIL import Image

RADIUS = 1  # of the window, in pixels of the small image
SMOOTH = 0.05  # a variance of colour, where 1 is half a channel's range; well below it, a change is averaged
TEXTURE = 0.03  # variance of one channel in a window; well below it the window holds texture, above it an edge
DRAWN = 400.0  # variance, in squared levels, of what is no function of colours; well above it, something new is drawn


def fit(change: np.ndarray, small: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Writes a change as a linear function of the photo's colour at each place.

    Args:
        change: (3, h, w) float32, in levels from 0 to 255.
        small: (3, h, w) float32 in [-1, 1], the image that was changed.
        photo: (3, H, W) float32 in [-1, 1], samples of the photo at the same places; H and W are multiples of h and w.

    Returns:
        (4, 3, H, W) float32 coefficients for `apply`. Zero where `change` is zero all around.
    """
    size = (photo.shape[2], photo.shape[1])
    slopes, offsets = _fit(change, small)
    found = resized(np.concatenate((slopes.reshape(-1, *offsets.shape[1:]), offsets)), size)
    found = found.reshape(4, 3, *photo.shape[1:])
    kept, means = without_texture(photo, photo.shape[1] // small.shape[1])
    for slope, mean, factor in zip(found, means, kept, strict=False):
        found[3] += slope * mean
        slope *= factor
    return found


def apply(coefficients: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The change of given colours, (3, H, W) in [-1, 1]: (C, H, W), all float32.

    Args:
        coefficients: (4, C, H, W), or (1, C, H, W) if the change does not depend on the colours.
        colours: Of the photo.
    """
    change = coefficients[-1].copy()
    for slopes, colour in zip(coefficients[:-1], colours, strict=False):
        change += slopes * colour
    return change


def resized(
    planes: np.ndarray, size: tuple[int, int], resampling: Image.Resampling = Image.Resampling.BILINEAR
) -> np.ndarray:
    """Planes (C, h, w) resized to (width, height), with antialiasing; float32."""
    planes = planes.astype(np.float32)
    return np.stack([np.asarray(Image.fromarray(plane).resize(size, resampling)) for plane in planes])


def without_texture(planes: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and offsets, (C, H, W) each, that smooth an image where it varies little, and keep its edges.

    Args:
        planes: (C, H, W) float32 in [-1, 1]; each channel by itself.
        radius: Of the windows in which it must vary, in pixels.
    """
    mean = _mean(planes, radius)
    variance = np.maximum(_mean(planes * planes, radius) - mean * mean, 0)
    slopes = variance / (variance + TEXTURE)
    offsets = mean * (1 - slopes)
    return _mean(slopes, radius), _mean(offsets, radius)


def _fit(change: np.ndarray, guide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (3, C, h, w) and offsets (C, h, w) of the change as a function of the colour around each pixel.

    The offsets contain what is drawn anew.
    """
    guide, change = guide.astype(np.float64), change.astype(np.float64)
    mean_guide, mean_change = _mean(guide, RADIUS), _mean(change, RADIUS)
    variance = _mean(guide[:, None] * guide[None], RADIUS) - mean_guide[:, None] * mean_guide[None]
    covariance = _mean(guide[:, None] * change[None], RADIUS) - mean_guide[:, None] * mean_change[None]
    first, second, third = variance + SMOOTH * np.eye(3)[..., None, None]
    # By Cramer's rule: `np.linalg.solve` calls LAPACK for every pixel, which takes six times as long.
    cofactors = np.stack([_cross(second, third), _cross(third, first), _cross(first, second)])
    slopes = np.einsum("ij...,jk...->ik...", cofactors, covariance) / (first * cofactors[0]).sum(0)
    offsets = mean_change - (slopes * mean_guide[:, None]).sum(0)
    slopes, offsets = _mean(slopes, RADIUS), _mean(offsets, RADIUS)
    rest = change - offsets - (slopes * guide[:, None]).sum(0)
    variance = _mean((rest * rest).mean(0), RADIUS)
    offsets += rest * (variance / (variance + DRAWN))
    return slopes.astype(np.float32), offsets.astype(np.float32)


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The cross products of vectors (3, ...)."""
    return np.stack([one[i - 2] * other[i - 1] - one[i - 1] * other[i - 2] for i in range(3)])


def _mean(planes: np.ndarray, radius: int) -> np.ndarray:
    """Means over windows of 2 `radius` + 1 pixels, in the last two dimensions, edges mirrored."""
    edges = [(0, 0)] * (planes.ndim - 2) + [(radius, radius)] * 2
    sums = np.pad(planes, edges, "symmetric")
    count = 2 * radius + 1
    for axis in (-2, -1):
        sums = np.moveaxis(_sums(np.moveaxis(sums, axis, 0), count), 0, axis)
    return sums / count**2


def _sums(planes: np.ndarray, count: int) -> np.ndarray:
    """Sums of `count` neighbours along the first dimension, from those of half as many."""
    if count == 1:
        return planes
    halves = _sums(planes, count // 2)
    sums = halves[: len(planes) - count + 1] + halves[count // 2 :][: len(planes) - count + 1]
    if count % 2:
        sums += planes[count - 1 :]
    return sums
