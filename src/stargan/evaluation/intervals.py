"""Means with 95 % confidence intervals."""

import numpy as np
from scipy import stats

from stargan.model.figure import Figure

RESAMPLES = 1000
UNBOUNDED, SHARE, SHARE_DIFFERENCE = (-np.inf, np.inf), (0.0, 1.0), (-1.0, 1.0)  # ranges of means


def mean(values: np.ndarray, image_rows: np.ndarray, seed: int, bounds: tuple[float, float] = UNBOUNDED) -> Figure:
    """The mean, with a cluster bootstrap interval over images, widened by the spread between classifiers.

    Args:
        values: (M,) one number per translation, or (M, K) one per translation and evaluation classifier. Translations
            with a number that is not finite are left out.
        image_rows: (M,) the source image of each translation. All translations of an image are drawn together.
        seed: Seed of the bootstrap.
        bounds: The range of possible means, to which the interval is clipped.
    """
    by_classifier = (values if values.ndim == 2 else values[:, None]).astype(np.float64)
    finite = np.isfinite(by_classifier).all(1)
    by_classifier, image_rows = by_classifier[finite], image_rows[finite]
    if not len(by_classifier):
        return Figure(np.nan, np.nan, np.nan, 0)
    value = float(by_classifier.mean())
    low, high = _bootstrap(by_classifier.mean(1), image_rows, seed)
    spread = _classifier_spread(by_classifier.mean(0))
    # The two errors are independent, so their squares add up. Where classifiers disagree about single images, both
    # contain a part of that, and the interval is rather too wide.
    low, high = value - np.hypot(value - low, spread), value + np.hypot(high - value, spread)
    return Figure(value, max(float(low), bounds[0]), min(float(high), bounds[1]), len(by_classifier))


def _bootstrap(values: np.ndarray, image_rows: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the mean of (M,) values, drawing whole images with replacement."""
    _, image = np.unique(image_rows, return_inverse=True)
    sums, counts = np.bincount(image, values), np.bincount(image)
    if len(sums) < 2:  # nothing to resample
        return float(values.mean()), float(values.mean())
    found = stats.bootstrap(
        (sums, counts), _ratio, paired=True, vectorized=True, n_resamples=RESAMPLES, method="percentile", rng=seed
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    return sums.sum(axis) / counts.sum(axis)


def _classifier_spread(means: np.ndarray) -> float:
    """Half the width of the 95 % interval (Student's t) of the mean of (K,) classifiers' means; 0 if K is 1."""
    count = len(means)
    return float(stats.t.ppf(0.975, count - 1)) * float(means.std(ddof=1)) / count**0.5 if count > 1 else 0.0
