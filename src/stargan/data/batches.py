"""Batches as numpy arrays: order, flips, targets, and data sets that take turns."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stargan.config.training import Targets
from stargan.domains import Domains
from stargan.errors import DataError

_ORDER, _DRAWS = 0, 1  # what a random stream is for, so that no two share numbers


@dataclass(frozen=True)
class Batch:
    """What one update sees.

    Attributes:
        images: (B, H, W, 3) uint8; for a part that is held, what that made of them.
        labels: (B, L) float32, what they show, in the layout of `Domains`.
        targets: (B, L) float32, what is asked for.
        dataset: Which data set they are of.
    """

    images: Any
    labels: np.ndarray
    targets: np.ndarray
    dataset: int


class Held(Protocol):
    """Pictures that an engine holds."""

    def take(self, rows: np.ndarray, mirrored: np.ndarray) -> Any:
        """What the engine understands as these rows, (B,), each mirrored where `mirrored`, (B,) bool, says so."""
        ...


@dataclass(frozen=True)
class Part:
    """One data set's share of the training.

    Attributes:
        pixels: (N, H, W, 3) uint8.
        values: (N, C) float32, see `Domains.place`.
        rows: Which of the N are drawn from.
        held: The same pixels where an engine holds them; batches are then taken from there.
    """

    pixels: np.ndarray
    values: np.ndarray
    rows: np.ndarray
    held: Held | None = None

    def take(self, rows: np.ndarray, mirrored: np.ndarray) -> Any:
        """See `Held.take`; an array, (B, H, W, 3), where the pictures are not held."""
        if self.held is not None:
            return self.held.take(rows, mirrored)
        images = self.pixels[rows]
        images[mirrored] = images[mirrored, :, ::-1]
        return images


class Batches:
    """An endless sequence of batches, of which each is a pure function of the seed and its number.

    Nothing needs to be saved to go on in the middle. With several data sets they take turns batch by batch, as the
    official code lets them; each is gone through in an order of its own, every picture once an epoch.

    Args:
        parts: The data sets.
        domains: The label layout.
        batch_size: B.
        seed: Of order, flips and targets.
        flip: Whether each picture is mirrored with probability one half.
        targets: `permuted`: the batch's own labels, shuffled, so rare ones stay rare; `balanced`: drawn evenly.

    Raises:
        DataError: A data set has no rows to draw from, or there is none.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        domains: Domains,
        *,
        batch_size: int,
        seed: int,
        flip: bool = True,
        targets: Targets = "permuted",
    ) -> None:
        if not parts:
            raise DataError("no data sets to draw batches from")
        for part, label_set in zip(parts, domains.sets, strict=True):
            if not len(part.rows):
                raise DataError(f"{label_set.name}: none of its {len(part.pixels)} pictures is there to draw from")
        self._parts, self._domains = list(parts), domains
        self._size, self._seed, self._flip, self._targets = batch_size, seed, flip, targets
        self._orders: dict[int, dict[int, np.ndarray]] = {index: {} for index in range(len(self._parts))}

    def batch(self, step: int) -> Batch:
        """The batch of one step, counted from 0."""
        dataset, turn = step % len(self._parts), step // len(self._parts)
        part = self._parts[dataset]
        rows = self._rows(dataset, turn)
        rng = np.random.default_rng([self._seed, dataset, _DRAWS, turn])
        mirrored = rng.random(len(rows)) < (0.5 if self._flip else 0)
        labels = self._domains.labels(part.values[rows], dataset)
        if self._targets == "permuted":
            targets = labels[rng.permutation(len(rows))]
        else:
            targets = self._domains.labels(self._domains.random_values(rng, len(rows)), dataset)
        return Batch(part.take(rows, mirrored), labels, targets, dataset)

    def stream(self, start: int, workers: int = 2) -> Generator[Batch, None, None]:
        """Yields the batches from step `start` on, prepared ahead by threads, a bounded number of them.

        Closing the iterator ends the threads; an error in one of them is raised here.
        """
        waiting: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
        try:
            step = start
            while True:
                while len(waiting) < 2 * workers:
                    waiting.append(pool.submit(self.batch, step))
                    step += 1
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _rows(self, dataset: int, turn: int) -> np.ndarray:
        """Rows number turn * B ... of the endless chain of permutations; a batch may span epochs."""
        rows = self._parts[dataset].rows
        places = np.arange(turn * self._size, (turn + 1) * self._size)
        epochs = places // len(rows)
        parts = [self._order(dataset, int(e))[places[epochs == e] % len(rows)] for e in np.unique(epochs)]
        return np.concatenate(parts)

    def _order(self, dataset: int, epoch: int) -> np.ndarray:
        """The order of one epoch; the last two are remembered, since a batch seldom spans more."""
        known = dict(self._orders[dataset])  # a copy: another thread may replace it meanwhile
        if epoch not in known:
            rng = np.random.default_rng([self._seed, dataset, _ORDER, epoch])
            known = {e: order for e, order in known.items() if e == epoch - 1}
            known[epoch] = rng.permutation(self._parts[dataset].rows)
            self._orders[dataset] = known
        return known[epoch]
