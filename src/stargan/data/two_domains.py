"""Batches for methods that translate between two domains."""

from dataclasses import replace

import numpy as np

from stargan.data.batches import DRAWS, Batch, Batches, TrainingSet
from stargan.domains import Domains, two
from stargan.errors import DataError


class TwoDomains(Batches):
    """An endless sequence of batches with B images of the first domain, followed by B of the second.

    Like those of `Batches`, a batch is a pure function of the seed and its number. Each domain has its own random
    order. The target labels of an image are those of the other domain.

    Args:
        training_set: The data set; images whose domain is unknown are left out.
        domains: The label layout, of two domains.
        batch_size: B.
        seed: Of order and flips.
        flip: Whether to flip each image with probability one half.

    Raises:
        DataError: A domain has no images for training.
    """

    def __init__(
        self, training_set: TrainingSet, domains: Domains, *, batch_size: int, seed: int, flip: bool = True
    ) -> None:
        rows = training_set.rows[domains.known(training_set.values[training_set.rows])[:, 0]]
        of_second = two.second(training_set.values[rows])
        sets = [replace(training_set, rows=rows[of_second == state]) for state in (False, True)]
        for part, word in zip(sets, two.names(domains), strict=True):
            if not len(part.rows):
                raise DataError(f"{domains.sets[0].name}: no training images of {word}; two domains are needed")
        super().__init__(sets, domains, batch_size=batch_size, seed=seed, flip=flip)

    def batch(self, step: int) -> Batch:
        """Returns the batch of a step; steps count from 0."""
        rows, mirrored = self._chosen(step, np.random.default_rng([self._seed, 0, DRAWS, step]))
        labels = self._domains.labels(self._sets[0].values[rows], 0)
        targets = np.roll(labels, len(labels) // 2, axis=0)
        return Batch(self._sets[0].take(rows, mirrored), labels, targets, 0)

    def _chosen(self, step: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a batch, (2B,), and which of them to flip."""
        rows = np.concatenate([self._rows(domain, step) for domain in (0, 1)])
        return rows, rng.random(len(rows)) < (0.5 if self._flip else 0)


class Pairs(TwoDomains):
    """An endless sequence of batches with B images to translate, followed by their B translations.

    The arguments are those of `TwoDomains`; the data are as `pairs.find` arranges them. Both images of a pair are
    flipped, or none.
    """

    def _chosen(self, step: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        first = self._rows(0, step)
        mirrored = rng.random(len(first)) < (0.5 if self._flip else 0)
        half = len(self._sets[0].pixels) // 2
        return np.concatenate([first, first + half]), np.tile(mirrored, 2)
