"""Figures of pairs of pictures, and their means with intervals, as pure functions of arrays.

Pictures are (N, 3, H, W) float32 in [-1, 1].
"""

from dataclasses import dataclass

import numpy as np

WINDOW = 11  # of SSIM, in pixels, with a standard deviation of 1.5 (Wang et al. 2004)
BESIDE, ABOVE = 0.1, 0.05  # of the width at either side, of the height: outside face and hair in an aligned picture
RESAMPLES = 1000
STUDENT_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)  # at 97.5 %, of 1 degree of freedom and more
MOST_JUDGES = len(STUDENT_T) + 1
ANY, SHARE, DIFFERENCE = (-np.inf, np.inf), (0.0, 1.0), (-1.0, 1.0)  # ranges: of any numbers, of shares, of two shares


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, of `count` samples."""

    value: float
    low: float
    high: float
    count: int


def mean(values: np.ndarray, pictures: np.ndarray, seed: int, within: tuple[float, float] = ANY) -> Figure:
    """The mean, with a bootstrap interval over pictures, to which the judges' spread is added.

    Args:
        values: (M,) one number a translation, or (M, J) one by each of J judges, at most `MOST_JUDGES`; translations
            with a number that is not finite are left out.
        pictures: (M,) which picture each is of: translations of one picture are drawn together.
        seed: Of the draws.
        within: The range that the mean cannot leave, nor therefore its interval.
    """
    by_judge = (values if values.ndim == 2 else values[:, None]).astype(np.float64)
    kept = np.isfinite(by_judge).all(1)
    by_judge, pictures = by_judge[kept], pictures[kept]
    if not len(by_judge):
        return Figure(np.nan, np.nan, np.nan, 0)
    _, owner = np.unique(pictures, return_inverse=True)
    sums, counts = np.bincount(owner, by_judge.mean(1)), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    value = float(by_judge.mean())
    apart = _between(by_judge.mean(0))
    # Added by their squares, as independent errors are. Where judges differ about single pictures, both hold a part of
    # that: the interval is rather too wide.
    low = value - np.hypot(value - np.quantile(means, 0.025), apart)
    high = value + np.hypot(np.quantile(means, 0.975) - value, apart)
    return Figure(value, max(float(low), within[0]), min(float(high), within[1]), len(by_judge))


def _between(verdicts: np.ndarray) -> float:
    """Half of the 95 % interval of the mean of J judges' verdicts, (J,); of one judge nothing can be said."""
    count = len(verdicts)
    return STUDENT_T[count - 2] * float(verdicts.std(ddof=1)) / count**0.5 if count > 1 else 0.0


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
    edge = max(1, round(BESIDE * width))
    outside[:, :edge] = outside[:, -edge:] = True
    outside[: max(1, round(ABOVE * height))] = True
    return np.abs(first - second).mean(1)[:, outside].mean(1)


def sharpness(pictures: np.ndarray) -> np.ndarray:
    """Variance of the four-neighbour Laplacian of the gray picture: (N,)."""
    gray = pictures.mean(1)
    inner = gray[:, 1:-1, 1:-1]
    laplacian = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:] - 4 * inner
    return laplacian.var((1, 2))
