"""Enlarging a change along the edges of a larger image.

Enlarged by itself, a change of hair reaches over into the wall behind it, as a halo. Within a small window of the small
image, the change is therefore written as a linear function of the colour there; the function is enlarged, which is
smooth, and applied to the colours of the large image, which is sharp. Models often flatten fine texture, such as
strands of hair. To keep the photo's texture, the function is applied to the large image with its texture removed.

He, Sun and Tang, "Guided image filtering" (PAMI 2013), with a guide of three channels; He and Sun, "Fast guided filter"
(arXiv 1505.00996), for the small and the large image.
"""

import numpy as np
from PIL import Image

RADIUS = 1  # of the window, in pixels of the small image
SMOOTH = 0.05  # a variance of colour, where 1 is half a channel's range; well below it, a change is averaged
TEXTURE = 0.03  # variance of one channel in a window; well below it the window holds texture, above it an edge


def enlarge(change: np.ndarray, small: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Enlarges a change of a small image for a large image of the same scene.

    Args:
        change: (C, h, w) float32.
        small: (3, h, w) float32 in [-1, 1].
        large: (3, H, W) float32 in [-1, 1].

    Returns:
        (C, H, W) float32. Zero where `change` is zero all around.
    """
    size = (large.shape[2], large.shape[1])
    slopes, offsets = _fit(change, small)
    flat = without_texture(large, max(1, large.shape[1] // small.shape[1]))
    made = _resized(offsets, size)
    for channel in range(3):
        made += _resized(slopes[channel], size) * flat[channel]
    return made


def without_texture(planes: np.ndarray, radius: int) -> np.ndarray:
    """Smooths an image where it varies little within windows of 2 `radius` + 1 pixels, and keeps its edges.

    Args:
        planes: (C, H, W) float32 in [-1, 1]; each channel by itself.
        radius: In pixels.
    """
    step = max(1, radius // 2)  # the windows' means are smooth: a few places are enough
    few = planes[:, step // 2 :: step, step // 2 :: step]
    mean = _mean(few, radius // step)
    variance = np.maximum(_mean(few * few, radius // step) - mean * mean, 0)
    slopes = variance / (variance + TEXTURE)
    offsets = mean * (1 - slopes)
    size = (planes.shape[2], planes.shape[1])
    slopes, offsets = (_resized(_mean(part, radius // step), size) for part in (slopes, offsets))
    return slopes * planes + offsets


def _fit(change: np.ndarray, guide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (3, C, h, w) and offsets (C, h, w) of the change as a function of the colour around each pixel."""
    mean_guide, mean_change = _mean(guide, RADIUS), _mean(change, RADIUS)
    variance = _mean(guide[:, None] * guide[None], RADIUS) - mean_guide[:, None] * mean_guide[None]
    covariance = _mean(guide[:, None] * change[None], RADIUS) - mean_guide[:, None] * mean_change[None]
    system = np.moveaxis(variance, (0, 1), (-2, -1)) + SMOOTH * np.eye(3)
    slopes = np.moveaxis(np.linalg.solve(system, np.moveaxis(covariance, (0, 1), (-2, -1))), (-2, -1), (0, 1))
    offsets = mean_change - (slopes * mean_guide[:, None]).sum(0)
    return _mean(slopes, RADIUS).astype(np.float32), _mean(offsets, RADIUS).astype(np.float32)


def _mean(planes: np.ndarray, radius: int) -> np.ndarray:
    """Means over windows of 2 `radius` + 1 pixels, in the last two dimensions, edges mirrored; float64."""
    edges = [(0, 0)] * (planes.ndim - 2) + [(radius, radius)] * 2
    padded = np.pad(planes.astype(np.float64), edges, "symmetric")
    width = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view
    return windows(windows(padded, width, axis=-1).mean(-1), width, axis=-2).mean(-1)


def _resized(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Planes (C, h, w) resized to (width, height); float32."""
    planes = planes.astype(np.float32)
    return np.stack([np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)) for plane in planes])
