"""The data of a run: what was found, decoded and checked, and the batches that are drawn from it."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan.config import Config
from stargan.data import cache, configured, windows
from stargan.data.batches import Batches, TrainingSet
from stargan.data.pairs import KIND as PAIRS
from stargan.data.sources import Source
from stargan.data.two_domains import Pairs, TwoDomains
from stargan.data.windows import Windows
from stargan.domains import Domains
from stargan.errors import DataError

Say = Callable[[str], None]


@dataclass(frozen=True)
class DataSet:
    """A data set with decoded images.

    Attributes:
        source: Its files, labels and splits.
        images: Its decoded images.
        values: (N, C) float32, the labels of the images in the layout of `Domains`.
    """

    source: Source
    images: cache.CachedImages
    values: np.ndarray

    def rows(self, split: str) -> np.ndarray:
        """Returns the rows of a split, without those of unreadable images and, of pairs, of their partners."""
        rows, bad = self.source.rows(split), np.array(list(self.images.bad), int)
        if self.source.kind == PAIRS:
            bad = np.concatenate([bad, self.source.partners(bad)])
        return rows[~np.isin(rows, bad)]

    def truths(self, rows: np.ndarray) -> np.ndarray | None:
        """Returns the true translations of images, (N, H, W, 3) uint8; None if the data have none."""
        return self.images.pixels[self.source.partners(rows)] if self.source.kind == PAIRS else None


def find(config: Config, folder: Path, say: Say) -> tuple[list[Source], Domains, Windows | None]:
    """Finds the data sets of a configuration, or of the only one the first window, and says what to know of them.

    Args:
        config: All settings.
        folder: The folder of the run's windows.
        say: Is called with each line.

    Returns:
        The data sets or the window; the domains of all; all windows, if the data are read in some.

    Raises:
        DataError: As `configured.find`, `windows.find` and `windows.first`.
    """
    listed = windows.find(config) if config.window else None
    if listed:
        first, domains = windows.first(config, listed, folder)
        found = [first]
    else:
        found, domains = configured.find(config)
    for source in found:
        for note in source.notes:
            say(f"{source.name}: {note}")
    shared = list(dict.fromkeys(name for label_set in domains.sets for name in label_set.shared))
    if shared:
        say(f"one label of all data sets that have it: {', '.join(shared)}; --share none keeps them apart")
    return found, domains, listed


def decode(
    found: Sequence[Source],
    domains: Domains,
    config: Config,
    listed: Windows | None,
    folder: Path,
    say: Say,
    *,
    allow_empty: bool,
) -> list[DataSet]:
    """Decodes the images of the data sets, and says which are left out.

    Args:
        found: The data sets, or the first window.
        domains: The label layout.
        config: All settings.
        listed: All windows, if the data are read in some.
        folder: The folder of the run's windows.
        say: Is called with each line.
        allow_empty: Whether a domain may have no training images.

    Raises:
        DataError: As `cache.load`, or no training image is left at all or of a domain.
    """
    first = windows.saying(folder / windows.FIRST, listed.where) if listed else contextlib.nullcontext()
    data = []
    with first:
        for index, source in enumerate(found):
            images = configured.decoded(source, config, folder if listed else None)
            for line in images.left_out(source):
                say(line)
            data.append(DataSet(source, images, domains.pad(source.labels, index)))
        for part in data:
            _check(part, say, allow_empty=allow_empty)
    return data


def _check(part: DataSet, say: Say, *, allow_empty: bool) -> None:
    """Refuses a domain that has nothing to learn from, and names those that no figure will be about."""
    if not len(part.rows("train")):
        raise DataError(f"{part.source.root}: no usable image in the training part")
    lacking = part.source.lacking(part.rows("train"))
    if lacking and not allow_empty:
        raise DataError(
            f"{part.source.root}: no training images of {'; '.join(lacking.values())}; put some into train, leave "
            "the label out with --attributes, or say --allow-empty"
        )
    unmeasured = part.source.lacking(part.rows("val"))
    if unmeasured:
        say(f"{part.source.name}: no images of {', '.join(unmeasured)} in val, on which the run is measured")


def batches(sets: Sequence[TrainingSet], domains: Domains, config: Config, seed: int, own: slice) -> Batches:
    """Returns the batches of some training images as the method draws them; `own` is as in `Batches`."""
    if config.method != "stargan":
        kind = Pairs if config.method == "pix2pix" else TwoDomains
        return kind(sets[0], domains, batch_size=config.batch_size, seed=seed, flip=config.flip)
    return Batches(
        sets,
        domains,
        batch_size=config.batch_size,
        seed=seed,
        flip=config.flip,
        targets=config.targets,
        rare=config.rare,
        own=own,
    )
