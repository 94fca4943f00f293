"""Figures of pictures and of sets of pictures, as pure functions of arrays.

Pictures are (N, 3, H, W) float32 in [-1, 1]; features are (N, D).
"""

from dataclasses import dataclass

import numpy as np

WINDOW = 11  # of SSIM, in pixels, with a standard deviation of 1.5 (Wang et al. 2004)
OUTSIDE = 0.1  # of the width on either side, and of the height above, lies outside an aligned face
RESAMPLES = 1000
HALVES = 200  # half samples for the interval of a set's figure


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, of `count` samples."""

    value: float
    low: float
    high: float
    count: int


def mean(values: np.ndarray, pictures: np.ndarray, seed: int) -> Figure:
    """The mean, with a bootstrap interval over pictures.

    Args:
        values: (M,) one number a translation; those that are not finite are left out.
        pictures: (M,) which picture each is of: translations of one picture are drawn together.
        seed: Of the draws.
    """
    kept = np.isfinite(values)
    values, pictures = values[kept], pictures[kept]
    if not len(values):
        return Figure(np.nan, np.nan, np.nan, 0)
    _, owner = np.unique(pictures, return_inverse=True)
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Figure(float(values.mean()), float(low), float(high), len(values))


# ---------------------------------------------------------------- two pictures


def l1(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each pair, in units of [-1, 1]: (N,)."""
    return np.abs(first - second).mean((1, 2, 3))


def psnr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each pair in dB: (N,). Equal pictures count as one gray level apart: 48 dB."""
    error = np.maximum(np.square(first - second).mean((1, 2, 3)), (2 / 255) ** 2)
    return 10 * np.log10(4 / error)


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity of each pair, over channels and positions (Wang et al. 2004, eq. 13): (N,)."""
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # 2 is the range of the values
    mean1, mean2 = _blurred(first), _blurred(second)
    var1 = _blurred(first * first) - mean1**2
    var2 = _blurred(second * second) - mean2**2
    both = _blurred(first * second) - mean1 * mean2
    index = (2 * mean1 * mean2 + c1) * (2 * both + c2) / ((mean1**2 + mean2**2 + c1) * (var1 + var2 + c2))
    return index.mean((1, 2, 3))


def _blurred(x: np.ndarray) -> np.ndarray:
    """Gaussian window over the last two axes, only where it fits whole."""
    reach = min(WINDOW, *x.shape[2:])
    weights = np.exp(-0.5 * ((np.arange(reach) - (reach - 1) / 2) / 1.5) ** 2)
    weights /= weights.sum()
    rows = sum(w * x[:, :, k : x.shape[2] - reach + 1 + k] for k, w in enumerate(weights))
    assert isinstance(rows, np.ndarray)
    out = sum(w * rows[..., k : rows.shape[3] - reach + 1 + k] for k, w in enumerate(weights))
    assert isinstance(out, np.ndarray)
    return out


def background(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute difference beside and above the face, where a change of hair or face has nothing to do: (N,)."""
    height, width = first.shape[2:]
    outside = np.zeros((height, width), bool)
    edge = max(1, round(OUTSIDE * width))
    outside[:, :edge] = outside[:, -edge:] = True
    outside[: max(1, round(OUTSIDE / 2 * height))] = True
    return np.abs(first - second).mean(1)[:, outside].mean(1)


def sharpness(pictures: np.ndarray) -> np.ndarray:
    """Variance of the four-neighbour Laplacian of the gray picture: (N,)."""
    gray = pictures.mean(1)
    inner = gray[:, 1:-1, 1:-1]
    laplacian = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:] - 4 * inner
    return laplacian.var((1, 2))


# ---------------------------------------------------------------- two sets


def kid(first: np.ndarray, second: np.ndarray, seed: int) -> Figure:
    """Kernel distance of two sets of features: unbiased squared MMD, kernel (x.y / D + 1)^3 (Binkowski et al. 2018).

    The interval is that of half samples without replacement, whose spread is that of the whole sample's estimate.
    """
    if min(len(first), len(second)) < 4:
        return Figure(np.nan, np.nan, np.nan, min(len(first), len(second)))
    both = np.concatenate([first, second]).astype(np.float64)
    kernel = (both @ both.T / both.shape[1] + 1) ** 3
    rng, halves = np.random.default_rng(seed), []
    left, right = np.arange(len(first)), len(first) + np.arange(len(second))
    value = _mmd(kernel, left, right)
    for _ in range(HALVES):
        half = (rng.permutation(side)[: max(2, len(side) // 2)] for side in (left, right))
        halves.append(_mmd(kernel, *half))
    spread = 1.96 * float(np.std(halves))
    return Figure(value, value - spread, value + spread, min(len(first), len(second)))


def _mmd(kernel: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    def within(side: np.ndarray) -> float:
        block = kernel[np.ix_(side, side)]
        return float((block.sum() - np.trace(block)) / (len(side) * (len(side) - 1)))

    return within(left) + within(right) - 2 * float(kernel[np.ix_(left, right)].mean())


def fid(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance between two sets of features (Heusel et al. 2017, eq. 6). Biased upwards with few samples."""
    (mean1, root), (mean2, _) = (_moments(side) for side in (first, second))
    cov1, cov2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    middle = np.linalg.eigvalsh(root @ cov2 @ root)
    cross = np.sqrt(np.clip(middle, 0, None)).sum()
    return float(np.square(mean1 - mean2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean, and the root of the covariance."""
    values, vectors = np.linalg.eigh(np.cov(features, rowvar=False))
    return features.mean(0), (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
