"""A figure that catches golden eyes and red lips: colours that real images of the target domain never have there."""

import numpy as np

from stargan.domains import Domains
from stargan.evaluation.tasks import RequestedTranslations, in_target_domain
from stargan.faces import FaceCrop

RANGE = (0.005, 0.995)  # quantiles; real images lie outside of them in about 2 % of the pixels
REAL_AT_MOST = 1000  # real images of a domain
REAL_AT_LEAST = 100  # so many are needed for quantiles this far out
AROUND = (1.0, 0.7)  # how far the face's inner part extends from the middle of eyes and mouth, in distances of the eyes


def figures(
    face_crop: FaceCrop,
    domains: Domains,
    requested: RequestedTranslations,
    source_images: np.ndarray,
    translated: np.ndarray,
    real: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
) -> dict[str, np.ndarray]:
    """Measures M translations of aligned faces.

    Args:
        face_crop: Where eyes and mouth are in these images.
        domains: The label layout.
        requested: The translations.
        source_images: (N, H, W, 3) uint8.
        translated: (M, H, W, 3) uint8.
        real: Images, (R, H, W, 3) uint8, their values, (R, C), and the rows of those to use.
        seed: Seed of the choice of at most `REAL_AT_MOST` real images of each domain.

    Returns:
        `odd_colours` and `baseline_odd_colours`, that of the unchanged source, each (M,): the share of pixels of the
        inner face with a hue that lies, at this place, outside of the range of real images of the target domain. NaN
        where too few real images are known.
    """
    pixels, values, rows = real
    height, width = source_images.shape[1:3]
    inner = _inner(face_crop, (width, height))
    names = ("odd_colours", "baseline_odd_colours")
    found = {name: np.full(len(translated), np.nan) for name in names}
    for task in requested.task_names:
        numbers = np.flatnonzero(requested.tasks == task)
        members = rows[in_target_domain(domains, requested, numbers, values[rows])]
        if len(members) < REAL_AT_LEAST:
            continue
        chosen = np.sort(np.random.default_rng(seed).permutation(members)[:REAL_AT_MOST])
        low, high = np.quantile(chroma(pixels[chosen][:, inner]), RANGE, axis=0)
        for name, images in zip(names, (translated[numbers], source_images[requested.rows[numbers]]), strict=True):
            hues = chroma(images[:, inner])
            found[name][numbers] = ((hues < low) | (hues > high)).any(2).mean(1)
    return found


def chroma(colours: np.ndarray) -> np.ndarray:
    """Blue and red less brightness, of (..., 3) uint8: (..., 2) float32. Brightness differs too much to tell."""
    red, green, blue = np.moveaxis(colours.astype(np.float32), -1, 0)
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    return np.stack([blue - brightness, red - brightness], -1)


def _inner(face_crop: FaceCrop, size: tuple[int, int]) -> np.ndarray:
    """The pixels of the inner face in images of `size` (width, height): (H, W) bool."""
    points = face_crop.points(size)
    apart = float(np.linalg.norm(points[1] - points[0]))
    x0, y0 = points.mean(0) - apart * np.array(AROUND)
    x1, y1 = points.mean(0) + apart * np.array([AROUND[0], AROUND[1] + 0.2])  # the chin is farther than the brows
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    return np.asarray((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
