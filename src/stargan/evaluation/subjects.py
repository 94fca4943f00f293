"""The pictures that models are measured on: a labelled data set, or drawn faces whose true translations are known."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan import images
from stargan.config import ModelInfo
from stargan.data import cache, cartoons, sources
from stargan.data.sources import Source
from stargan.domains import Domains
from stargan.errors import DataError
from stargan.progress import Progress
from stargan.words import key

CARTOONS = "cartoons"
DRAWN_TRAIN, DRAWN_TEST = 101, 102  # seeds that nothing else draws with
DRAWN = 1500  # faces for the classifier

Truth = Callable[[int, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Subject:
    """Pictures at a model's size, labelled in a model's layout.

    Attributes:
        name: Of the data set.
        split: Which part is measured on.
        datasets: Which of the model's data sets the labels are of.
        key: Stands for the pictures and their labels.
        train: (N, H, W, 3) uint8 and (N, C) float32: real pictures of the training part.
        held: (M, H, W, 3) uint8 and (M, C) float32: those that are measured on.
        truth: From a row of `held` and (C,) values to the true translation, (H, W, 3) uint8, where it is known.
    """

    name: str
    split: str
    datasets: tuple[int, ...]
    key: str
    train: tuple[np.ndarray, np.ndarray]
    held: tuple[np.ndarray, np.ndarray]
    truth: Truth | None = None


def find(data: str, info: ModelInfo, *, split: str | None, limit: int, seed: int, max_bad: int = 10) -> Subject:
    """The pictures of a data set for one model.

    Args:
        data: A path as `--data` of `stargan train` takes it, or `cartoons`.
        info: What the model says about itself.
        split: The part to measure on; None: `test`, or `val` where there is none.
        limit: At most so many pictures of it, chosen by `seed`.
        seed: Of the choice.
        max_bad: How many unreadable pictures are left out.

    Raises:
        DataError: The data set cannot be used, knows none of the model's labels, or has no such part.
    """
    if data == CARTOONS and not Path(data).exists():
        return _drawn(info, limit, seed)
    source = sources.find(data)
    datasets, values = _labels(source, info.domains, data)
    with Progress(f"read {source.name}", len(source.files), "pictures") as progress:
        pictures = cache.load(
            source, info.image_size, info.crop, max_bad=max_bad, report=lambda done, total: progress.update(done)
        )
    bad = list(pictures.bad)
    name = split or next((part for part in ("test", "val") if len(source.rows(part))), "test")
    rows, train = (np.setdiff1d(source.rows(part), bad) for part in (name, "train"))
    for part, found in ((name, rows), ("train", train)):
        if not len(found):
            raise DataError(f"{data}: its part {part!r} has no pictures")
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    digest = hashlib.sha256(repr((source.files, info.image_size, info.crop)).encode() + values.tobytes())
    return Subject(
        source.name,
        name,
        datasets,
        digest.hexdigest(),
        (pictures.pixels[train], values[train]),
        (pictures.pixels[rows], values[rows]),
    )


def _labels(source: Source, domains: Domains, data: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Which of the model's data sets a source has all labels of, and its labels in the model's layout, (N, C)."""
    known = {key(name): column for column, name in enumerate(source.label_set.names)}
    values = np.zeros((len(source.files), domains.num_classes), np.float32)
    datasets = []
    for index, label_set in enumerate(domains.sets):
        if all(key(name) in known for name in label_set.names):
            datasets.append(index)
            values[:, domains.block(index)] = source.labels[:, [known[key(name)] for name in label_set.names]]
    if not datasets:
        lacking = [name for label_set in domains.sets for name in label_set.names if key(name) not in known]
        raise DataError(f"{data}: has no labels for {', '.join(lacking)}, which the model was trained with")
    return tuple(datasets), values


def _drawn(info: ModelInfo, limit: int, seed: int) -> Subject:
    names = {key(name): column for column, name in enumerate(cartoons.ATTRIBUTES)}
    lacking = [name for name in info.domains.names if key(name.rpartition("/")[2]) not in names]
    width, height = info.image_size
    if lacking or width != height:
        raise DataError(f"--data cartoons: the model is for {width}x{height} pictures with {', '.join(lacking)}")
    columns = [names[key(name.rpartition("/")[2])] for name in info.domains.names]

    def faces(drawn_seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        found = [cartoons.sample(drawn_seed, index) for index in range(count)]
        pixels = [np.asarray(cartoons.draw(face, labels, width)) for face, labels in found]
        return np.stack(pixels), np.stack([labels[columns] for _, labels in found]).astype(np.float32)

    def truth(row: int, values: np.ndarray) -> np.ndarray | None:
        face, labels = cartoons.sample(DRAWN_TEST + seed, row)
        labels = labels.copy()
        labels[columns] = values
        return np.asarray(cartoons.draw(face, labels, width))

    datasets = tuple(range(len(info.domains.sets)))
    with Progress("draw", 1, "sets") as progress:
        train, held = faces(DRAWN_TRAIN, DRAWN), faces(DRAWN_TEST + seed, limit)
        progress.update(1)
    return Subject(CARTOONS, "drawn", datasets, f"{CARTOONS} {DRAWN_TRAIN} {DRAWN} {width}", train, held, truth)


def prepared(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 as models take them: (N, 3, H, W) float32 in [-1, 1]."""
    return np.ascontiguousarray(images.scale(pixels.astype(np.float32)).transpose(0, 3, 1, 2))
