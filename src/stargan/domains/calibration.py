"""Calibration of an attribute classifier by temperatures (Guo et al., ICML 2017, section 4.2), and its measurement."""

from dataclasses import dataclass

import numpy as np

from stargan.domains.estimates import UNCERTAIN, outcomes
from stargan.domains.space import Domains

TEMPERATURES = np.geomspace(0.1, 10, 201)  # the candidates: steps of 2 %, which the likelihood hardly notices
BINS = 15  # of the expected calibration error, as in the paper


@dataclass(frozen=True)
class Reliability:
    """How far the estimates of one group can be trusted.

    Attributes:
        name: The group's classes.
        images: The number of images.
        accuracy: The share of estimates that are right.
        error: The expected calibration error: the mean difference between probability and accuracy, over bins of
            equally probable estimates.
        certain: The share of estimates that are not uncertain.
        certain_accuracy: The share of these that are right; NaN if there are none.
    """

    name: str
    images: int
    accuracy: float
    error: float
    certain: float
    certain_accuracy: float


def temperatures(domains: Domains, logits: np.ndarray, values: np.ndarray, datasets: np.ndarray) -> tuple[float, ...]:
    """Finds the temperature of each group by maximum likelihood.

    Its logarithm has a normal prior with mean 0 and deviation 1, so that it stays near 1 where no estimate, or hardly
    any, is wrong.

    Args:
        domains: The labels of the model.
        logits: (N, C) of the attribute classifier, for images that were not used for training.
        values: (N, C) the images' labels, 0 or 1, or between them where not known.
        datasets: (N,) the data set of each image. Groups of other data sets have no labels there.

    Returns:
        (C,) by which logits have to be divided, the same within a group; 1 for groups without images.
    """
    usable, truths = _usable(domains, values, datasets), _truths(domains, values)
    losses = np.empty((len(TEMPERATURES), len(truths)))
    for row, temperature in enumerate(TEMPERATURES):
        chances = outcomes(domains, domains.probabilities(logits / temperature))
        for group, (chance, truth, rows) in enumerate(zip(chances, truths, usable, strict=True)):
            losses[row, group] = -np.log(chance[rows, truth[rows]]).sum()
    losses += np.log(TEMPERATURES)[:, None] ** 2 / 2
    best = TEMPERATURES[losses.argmin(axis=0)]
    return tuple(
        round(float(value), 3) for value, (_, columns, _) in zip(best, domains.groups(), strict=True) for _ in columns
    )


def reliability(
    domains: Domains, probabilities: np.ndarray, values: np.ndarray, datasets: np.ndarray
) -> list[Reliability]:
    """Compares estimates, by their probabilities, (N, C), with labels; the arguments are those of `temperatures`."""
    found = []
    groups = zip(
        domains.group_names,
        outcomes(domains, probabilities),
        _truths(domains, values),
        _usable(domains, values, datasets),
        strict=True,
    )
    for name, chances, truth, rows in groups:
        told, right = chances[rows].max(axis=1), chances[rows].argmax(axis=1) == truth[rows]
        certain = told >= UNCERTAIN
        found.append(
            Reliability(
                name,
                len(right),
                float(right.mean()) if len(right) else np.nan,
                _calibration_error(told, right),
                float(certain.mean()) if len(right) else np.nan,
                float(right[certain].mean()) if certain.any() else np.nan,
            )
        )
    return found


def _calibration_error(told: np.ndarray, right: np.ndarray) -> float:
    if not len(told):
        return float("nan")
    bins = np.minimum((told * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=told - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(told))


def _truths(domains: Domains, values: np.ndarray) -> list[np.ndarray]:
    """The outcome of each group, (N,), as an index into `outcomes`."""
    found = []
    for _, columns, group in domains.groups():
        part = values[:, columns]
        found.append(part.argmax(axis=1) + (0 if group.categorical else part.any(axis=1)))
    return found


def _usable(domains: Domains, values: np.ndarray, datasets: np.ndarray) -> list[np.ndarray]:
    """For each group the images, (N,) bool, that have a label for it, and not several that exclude each other."""
    labelled = domains.labelled_groups(datasets) & domains.known(values)
    return [
        labelled[:, index] & (values[:, columns].sum(axis=1) <= 1)
        for index, (_, columns, _) in enumerate(domains.groups())
    ]
