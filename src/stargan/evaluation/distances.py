"""Distances between translations and real images of the target domain: KID and FID in a feature space."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.evaluation.matched import Matched
from stargan.evaluation.tasks import ALL, RequestedTranslations, in_target_domain
from stargan.images import to_array
from stargan.model.figure import Figure
from stargan.progress import Progress

REFERENCE_IMAGES = 2048  # real images to compare with, or four times the number of test images if that is more
BATCH = 64  # images whose features are computed at a time
MIN_FOR_KID = 8  # images in each set; with fewer the distance is meaningless
MIN_FOR_FID = 2048  # images in each set; with fewer the FID depends on their number more than on their quality
HALF_SAMPLES, FID_HALF_SAMPLES = 200, 10  # for intervals; one FID takes seconds


@dataclass(frozen=True)
class FeatureSpace:
    """A feature space.

    Attributes:
        prefix: Prefix of the names of its metrics.
        pooled: Maps (N, 3, H, W) float32 in [-1, 1] to (N, D) features.
    """

    prefix: str
    pooled: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ReferenceFeatures:
    """Features of real images.

    Attributes:
        space: The feature space.
        features: (R, D), of images of the training split.
        values: (R, C) their labels.
        test_features: (N, D), of the test images.
        matched: By task, (k,) indices of translations for which there is a real image with the same labels, and (k, D)
            the features of these images.
    """

    space: FeatureSpace
    features: np.ndarray
    values: np.ndarray
    test_features: np.ndarray
    matched: Mapping[str, tuple[np.ndarray, np.ndarray]]


def reference_rows(evaluation_set: EvaluationSet, seed: int) -> np.ndarray:
    """Draws the training images with which translations are compared: (R,) rows."""
    count = max(REFERENCE_IMAGES, 4 * len(evaluation_set.test_rows))
    return np.sort(np.random.default_rng(seed).permutation(evaluation_set.train_rows)[:count])


def reference_features(
    evaluation_set: EvaluationSet, space: FeatureSpace, rows: np.ndarray, matched: Mapping[str, Matched]
) -> ReferenceFeatures:
    """Computes the features of real images, which all models of one size and label layout share.

    Args:
        evaluation_set: The images.
        space: The feature space.
        rows: (R,) rows of those to compare translations with, from `reference_rows`.
        matched: By task, those with the labels of translations, from `matched_images`.
    """
    others = np.unique(np.concatenate([np.zeros(0, int), *(each.rows for each in matched.values())]))
    all_rows = np.concatenate([rows, evaluation_set.test_rows, others])
    parts = []
    with Progress("features of real images", len(all_rows), "images") as progress:
        for start in range(0, len(all_rows), BATCH):
            parts.append(space.pooled(to_array(evaluation_set.pixels[all_rows[start : start + BATCH]])))
            progress.update(min(start + BATCH, len(all_rows)))
    features, test, rest = np.split(np.concatenate(parts), [len(rows), len(rows) + len(evaluation_set.test_rows)])
    by_task = {task: (each.numbers, rest[np.searchsorted(others, each.rows)]) for task, each in matched.items()}
    return ReferenceFeatures(space, features, evaluation_set.values[rows], test, by_task)


@dataclass(frozen=True)
class TwoSamples:
    """Two samples of features with half samples of each.

    Attributes:
        first: (n, D).
        second: (m, D).
        first_halves: (S, n) bool: the members of S half samples of the first.
        second_halves: (S, m) bool: the same of the second.
    """

    first: np.ndarray
    second: np.ndarray
    first_halves: np.ndarray
    second_halves: np.ndarray

    @property
    def count(self) -> int:
        """The size of the smaller sample."""
        return min(len(self.first), len(self.second))


Estimate = tuple[float, np.ndarray, int]
"""A distance, the distances of half samples, and the number of images."""


def compare(
    reference: ReferenceFeatures,
    domains: Domains,
    requested: RequestedTranslations,
    source_values: np.ndarray,
    translated: np.ndarray,
    seed: int,
) -> dict[str, dict[str, Figure]]:
    """Computes the distances of a model's translations and the distances to compare them with.

    Args:
        reference: Features of real images.
        domains: The label layout.
        requested: The requested translations.
        source_values: (N, C) labels of the test images.
        translated: (M, D) features of the translations.
        seed: Seed of the half samples.

    Returns:
        By task, and `all` for the mean over tasks, then by metric, prefixed by the feature space: `kid` (x 1000) of
        the translations, `baseline_kid` of their unchanged sources, `real_kid` of real test images of the target domain
        and `matched_kid` of real images with the labels of the translations, each to training images of that domain;
        and `fid` if there are enough images. Distances of too few images are left out.
    """
    rng = np.random.default_rng(seed)
    # All tasks draw the same images into a half sample, so that the mean over tasks has an interval, too.
    test_halves, real_halves = (
        half_samples(len(features), HALF_SAMPLES, rng) for features in (reference.test_features, reference.features)
    )
    estimates: dict[str, dict[str, Estimate]] = {}
    for task, numbers in requested.by_task():
        if task == ALL:
            continue
        rows = requested.rows[numbers]
        real = in_target_domain(domains, requested, numbers, reference.values)
        test = in_target_domain(domains, requested, numbers, source_values)
        target = reference.features[real], real_halves[:, real]
        samples = {
            "kid": _two(translated[numbers], test_halves[:, rows], target),
            "baseline_kid": _two(reference.test_features[rows], test_halves[:, rows], target),
            "real_kid": _two(reference.test_features[test], test_halves[:, test], target),
        }
        if task in reference.matched:
            of, features = reference.matched[task]
            samples["matched_kid"] = _two(features, test_halves[:, requested.rows[of]], target)
        estimates[task] = {name: (*_kid(two), two.count) for name, two in samples.items() if two.count >= MIN_FOR_KID}
        if samples["kid"].count >= MIN_FOR_FID:
            estimates[task]["fid"] = (*_fid(samples["kid"]), samples["kid"].count)
    prefix = reference.space.prefix
    return {
        task: {f"{prefix}{name}": _figure(*estimate) for name, estimate in by_metric.items()}
        for task, by_metric in {ALL: _means(estimates), **estimates}.items()
    }


def _two(first: np.ndarray, first_halves: np.ndarray, target: tuple[np.ndarray, np.ndarray]) -> TwoSamples:
    return TwoSamples(first, target[0], first_halves, target[1])


def _means(estimates: dict[str, dict[str, Estimate]]) -> dict[str, Estimate]:
    """Means over the tasks that have an estimate."""
    means = {}
    for name in ("kid", "baseline_kid", "real_kid", "matched_kid", "fid"):
        parts = [by_metric[name] for by_metric in estimates.values() if name in by_metric]
        if parts:
            values, halves, counts = zip(*parts, strict=True)
            means[name] = (float(np.mean(values)), np.mean(halves, axis=0), sum(counts))
    return means


def _figure(value: float, halves: np.ndarray, count: int) -> Figure:
    """Adds the interval. Half samples, drawn without replacement, vary as much as the whole sample's estimate does."""
    spread = 1.96 * float(np.nanstd(halves)) if np.isfinite(halves).sum() > 1 else np.nan
    return Figure(value, value - spread, value + spread, count)


def half_samples(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, count) bool: in each row another random half.

    A bootstrap would put equal images into one sample, which biases a kernel distance.
    """
    return rng.permuted(np.tile(np.arange(count) < count // 2, (draws, 1)), axis=1)


# ---------------------------------------------------------------- KID


def kid(first: np.ndarray, second: np.ndarray) -> float:
    """Kernel distance of two samples of features, (n, D) and (m, D): the unbiased estimate, which may be negative.

    The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski et al. 2018, section 4).
    """
    return float(_mmd(_kernels(first, second), np.ones((1, len(first))), np.ones((1, len(second))))[0])


def _kid(samples: TwoSamples) -> tuple[float, np.ndarray]:
    """KID x 1000 of the whole samples and of each half sample."""
    kernels = _kernels(samples.first, samples.second)
    whole = _mmd(kernels, np.ones((1, len(samples.first))), np.ones((1, len(samples.second))))
    return 1000 * float(whole[0]), 1000 * _mmd(kernels, samples.first_halves, samples.second_halves)


def _kernels(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    """Kernel matrices within the first sample, within the second, and between them."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    return [(a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]


def _mmd(kernels: list[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(S,) distances of S choices of members, (S, n) and (S, m) of 0 and 1; NaN where a choice has fewer than two."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    first_sizes, second_sizes = first.sum(1), second.sum(1)

    def within(kernel: np.ndarray, members: np.ndarray, count: np.ndarray) -> np.ndarray:
        total = ((members @ kernel) * members).sum(1) - members @ np.diag(kernel)
        return np.divide(total, count * (count - 1), out=np.full(len(count), np.nan), where=count > 1)

    between = ((first @ kernels[2]) * second).sum(1)
    product = first_sizes * second_sizes
    cross = np.divide(between, product, out=np.full(len(product), np.nan), where=product > 0)
    return within(kernels[0], first, first_sizes) + within(kernels[1], second, second_sizes) - 2 * cross


# ---------------------------------------------------------------- FID


def fid(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of two samples of features, (n, D) and (m, D) (Heusel et al. 2017, eq. 6).

    It is biased upwards, the more so the smaller the samples.
    """
    cov1, cov2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov2 @ root), 0, None)).sum()
    means = np.square(first.mean(0) - second.mean(0)).sum()
    return float(means + np.trace(cov1) + np.trace(cov2) - 2 * cross)


def _fid(samples: TwoSamples) -> tuple[float, np.ndarray]:
    """FID of the whole samples and of some half samples."""
    halves = zip(samples.first_halves[:FID_HALF_SAMPLES], samples.second_halves[:FID_HALF_SAMPLES], strict=True)
    found = [fid(samples.first[one], samples.second[other]) for one, other in halves]
    return fid(samples.first, samples.second), np.array(found)
