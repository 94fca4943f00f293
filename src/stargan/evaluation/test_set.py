"""The pictures that models are measured on: a labelled data set, or drawn faces whose true translations are known."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from stargan import images
from stargan.data import cache, cartoons, sources
from stargan.data.sources import Source
from stargan.domains import Domains
from stargan.domains.names import key, suggest
from stargan.errors import DataError
from stargan.model.info import ModelInfo
from stargan.progress import Progress

CARTOONS = "cartoons"
EVERY = "all"  # the name of all parts together
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
        pixels: (N, H, W, 3) uint8, perhaps memory-mapped.
        values: (N, C) float32, what they show.
        train: Rows of the training part.
        held: Rows of the M pictures that are measured on.
        truth: From one of the M and (C,) values to the true translation, (H, W, 3) uint8, or None where it is not
            known.
        groups: By label, (M,) bool: whether the picture shows it. Figures are told for either side of each.
    """

    name: str
    split: str
    datasets: tuple[int, ...]
    key: str
    pixels: np.ndarray
    values: np.ndarray
    train: np.ndarray
    held: np.ndarray
    truth: Truth | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def sources(self) -> np.ndarray:
        """(M, H, W, 3) uint8: the pictures that are measured on."""
        return np.asarray(self.pixels[self.held])

    @property
    def shown(self) -> np.ndarray:
        """(M, C) what they show."""
        return self.values[self.held]


def find(
    data: str,
    info: ModelInfo,
    *,
    split: str | None,
    limit: int,
    seed: int,
    skip: int = 0,
    max_bad: int = 10,
    groups: Sequence[str] = (),
) -> Subject:
    """The pictures of a data set for one model.

    Args:
        data: A path as `--data` of `stargan train` takes it, or `cartoons`.
        info: What the model says about itself.
        split: The part to measure on, or `all`; None: `test`, or `val` where there is none.
        limit: At most so many pictures of it, chosen by `seed`.
        seed: Of the choice.
        skip: How many of these pictures are passed over first; with the `limit` of before, none is met twice.
        max_bad: How many unreadable pictures are left out.
        groups: Labels of the data set, whether the model knows them or not, for figures of either side of each.

    Raises:
        DataError: The data set cannot be used, knows none of the model's labels or not a label of `groups`, or has
            no such part.
    """
    if data == CARTOONS and not Path(data).exists():
        return _drawn(info, limit, seed, skip, groups)
    source = sources.find(data)
    members = _members(groups, source.label_set.names, source.labels, data)
    datasets, values = _labels(source, info.domains, data)
    with Progress(f"read {source.name}", len(source.files), "pictures") as progress:
        pictures = cache.load(
            source, info.image_size, info.crop, max_bad=max_bad, report=lambda done, total: progress.update(done)
        )
    usable = info.domains.valid(values, datasets)  # data may have values of a group that the model has not
    usable[list(pictures.bad)] = False
    name = split or next((part for part in ("test", "val") if len(source.rows(part))), "test")
    held = np.flatnonzero(usable) if name == EVERY else source.rows(name)[usable[source.rows(name)]]
    train = source.rows("train")[usable[source.rows("train")]]
    for part, found in ((name, held), ("train", train)):
        if not len(found):
            raise DataError(f"{data}: its part {part!r} has no pictures")
    if skip >= len(held):
        raise DataError(f"--skip {skip}: {data} has {len(held)} pictures in its part {name!r}; must be fewer")
    held = np.sort(np.random.default_rng(seed).permutation(held)[skip : skip + limit])
    digest = hashlib.sha256(repr((source.files, info.image_size, info.crop)).encode() + values.tobytes())
    digest.update(train.tobytes())
    digest.update(pictures.pixels[:: max(1, len(values) // 100)].tobytes())  # other pictures of the same names
    return Subject(
        source.name,
        name,
        datasets,
        digest.hexdigest(),
        pictures.pixels,
        values,
        train,
        held,
        groups={name: member[held] for name, member in members.items()},
    )


def _members(groups: Sequence[str], names: Sequence[str], labels: np.ndarray, data: str) -> dict[str, np.ndarray]:
    """By label, (N,) bool: which pictures show it."""
    known = {key(name): column for column, name in enumerate(names)}
    for name in groups:
        if key(name) not in known:
            raise DataError(f"--groups {name}: {data} has no such label{suggest(name, list(names))}")
    return {names[known[key(name)]]: labels[:, known[key(name)]] > 0 for name in groups}


def _labels(source: Source, domains: Domains, data: str) -> tuple[tuple[int, ...], np.ndarray]:
    """Which of the model's data sets a source has all labels of, and its labels in the model's layout, (N, C)."""
    datasets, values = domains.match(source.label_set.names, source.labels)
    if not datasets:
        known = set(map(key, source.label_set.names))
        lacking = [name for label_set in domains.sets for name in label_set.names if key(name) not in known]
        raise DataError(f"{data}: has no labels for {', '.join(lacking)}, which the model was trained with")
    return datasets, values


def _drawn(info: ModelInfo, limit: int, seed: int, skip: int, groups: Sequence[str]) -> Subject:
    names = {key(name): column for column, name in enumerate(cartoons.ATTRIBUTES)}
    plain = [name.rpartition("/")[2] for name in info.domains.names]
    lacking = [name for name in plain if key(name) not in names]
    width, height = info.image_size
    if width != height:
        raise DataError(f"--data cartoons: they are square, the model's pictures {width}x{height}")
    if lacking:
        raise DataError(f"--data cartoons: has no labels for {', '.join(lacking)}, which the model was trained with")
    columns = np.array([names[key(name)] for name in plain])
    drawn = [(DRAWN_TRAIN, i) for i in range(DRAWN)] + [(DRAWN_TEST + seed, skip + i) for i in range(limit)]
    faces = [cartoons.sample(*lot) for lot in drawn]
    pixels = np.empty((len(drawn), height, width, 3), np.uint8)
    with Progress("draw", len(drawn), "faces") as progress:
        for row, (face, labels) in enumerate(faces):
            pixels[row] = np.asarray(cartoons.draw(face, labels, width))
            progress.update(row + 1)
    values = np.stack([labels[columns] for _, labels in faces]).astype(np.float32)
    datasets, rows = tuple(range(len(info.domains.sets))), np.arange(len(drawn))
    usable = info.domains.valid(values, datasets)
    held = rows[usable & (rows >= DRAWN)]

    def truth(index: int, wanted: np.ndarray) -> np.ndarray | None:
        face, labels = faces[held[index]]
        changed = wanted != values[held[index]]
        labels = labels.copy()
        labels[columns[changed]] = wanted[changed]
        if labels[: len(cartoons.EXCLUSIVE)].sum() != 1:  # no such face: a hair colour was only turned off
            return None
        return np.asarray(cartoons.draw(face, labels, width))

    stands = f"{CARTOONS} {DRAWN_TRAIN} {DRAWN} {width} {' '.join(info.domains.names)}"
    shown = np.stack([labels for _, labels in faces])
    members = _members(groups, cartoons.ATTRIBUTES, shown, CARTOONS)
    own = {name: member[held] for name, member in members.items()}
    return Subject(CARTOONS, "drawn", datasets, stands, pixels, values, rows[usable & (rows < DRAWN)], held, truth, own)


def prepared(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 as models take them: (N, 3, H, W) float32 in [-1, 1]."""
    return images.to_array(pixels)
