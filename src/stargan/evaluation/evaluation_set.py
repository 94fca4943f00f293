"""The images that models are evaluated on: a labelled data set, or cartoon faces whose true translations are known."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np

from stargan import images
from stargan.config.training import Direction
from stargan.data import cache, cartoons, face_sample, pairs, ranges, sources
from stargan.data.sources import Source
from stargan.domains import Domains
from stargan.domains.names import key, suggest
from stargan.errors import DataError, one_line
from stargan.model.info import ModelInfo
from stargan.progress import Progress, counted

_LOGGER = logging.getLogger(__name__)

CARTOONS = "cartoons"
ALL_SPLITS = "all"
CARTOON_TRAIN_SEED, CARTOON_TEST_SEED = 101, 102  # used nowhere else, so no model has seen these faces
CARTOON_TRAIN_FACES = 1500

Truth = Callable[[int, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class EvaluationSet:
    """Images at a model's size, labelled in a model's layout.

    Attributes:
        name: The data set's name.
        split: The split that models are evaluated on.
        datasets: Indices of those of the model's data sets that the labels belong to.
        key: A digest of the images and their labels.
        pixels: (N, H, W, 3) uint8, may be memory-mapped.
        values: (N, C) float32, the images' labels.
        train_rows: Rows of the training split.
        test_rows: Rows of the M images that models are evaluated on.
        truth: Takes an index into `test_rows` and (C,) target values; returns the true translation, (H, W, 3) uint8,
            or None if there is none. None for data without true translations.
        groups: By label, (M,) bool: the test images that have it. Figures are also given with and without each label.
    """

    name: str
    split: str
    datasets: tuple[int, ...]
    key: str
    pixels: np.ndarray
    values: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray
    truth: Truth | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def source_images(self) -> np.ndarray:
        """(M, H, W, 3) uint8: the images that models are evaluated on."""
        return np.asarray(self.pixels[self.test_rows])

    @property
    def source_values(self) -> np.ndarray:
        """(M, C) their labels."""
        return self.values[self.test_rows]

    def true_translation(self, index: int, target_values: np.ndarray) -> np.ndarray | None:
        """(H, W, 3) uint8: the true translation of a test image; None where it is not known."""
        return self.truth(index, target_values) if self.truth else None


def load(
    data: str,
    info: ModelInfo,
    *,
    split: str | None,
    limit: int,
    seed: int,
    skip: int = 0,
    max_bad: int = 10,
    groups: Sequence[str] = (),
    bins: Sequence[str] = (),
    align: bool = False,
    range: images.Range | None = None,
    say: Callable[[str], None] = _LOGGER.info,
) -> EvaluationSet:
    """Loads the images of a data set for a model.

    Args:
        data: A path, as for `stargan train --data`, or `cartoons`.
        info: The model's description.
        split: `train`, `val`, `test` or `all`; None: `test`, or `val` if there is no `test`.
        limit: Maximum number of test images; they are chosen at random.
        seed: Seed of the choice.
        skip: Number of chosen images to leave out first. `skip=100` continues where `limit=100` ended.
        max_bad: Maximum number of unreadable images, which are left out.
        groups: Labels of the data set for `EvaluationSet.groups`; the model need not know them.
        bins: Columns of numbers to cut into groups, as in training.
        align: Whether to align the largest face of each image as in training; images without a face are left out.
        range: What becomes black and white of deep samples; None: what the model says, else from the images.
        say: Is called with each line for the user; by default it is logged.

    Raises:
        DataError: The data set cannot be used, lacks labels of the model or of `groups`, or has no such split; or there
            is nothing to align.
    """
    if _drawn(data, info, align=align):
        return _cartoons(info, limit, seed, skip, groups)
    source = _find(data, bins, info, say)
    members = _members(groups, source.label_set.names, source.labels, data)
    datasets, values = _labels(source, info.domains, data)
    info = replace(info, range=ranges.of_sources([source], range or info.range, say))
    decoded = _decoded(source, info, max_bad, align)
    for line in [*source.notes, *decoded.left_out(source)]:
        say(one_line(line))  # it names files
    usable = info.domains.valid(values, datasets)  # the data may have values unknown to the model
    usable[list(decoded.bad)] = False
    split = split or next((part for part in ("test", "val") if len(source.rows(part))), "test")
    train_rows, test_rows = (_rows(source, part, usable, data) for part in ("train", split))
    if skip >= len(test_rows):
        raise DataError(
            f"--skip {skip}: {data} has {counted(len(test_rows), 'image')} in its {split!r} split; must be fewer"
        )
    test_rows = np.sort(np.random.default_rng(seed).permutation(test_rows)[skip : skip + limit])
    if info.face_crop and not align and face_sample.look([(decoded.pixels, train_rows)]).elsewhere(info.face_crop):
        say("the faces lie elsewhere than in the model's training images; --align faces would move them there")
    cut = (info.image_size, info.crop, *([info.face_crop] if align else []), *(info.range or ()))
    digest = _digest(source, cut, values, train_rows, decoded.pixels)
    members = {name: member[test_rows] for name, member in members.items()}
    rows, truth = (train_rows, test_rows), _truth(source, decoded, test_rows)
    return EvaluationSet(source.name, split, datasets, digest, decoded.pixels, values, *rows, truth, members)


def _find(data: str, bins: Sequence[str], info: ModelInfo, say: Callable[[str], None]) -> Source:
    """Reads the data set; for a model of pix2pix as pairs, if it has any."""
    if info.architecture.method != "pix2pix" or bins:
        return sources.find(data, bins=bins)
    try:
        found = [pairs.find([data], direction)[0] for direction in get_args(Direction)]
    except DataError as error:
        say(one_line(f"no true translations: {error}"))
        return sources.find(data)
    by_target = {key(source.label_set.names[0]): source for source in found}
    (target,) = info.domains.names
    if key(target) not in by_target:
        both = " and ".join(source.label_set.names[0] for source in reversed(found))
        raise DataError(f"{data}: has pairs of {both}; must be of {target}, to which the model translates")
    return by_target[key(target)]


def _truth(source: Source, decoded: cache.CachedImages, test_rows: np.ndarray) -> Truth | None:
    """The true translations of the first images of pairs; None for other data."""
    if source.kind != pairs.KIND:
        return None

    def truth(index: int, target_values: np.ndarray) -> np.ndarray | None:
        row, partner = test_rows[index], int(source.partners(test_rows[index]))
        if row > partner or partner in decoded.bad or not target_values.all():
            return None
        return np.asarray(decoded.pixels[partner])

    return truth


def _drawn(data: str, info: ModelInfo, *, align: bool) -> bool:
    """Whether the data are cartoons; also refuses to align what cannot be aligned."""
    drawn = data == CARTOONS and not Path(data).exists()
    if align and info.face_crop is None:
        raise DataError("--align faces: the model's training images were no aligned faces; leave it out")
    if align and drawn:
        raise DataError("--align faces: the cartoons need no alignment; leave it out")
    return drawn


def _decoded(source: Source, info: ModelInfo, max_bad: int, align: bool) -> cache.CachedImages:
    with Progress(f"{'align' if align else 'read'} {source.name}", len(source.files), "images") as progress:
        return cache.load(
            source,
            info.image_size,
            info.crop,
            align=info.face_crop if align else None,
            range=info.range,
            max_bad=max_bad,
            report=lambda done, total: progress.update(done),
        )


def _rows(source: Source, split: str, usable: np.ndarray, data: str) -> np.ndarray:
    rows = np.arange(len(source.files)) if split == ALL_SPLITS else source.rows(split)
    rows = rows[usable[rows]]
    if not len(rows):
        raise DataError(f"{data}: its {split!r} split has no images")
    return rows


def _digest(source: Source, cut: tuple, values: np.ndarray, train_rows: np.ndarray, pixels: np.ndarray) -> str:
    digest = hashlib.sha256(repr((source.files, *cut)).encode() + values.tobytes())
    digest.update(train_rows.tobytes())
    digest.update(pixels[:: max(1, len(values) // 100)].tobytes())  # other images may have the same file names
    return digest.hexdigest()


def _members(groups: Sequence[str], names: Sequence[str], labels: np.ndarray, data: str) -> dict[str, np.ndarray]:
    """By label, (N,) bool: the images that have it."""
    columns = {key(name): column for column, name in enumerate(names)}
    for name in groups:
        if key(name) not in columns:
            raise DataError(f"--groups {name}: {data} has no such label{suggest(name, list(names))}")
    return {names[columns[key(name)]]: labels[:, columns[key(name)]] == 1 for name in groups}


def _labels(source: Source, domains: Domains, data: str) -> tuple[tuple[int, ...], np.ndarray]:
    """The model's data sets that a source has all labels of, and its labels in the model's layout, (N, C)."""
    datasets, values = domains.match(source.label_set.names, source.labels)
    if not datasets:
        known = set(map(key, source.label_set.names))
        lacking = [name for label_set in domains.sets for name in label_set.names if key(name) not in known]
        raise DataError(f"{data}: has no labels for {', '.join(lacking)}, which the model was trained with")
    return datasets, values


# ---------------------------------------------------------------- cartoon faces


def _cartoons(info: ModelInfo, limit: int, seed: int, skip: int, groups: Sequence[str]) -> EvaluationSet:
    columns = _cartoon_columns(info)
    numbers = [(CARTOON_TRAIN_SEED, i) for i in range(CARTOON_TRAIN_FACES)]
    numbers += [(CARTOON_TEST_SEED + seed, skip + i) for i in range(limit)]
    faces = [cartoons.sample(*number) for number in numbers]
    width = info.image_size[0]
    pixels = np.empty((len(faces), width, width, 3), np.uint8)
    with Progress("draw", len(faces), "faces") as progress:
        for row, (face, labels) in enumerate(faces):
            pixels[row] = np.asarray(cartoons.draw(face, labels, width))
            progress.update(row + 1)
    values = np.stack([labels[columns] for _, labels in faces]).astype(np.float32)
    datasets, rows = tuple(range(len(info.domains.sets))), np.arange(len(faces))
    usable = info.domains.valid(values, datasets)
    train_rows, test_rows = (rows[usable & part] for part in (rows < CARTOON_TRAIN_FACES, rows >= CARTOON_TRAIN_FACES))

    def truth(index: int, target_values: np.ndarray) -> np.ndarray | None:
        face, labels = faces[test_rows[index]]
        changed = target_values != values[test_rows[index]]
        labels = labels.copy()
        labels[columns[changed]] = target_values[changed]
        if labels[: len(cartoons.EXCLUSIVE)].sum() != 1:  # a hair colour was only turned off: there is no such face
            return None
        return np.asarray(cartoons.draw(face, labels, width))

    digest = f"{CARTOONS} {CARTOON_TRAIN_SEED} {CARTOON_TRAIN_FACES} {width} {' '.join(info.domains.names)}"
    members = _members(groups, cartoons.ATTRIBUTES, np.stack([labels for _, labels in faces]), CARTOONS)
    own_groups = {name: member[test_rows] for name, member in members.items()}
    return EvaluationSet(CARTOONS, "drawn", datasets, digest, pixels, values, train_rows, test_rows, truth, own_groups)


def _cartoon_columns(info: ModelInfo) -> np.ndarray:
    """(C,) the columns of the cartoons' labels that the model's classes correspond to."""
    known = {key(name): column for column, name in enumerate(cartoons.ATTRIBUTES)}
    names = [name.rpartition("/")[2] for name in info.domains.names]
    lacking = [name for name in names if key(name) not in known]
    width, height = info.image_size
    if width != height:
        raise DataError(f"--data cartoons: cartoons are square, but the model's images are {width}x{height}")
    if lacking:
        raise DataError(f"--data cartoons: has no labels for {', '.join(lacking)}, which the model was trained with")
    return np.array([known[key(name)] for name in names])
