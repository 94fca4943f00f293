"""Batches as numpy arrays: order, flips, target labels, and data sets in turn."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stargan.config.training import Targets
from stargan.domains import Domains
from stargan.errors import DataError

ORDER, DRAWS = 0, 1  # random streams, so that no two share numbers
UNCHANGED = 8  # with `changes`, one of so many images keeps its labels
RARE = 0.25  # share of the images from which on a value of a class is not rare


@dataclass(frozen=True)
class Batch:
    """The input of one update.

    Attributes:
        images: (B, H, W, 3) uint8; for a data set on the device, what `DeviceImages.take` returned.
        labels: (B, L) float32, the labels of the images in the layout of `Domains`.
        targets: (B, L) float32, the target labels.
        dataset: Index of the data set that the images are from.
    """

    images: Any
    labels: np.ndarray
    targets: np.ndarray
    dataset: int


class DeviceImages(Protocol):
    """The images of a data set in the memory of an engine's device."""

    def take(self, rows: np.ndarray, mirrored: np.ndarray) -> Any:
        """A batch for the engine's updates: the images at `rows`, (B,), flipped where `mirrored`, (B,), is True."""
        ...


@dataclass(frozen=True)
class TrainingSet:
    """The training images of one data set and their labels.

    Attributes:
        pixels: (N, H, W, 3) uint8.
        values: (N, C) float32, see `Domains.pad`.
        rows: The rows of the N that are used for training.
        on_device: The same images on the engine's device; batches are then taken from there.
    """

    pixels: np.ndarray
    values: np.ndarray
    rows: np.ndarray
    on_device: DeviceImages | None = None

    def take(self, rows: np.ndarray, mirrored: np.ndarray) -> Any:
        """As `DeviceImages.take`; an array, (B, H, W, 3) uint8, if the images are not on the device."""
        if self.on_device is not None:
            return self.on_device.take(rows, mirrored)
        images = self.pixels[rows]
        images[mirrored] = images[mirrored, :, ::-1]
        return images


class Batches:
    """An endless sequence of batches; each is a pure function of the seed and the batch's number.

    A resumed run therefore needs no saved state. Several data sets take turns batch by batch, as in the official code;
    each has its own random order, in which every image comes once an epoch.

    Args:
        sets: The data sets.
        domains: The label layout.
        batch_size: B.
        seed: Of order, flips and targets.
        flip: Whether to flip each image with probability one half.
        targets: `permuted`: the batch's own labels, shuffled, so rare ones stay rare; `balanced`: each value of a group
            equally likely; `changes`: the image's own labels with one group changed, or sometimes more, and without a
            change in every eighth image.
        rare: How much more often images with rare labels come; an epoch then draws with replacement.
        own: The rows of each batch to return; all of them are drawn.

    Raises:
        DataError: There is no data set, or one has no rows for training.
    """

    def __init__(
        self,
        sets: Sequence[TrainingSet],
        domains: Domains,
        *,
        batch_size: int,
        seed: int,
        flip: bool = True,
        targets: Targets = "permuted",
        rare: float = 0.0,
        own: slice = slice(None),
    ) -> None:
        if not sets:
            raise DataError("no data sets to draw batches from")
        for training_set, label_set in zip(sets, domains.sets, strict=False):  # of two domains, there are two sets
            if not len(training_set.rows):
                total = len(training_set.pixels)
                raise DataError(f"{label_set.name}: none of its {total} images can be used for training")
        self._sets, self._domains = list(sets), domains
        self._size, self._seed, self._flip, self._targets = batch_size, seed, flip, targets
        self._own = own
        self._chances = [_chances(training_set, rare) if rare else None for training_set in sets]
        self._orders: dict[int, dict[int, np.ndarray]] = {index: {} for index in range(len(self._sets))}

    def batch(self, step: int) -> Batch:
        """The batch of a step; steps count from 0."""
        dataset, turn = step % len(self._sets), step // len(self._sets)
        training_set = self._sets[dataset]
        rows = self._rows(dataset, turn)
        rng = np.random.default_rng([self._seed, dataset, DRAWS, turn])
        mirrored = rng.random(len(rows)) < (0.5 if self._flip else 0)
        labels = self._domains.labels(training_set.values[rows], dataset)
        if self._targets == "permuted":
            targets = labels[rng.permutation(len(rows))]
        elif self._targets == "changes":
            kept = -(-len(rows) // UNCHANGED)
            values = self._domains.random_changes(rng, training_set.values[rows[kept:]], dataset)
            targets = np.concatenate([labels[:kept], self._domains.labels(values, dataset)])
        else:
            targets = self._domains.labels(self._domains.random_values(rng, len(rows)), dataset)
        targets = self._domains.keep_unknown(labels, targets)
        own = self._own
        return Batch(training_set.take(rows[own], mirrored[own]), labels[own], targets[own], dataset)

    def stream(self, start: int, workers: int = 2, end: int | None = None) -> Generator[Batch, None, None]:
        """Yields the batches from step `start` on, to that before `end` if it is given.

        Threads prepare a bounded number of them ahead.

        Closing the generator ends the threads. An error in a thread is raised here.
        """
        waiting: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
        try:
            step = start
            while True:
                while len(waiting) < 2 * workers and (end is None or step < end):
                    waiting.append(pool.submit(self.batch, step))
                    step += 1
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _rows(self, dataset: int, turn: int) -> np.ndarray:
        """Rows turn * B ... (turn + 1) * B of the epochs' orders, one after another; a batch may span epochs."""
        rows = self._sets[dataset].rows
        places = np.arange(turn * self._size, (turn + 1) * self._size)
        epochs = places // len(rows)
        parts = [self._order(dataset, int(e))[places[epochs == e] % len(rows)] for e in np.unique(epochs)]
        return np.concatenate(parts)

    def _order(self, dataset: int, epoch: int) -> np.ndarray:
        """The order of one epoch; the last two are kept, since a batch seldom spans more."""
        known = dict(self._orders[dataset])  # a copy: another thread may replace it meanwhile
        if epoch not in known:
            rng = np.random.default_rng([self._seed, dataset, ORDER, epoch])
            known = {e: order for e, order in known.items() if e == epoch - 1}
            rows, chances = self._sets[dataset].rows, self._chances[dataset]
            known[epoch] = rng.permutation(rows) if chances is None else rng.choice(rows, len(rows), p=chances)
            self._orders[dataset] = known
        return known[epoch]


def _chances(training_set: TrainingSet, rare: float) -> np.ndarray:
    """The chance of each training image: a multiple of 1, and `rare` more for each value that no image shares."""
    values = training_set.values[training_set.rows]
    sure = (values == 0) | (values == 1)
    share = (values * sure).sum(0) / sure.sum(0).clip(1)
    odd = sure * np.where(share < 0.5, values, 1 - values)  # whether an image has the less frequent value
    scarce = np.clip(1 - np.minimum(share, 1 - share) / RARE, 0, 1)
    chances = 1 + rare * (odd * scarce).sum(1, dtype=float)
    found: np.ndarray = chances / chances.sum()
    return found
