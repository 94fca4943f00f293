"""Enlarging a change along the edges of a larger image.

Enlarged by itself, a change of hair reaches over into the wall behind it, as a halo. Within a small window of the small
image, the change is therefore written as a linear function of the colour there; the function is enlarged, which is
smooth, and applied to the colours of the large image, which is sharp.

He, Sun and Tang, "Guided image filtering" (PAMI 2013), with a guide of three channels; He and Sun, "Fast guided filter"
(arXiv 1505.00996), for the small and the large image.
"""

import numpy as np
from PIL import Image

RADIUS = 1  # of the window, in pixels of the small image
SMOOTH = 0.05  # a variance of colour, where 1 is half a channel's range; well below it, a change is averaged


def enlarge(change: np.ndarray, small: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Enlarges a change of a small image for a large image of the same scene.

    Args:
        change: (C, h, w) float32.
        small: (3, h, w) float32 in [-1, 1].
        large: (3, H, W) float32 in [-1, 1].

    Returns:
        (C, H, W) float32. Zero where `change` is zero all around.
    """
    slopes, offsets = _fit(change, small)
    size = (large.shape[2], large.shape[1])
    made = _resize(offsets, size)
    for channel in range(3):
        made += _resize(slopes[channel], size) * large[channel]
    return made


def _fit(change: np.ndarray, guide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (3, C, h, w) and offsets (C, h, w) of the change as a function of the colour around each pixel."""
    mean_guide, mean_change = _mean(guide), _mean(change)
    variance = _mean(guide[:, None] * guide[None]) - mean_guide[:, None] * mean_guide[None]
    covariance = _mean(guide[:, None] * change[None]) - mean_guide[:, None] * mean_change[None]
    system = np.moveaxis(variance, (0, 1), (-2, -1)) + SMOOTH * np.eye(3)
    slopes = np.moveaxis(np.linalg.solve(system, np.moveaxis(covariance, (0, 1), (-2, -1))), (-2, -1), (0, 1))
    offsets = mean_change - (slopes * mean_guide[:, None]).sum(0)
    return _mean(slopes).astype(np.float32), _mean(offsets).astype(np.float32)


def _mean(planes: np.ndarray) -> np.ndarray:
    """Means over windows of 2 RADIUS + 1 pixels, in the last two dimensions, edges mirrored; float64."""
    edges = [(0, 0)] * (planes.ndim - 2) + [(RADIUS, RADIUS)] * 2
    padded = np.pad(planes.astype(np.float64), edges, "symmetric")
    width = 2 * RADIUS + 1
    windows = np.lib.stride_tricks.sliding_window_view
    return windows(windows(padded, width, axis=-1).mean(-1), width, axis=-2).mean(-1)


def _resize(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    enlarged = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)) for plane in planes]
    return np.stack(enlarged)
