"""Metrics of pairs of images, as pure functions of arrays.

Images are (N, 3, H, W) float32 in [-1, 1].
"""

import numpy as np

WINDOW = 11  # pixels of SSIM's Gaussian window, whose standard deviation is 1.5 (Wang et al. 2004)
SIDES, TOP = 0.1, 0.05  # shares of width and height that lie outside face and hair in an aligned image


def l1(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each pair, in units of [-1, 1]: (N,)."""
    return np.abs(first - second).mean((1, 2, 3))


def psnr(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each pair in dB: (N,). Equal images count as one gray level apart: 48 dB."""
    error = np.maximum(np.square(first - second).mean((1, 2, 3)), (2 / 255) ** 2)
    return 10 * np.log10(4 / error)


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity of each pair, over channels and positions (Wang et al. 2004, eq. 13): (N,)."""
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # 2 is the range of the values
    mean1, mean2 = _blur(first), _blur(second)
    var1 = _blur(first * first) - mean1**2
    var2 = _blur(second * second) - mean2**2
    covariance = _blur(first * second) - mean1 * mean2
    index = (2 * mean1 * mean2 + c1) * (2 * covariance + c2) / ((mean1**2 + mean2**2 + c1) * (var1 + var2 + c2))
    return index.mean((1, 2, 3))


def _blur(x: np.ndarray) -> np.ndarray:
    """Applies the Gaussian window over the last two axes, only where it fits completely."""
    size = min(WINDOW, *x.shape[2:])
    weights = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / 1.5) ** 2)
    weights /= weights.sum()
    rows = sum(w * x[:, :, k : x.shape[2] - size + 1 + k] for k, w in enumerate(weights))
    assert isinstance(rows, np.ndarray)
    out = sum(w * rows[..., k : rows.shape[3] - size + 1 + k] for k, w in enumerate(weights))
    assert isinstance(out, np.ndarray)
    return out


def background(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute difference beside and above the face, which no change of hair or face should affect: (N,)."""
    height, width = first.shape[2:]
    outside = np.zeros((height, width), bool)
    edge = max(1, round(SIDES * width))
    outside[:, :edge] = outside[:, -edge:] = True
    outside[: max(1, round(TOP * height))] = True
    return np.abs(first - second).mean(1)[:, outside].mean(1)


def sharpness(images: np.ndarray) -> np.ndarray:
    """Variance of the four-neighbour Laplacian of the gray image: (N,)."""
    gray = images.mean(1)
    inner = gray[:, 1:-1, 1:-1]
    laplacian = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:] - 4 * inner
    return laplacian.var((1, 2))
