"""Crops given in pixels, as fractions of a data set's own images."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from stargan import images
from stargan.config.checks import CELEBA_CROP
from stargan.data.sources import Source

CELEBA_SIZE = (178, 218)  # of the images that `CELEBA_CROP` is meant for
LOOKED_AT = 32  # images of a data set whose size is looked at
NUDGE = 1e-12  # relative; decides where the middle between two pixels is rounded to


def fraction(
    found: Sequence[Source], size: images.Size, crop: float | None, say: Callable[[str], None]
) -> float | None:
    """The crop of a new run as a fraction of what fits.

    A number of pixels counts in images of the most common size; other images are cut in proportion. CelebA's 178 pixels
    are never looked for in images of another size: they stand for as much as fits.

    Args:
        found: The data sets.
        size: (width, height) of the model's images.
        crop: As in `DataSettings`.
        say: Is called with a line for the user if the result differs from the central `crop` pixels of every image.

    Returns:
        As `crop` in `ModelInfo`: below 1, or None for as much as fits.
    """
    if crop is None or crop <= 1:
        return crop if crop != 1 else None
    sizes = sizes_of(found)
    relative = as_fraction(crop, sizes, size)
    whole = "x".join(map(str, most_common(sizes))) if sizes else ""
    if crop == CELEBA_CROP:
        if any(other != CELEBA_SIZE for other in sizes):
            pixels = f"; for their central {CELEBA_CROP} pixels: --crop {relative:.4g}" if relative else ""
            say(f"--crop {crop:g}: CelebA's crop, as much as fits in its images; used like that on {whole}{pixels}")
        return None
    if len({*sizes}) > 1:
        share = f"{relative:.4g} of what fits" if relative else "as much as fits"
        say(f"--crop {crop:g}: the images have several sizes; each is cut like {whole}, the most common one: {share}")
    return relative


def described(found: Sequence[Source], size: images.Size, crop: float | None) -> float | None:
    """The crop of a run for its model files, where it never is a number of pixels.

    Args:
        found: The data sets.
        size: (width, height) of the model's images.
        crop: As in `DataSettings`; above 1 only in runs of earlier versions, which keep to their central pixels.

    Returns:
        As `fraction`.
    """
    return crop if crop is None or crop <= 1 else as_fraction(crop, sizes_of(found), size)


def as_fraction(pixels: float, sizes: Sequence[images.Size], size: images.Size) -> float | None:
    """The fraction of what fits that cuts exactly the same out of an image as a number of pixels does.

    Args:
        pixels: As `crop` in `images.fit`, above 1.
        sizes: (width, height) of images; the most common one counts.
        size: (width, height) of the model's images.

    Returns:
        Below 1; None if `pixels` are as much as fits, or more.
    """
    whole = most_common(sizes) if sizes else size
    box = images.central_box(whole, size, pixels)
    if box == images.central_box(whole, size):
        return None
    near = pixels / min(size) / min(whole[0] / size[0], whole[1] / size[1])
    candidates = [near * (1 + nudge) for nudge in (0, -NUDGE, NUDGE)]
    return next((one for one in candidates if images.central_box(whole, size, one) == box), near)


def most_common(sizes: Sequence[images.Size]) -> images.Size:
    """The size that most images have; the first of them if there are several."""
    return Counter(sizes).most_common(1)[0][0]


def sizes_of(found: Sequence[Source]) -> list[images.Size]:
    """(width, height), upright, of up to `LOOKED_AT` images of each data set; unreadable ones are left out."""
    sizes = []
    for source in found:
        count = len(source.files)
        for row in np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int):
            size = images.size_of(source.path(int(row)))
            sizes += [size] if size else []  # unreadable ones are reported when all images are read
    return sizes
