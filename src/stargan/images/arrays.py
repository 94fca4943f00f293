"""Images as model inputs: cropped, resized, scaled to [-1, 1] and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

Size = tuple[int, int]
"""(width, height) in pixels."""


def fit(image: Image.Image, size: Size, crop: float | None = None) -> Image.Image:
    """Cuts out the centre in the shape of `size` and resizes it.

    Args:
        image: RGB image of any size.
        size: (width, height) of the result.
        crop: Size of the cut. Up to 1, a fraction of the largest one that fits; above 1, its shorter side in pixels
            (the official code's `CenterCrop`). None cuts as much as fits.

    Returns:
        RGB image of exactly `size`, resized bilinearly with antialiasing, as in the official code.
    """
    return image.crop(central_box(image.size, size, crop)).resize(size, Image.Resampling.BILINEAR)


def central_box(whole: Size, size: Size, crop: float | None = None) -> tuple[int, int, int, int]:
    """The part of an image of size `whole` that `fit` cuts out: (left, top, right, bottom) in pixels."""
    width, height = size
    unit = min(whole[0] / width, whole[1] / height)
    if crop is not None:
        unit = unit * crop if crop <= 1 else min(unit, crop / min(size))
    cut_width, cut_height = max(1, round(width * unit)), max(1, round(height * unit))
    left, top = round((whole[0] - cut_width) / 2), round((whole[1] - cut_height) / 2)
    return left, top, left + cut_width, top + cut_height


def scale(pixels: Any) -> Any:
    """Scales 0..255 to [-1, 1]; any framework's array, float out (the official `Normalize(0.5, 0.5)`)."""
    return pixels / 127.5 - 1.0


def to_array(images: Sequence[Image.Image] | np.ndarray) -> np.ndarray:
    """Makes model inputs, (N, 3, H, W) float32 in [-1, 1], of RGB images of one size or of (N, H, W, 3) uint8."""
    pixels = images if isinstance(images, np.ndarray) else np.stack([np.asarray(image, np.uint8) for image in images])
    return np.ascontiguousarray(scale(pixels.astype(np.float32)).transpose(0, 3, 1, 2))


def to_pixels(array: np.ndarray) -> np.ndarray:
    """Turns (N, 3, H, W) floats in [-1, 1] into (N, H, W, 3) uint8; values outside are clipped."""
    pixels = np.clip(np.asarray(array, np.float32) * 127.5 + 127.5, 0, 255)
    return np.ascontiguousarray(np.rint(pixels).astype(np.uint8).transpose(0, 2, 3, 1))


def to_images(array: np.ndarray) -> list[Image.Image]:
    """Turns (N, 3, H, W) floats in [-1, 1] into N RGB images."""
    return [Image.fromarray(pixels) for pixels in to_pixels(array)]
