"""How far a set of translations is from real pictures of the target domain: KID and FID in a feature space."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains
from stargan.evaluation.metrics import Figure
from stargan.evaluation.tasks import ALL, Asked, alike
from stargan.evaluation.test_set import Subject, prepared
from stargan.progress import Progress

REFERENCES = 2048  # real pictures that sets are compared with, or four times as many as are measured
CHUNK = 64  # pictures whose features are computed together
FEW = 8  # with fewer pictures on a side a distance says nothing
ENOUGH_FOR_FID = 2048  # pictures on both sides: with fewer, FID tells of their number more than of their quality
HALVES, FID_HALVES = 200, 10  # half samples for an interval; a Frechet distance takes seconds


@dataclass(frozen=True)
class Space:
    """A feature space.

    Attributes:
        prefix: Of the names of its metrics.
        pooled: From (N, 3, H, W) float32 in [-1, 1] to (N, D) features.
    """

    prefix: str
    pooled: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Reference:
    """Real pictures in a feature space.

    Attributes:
        space: Which one.
        features: (R, D), of the training part.
        values: (R, C) what these show.
        held: (N, D), of the subject's sources.
    """

    space: Space
    features: np.ndarray
    values: np.ndarray
    held: np.ndarray


def refer(subject: Subject, space: Space, seed: int) -> Reference:
    """The reference of a subject, the same for all models of one size and label layout."""
    count = max(REFERENCES, 4 * len(subject.held))
    rows = np.sort(np.random.default_rng(seed).permutation(subject.train)[:count])
    every = np.concatenate([rows, subject.held])
    parts = []
    with Progress("features of real pictures", len(every), "pictures") as progress:
        for start in range(0, len(every), CHUNK):
            parts.append(space.pooled(prepared(subject.pixels[every[start : start + CHUNK]])))
            progress.update(min(start + CHUNK, len(every)))
    found = np.concatenate(parts)
    return Reference(space, found[: len(rows)], subject.values[rows], found[len(rows) :])


@dataclass(frozen=True)
class Sets:
    """Two sets of features, (n, D) and (m, D), and for each of S half samples who is in it, (S, n) and (S, m) bool."""

    first: np.ndarray
    second: np.ndarray
    first_halves: np.ndarray
    second_halves: np.ndarray

    @property
    def count(self) -> int:
        """The size of the smaller one."""
        return min(len(self.first), len(self.second))


def compare(
    reference: Reference, domains: Domains, asked: Asked, shown: np.ndarray, made: np.ndarray, seed: int
) -> dict[str, dict[str, Figure]]:
    """Distances of a model's translations, and what they compare with.

    Args:
        reference: Real pictures.
        domains: The layout.
        asked: What was asked for.
        shown: (N, C) what the sources show.
        made: (M, D) features of the translations.
        seed: Of the half samples.

    Returns:
        By task, and `all` for the mean over tasks; then `kid` (x 1000) of the translations, `idle_kid` of their
        untouched sources and `real_kid` of real held-out pictures of the target domain, each to the training part's
        pictures of that domain; and `fid` where there are enough pictures. All behind the space's prefix. What
        cannot be said is left out.
    """
    rng = np.random.default_rng(seed)
    # Every task draws the same pictures into a half, so that the means over tasks have intervals as well.
    sources, real = (halves(len(side), HALVES, rng) for side in (reference.held, reference.features))
    found: dict[str, dict[str, tuple[float, np.ndarray, int]]] = {}
    for task, numbers in asked.each():
        if task == ALL:
            continue
        rows, like = asked.rows[numbers], alike(domains, asked, numbers, reference.values)
        held = alike(domains, asked, numbers, shown)
        second, second_halves = reference.features[like], real[:, like]
        sets = {
            "kid": Sets(made[numbers], second, sources[:, rows], second_halves),
            "idle_kid": Sets(reference.held[rows], second, sources[:, rows], second_halves),
            "real_kid": Sets(reference.held[held], second, sources[:, held], second_halves),
        }
        found[task] = {name: (*_kid(pair), pair.count) for name, pair in sets.items() if pair.count >= FEW}
        if sets["kid"].count >= ENOUGH_FOR_FID:
            found[task]["fid"] = (*_fid(sets["kid"]), sets["kid"].count)
    found = {ALL: _means(found), **found}
    prefix = reference.space.prefix
    return {
        task: {f"{prefix}{name}": _figure(*parts) for name, parts in measured.items()}
        for task, measured in found.items()
    }


def _means(found: dict[str, dict[str, tuple[float, np.ndarray, int]]]) -> dict[str, tuple[float, np.ndarray, int]]:
    """Over the tasks of which something can be said."""
    means = {}
    for name in ("kid", "idle_kid", "real_kid", "fid"):
        parts = [measured[name] for measured in found.values() if name in measured]
        if parts:
            values, drawn, counts = zip(*parts, strict=True)
            means[name] = (float(np.mean(values)), np.mean(drawn, axis=0), sum(counts))
    return means


def _figure(value: float, drawn: np.ndarray, count: int) -> Figure:
    """With the interval of half samples without replacement: they spread as the whole sample's estimate does."""
    spread = 1.96 * float(np.nanstd(drawn)) if np.isfinite(drawn).sum() > 1 else np.nan
    return Figure(value, value - spread, value + spread, count)


def halves(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, count) bool: in each row another half of the pictures."""
    return rng.permuted(np.tile(np.arange(count) < count // 2, (draws, 1)), axis=1)


# ---------------------------------------------------------------- KID


def kid(first: np.ndarray, second: np.ndarray) -> float:
    """Kernel distance of two sets of features, (n, D) and (m, D): the unbiased estimate, which may be below zero.

    The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski et al. 2018, section 4).
    """
    return float(_mmd(_kernels(first, second), np.ones((1, len(first))), np.ones((1, len(second))))[0])


def _kid(sets: Sets) -> tuple[float, np.ndarray]:
    """x 1000, for the whole sets and for each half sample."""
    kernels = _kernels(sets.first, sets.second)
    whole = _mmd(kernels, np.ones((1, len(sets.first))), np.ones((1, len(sets.second))))
    return 1000 * float(whole[0]), 1000 * _mmd(kernels, sets.first_halves, sets.second_halves)


def _kernels(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    """Within the first set, within the second, and between them."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    return [(a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]


def _mmd(kernels: list[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of S choices of members, (S, n) and (S, m) of 0 and 1: (S,); NaN where a choice has fewer than two."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    sizes, others = first.sum(1), second.sum(1)

    def within(kernel: np.ndarray, members: np.ndarray, count: np.ndarray) -> np.ndarray:
        total = ((members @ kernel) * members).sum(1) - members @ np.diag(kernel)
        return np.divide(total, count * (count - 1), out=np.full(len(count), np.nan), where=count > 1)

    between = ((first @ kernels[2]) * second).sum(1)
    cross = np.divide(between, sizes * others, out=np.full(len(sizes), np.nan), where=sizes * others > 0)
    return within(kernels[0], first, sizes) + within(kernels[1], second, others) - 2 * cross


# ---------------------------------------------------------------- FID


def fid(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance between two sets of features, (n, D) and (m, D) (Heusel et al. 2017, eq. 6).

    Biased upwards with few samples.
    """
    cov1, cov2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov2 @ root), 0, None)).sum()
    means = np.square(first.mean(0) - second.mean(0)).sum()
    return float(means + np.trace(cov1) + np.trace(cov2) - 2 * cross)


def _fid(sets: Sets) -> tuple[float, np.ndarray]:
    """For the whole sets and for some half samples."""
    chosen = zip(sets.first_halves[:FID_HALVES], sets.second_halves[:FID_HALVES], strict=True)
    drawn = [fid(sets.first[one], sets.second[other]) for one, other in chosen]
    return fid(sets.first, sets.second), np.array(drawn)
