"""The faces of `contrast.py`: drawn ones, whose true translations are known, and photos of CelebA."""

import functools
import itertools
import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import images
from stargan.data import cartoons, sources
from stargan.data.splits import SPLITS
from stargan.domains import Domains
from stargan.domains.presets import CELEBA_AGE, CELEBA_GENDER, CELEBA_HAIR
from stargan.errors import ConfigError
from stargan.evaluation import features, metrics
from stargan.evaluation.classifier import Classifier
from stargan.progress import counted
from stargan.storage import atomic_write

SIZE = 32  # pixels
TRAIN_SEED, TEST_SEED = 11, 12
KEPT = (CELEBA_GENDER, CELEBA_AGE, "Smiling", "Eyeglasses")
"""Labels of photos that a change of hair colour should keep."""


class Faces(ABC):
    """Training and test images of k domains.

    Args:
        folder: Where the images are kept.
        names: The domains.
        count: Training images of each domain.
        tests: Test images of each domain.

    Attributes:
        metrics: What `scores` returns.
        paired: Whether true translations are known.
    """

    metrics: tuple[str, ...]
    paired: bool

    def __init__(self, folder: Path, names: tuple[str, ...], count: int, tests: int) -> None:
        self.folder, self.names, self.count, self.tests = folder, names, count, tests

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Writes the training images to a folder for each domain."""

    @abstractmethod
    def test_images(self, name: str) -> np.ndarray:
        """The test images of a domain, (N, 3, H, W) float32 in [-1, 1]."""

    @abstractmethod
    def scores(self, source: str, target: str, made: np.ndarray) -> dict[str, np.ndarray]:
        """By metric, (N,) scores of the translations of the test images of a domain."""

    def pairs(self, source: str, target: str) -> Path:
        """A folder with training images of one domain and their true translations to another."""
        raise NotImplementedError

    def training(self, *names: str) -> Path:
        """A folder with the training images of some domains, by default of all."""
        everything = self.folder / "all"
        if not everything.exists():
            with atomic_write(everything, sync=False, folder=True) as folder:
                self.write(folder)
        if not names:
            return everything
        path = self.folder / "-and-".join(names)
        if not path.exists():
            with atomic_write(path, sync=False, folder=True) as folder:
                for name in names:
                    (folder / name).mkdir()
                    for file in (everything / name).iterdir():
                        os.link(file, folder / name / file.name)
        return path

    @functools.cache  # noqa: B019 - there is one object, for the whole program
    def training_features(self, name: str) -> np.ndarray:
        """(N, D) features of the training images of a domain."""
        files = sorted((self.training() / name).iterdir())
        return features.pooled(images.to_array([images.read(file, (SIZE, SIZE)) for file in files]))


class DrawnFaces(Faces):
    """Faces with k hair colours, or with hair colours and glasses.

    Arguments are those of `Faces`, with the number of domains, 3 to 8.
    """

    metrics = ("PSNR", "error")
    paired = True

    def __init__(self, folder: Path, domains: int, count: int, tests: int) -> None:
        self.fixed = _fixed_labels(domains)
        super().__init__(folder, tuple(self.fixed), count, tests)

    def write(self, folder: Path) -> None:
        """No face is in two domains."""
        for place, name in enumerate(self.names):
            (folder / name).mkdir()
            for index in range(place * self.count, (place + 1) * self.count):
                self.draw(TRAIN_SEED, index, name).save(folder / name / f"{index:05}.png")

    def pairs(self, source: str, target: str) -> Path:
        """The faces that `training` has in the first of the two domains."""
        path = self.folder / f"{source}-to-{target}"
        first = self.names.index(source) * self.count
        if not path.exists():
            with atomic_write(path, sync=False, folder=True) as folder:
                for name in (source, target):
                    (folder / name).mkdir()
                    for index in range(first, first + self.count):
                        self.draw(TRAIN_SEED, index, name).save(folder / name / f"{index:05}.png")
        return path

    def draw(self, seed: int, index: int, name: str) -> Image.Image:
        """A face in one of the domains."""
        face, labels = cartoons.sample(seed, index)
        changed = dict(zip(cartoons.ATTRIBUTES, labels.tolist(), strict=True)) | self.fixed[name]
        return cartoons.draw(face, changed, SIZE)

    @functools.cache  # noqa: B019
    def test_images(self, name: str) -> np.ndarray:
        """All domains have the same faces, so the test images of one are the true translations of the others."""
        return images.to_array([self.draw(TEST_SEED, index, name) for index in range(self.tests)])

    def scores(self, source: str, target: str, made: np.ndarray) -> dict[str, np.ndarray]:
        """PSNR to the true translations, and whether the true image of another domain is nearer than that."""
        distances = [np.square(made - self.test_images(name)).mean((1, 2, 3)) for name in self.names]
        wrong = np.argmin(distances, axis=0) != self.names.index(target)
        return {"PSNR": metrics.psnr(made, self.test_images(target)), "error": wrong.astype(float)}


def _fixed_labels(domains: int) -> dict[str, dict[str, int]]:
    """The labels of a drawn face that each domain fixes; no hat hides the hair."""
    hair = {
        name: {"Wearing_Hat": 0} | {other: int(other == name) for other in cartoons.EXCLUSIVE}
        for name in cartoons.EXCLUSIVE
    }
    if domains > len(hair):
        hair = {
            f"{name}-{word}": {**on, "Eyeglasses": state}
            for name, on in hair.items()
            for state, word in enumerate(("plain", "glasses"))
        }
    return dict(itertools.islice(hair.items(), domains))


class CelebAHair(Faces):
    """Photos of CelebA with black, blond or brown hair; test images are those of its validation split.

    Arguments are those of `Faces`, with the folder of CelebA.

    Raises:
        StarganError: The data cannot be read, or there are too few photos of a domain.
    """

    metrics = ("error", "kept")
    paired = False

    def __init__(self, folder: Path, data: str, count: int, tests: int) -> None:
        super().__init__(folder, CELEBA_HAIR, count, tests)
        self.source = sources.find(data, (*CELEBA_HAIR, *KEPT), (",".join(CELEBA_HAIR),))
        self.domains = Domains((self.source.label_set,))
        for split, needed in (("train", count), ("val", tests)):
            for name in self.names:
                found = len(self._all_rows(split, name))
                if found < needed:
                    raise ConfigError(f"{data}: {counted(found, 'image')} of {name} in {split}; must be {needed}")

    def _all_rows(self, split: str, name: str) -> np.ndarray:
        column = self.source.label_set.names.index(name)
        return np.flatnonzero((self.source.labels[:, column] == 1) & (self.source.split == SPLITS.index(split)))

    def _rows(self, split: str, name: str) -> np.ndarray:
        return self._all_rows(split, name)[: self.count if split == "train" else self.tests]

    def _read(self, rows: np.ndarray) -> list[Image.Image]:
        return [images.read(self.source.path(row), (SIZE, SIZE)) for row in rows]

    def write(self, folder: Path) -> None:
        """The first images in the order of the list."""
        for name in self.names:
            (folder / name).mkdir()
            for row in self._rows("train", name):
                self._read(np.array([row]))[0].save(folder / name / f"{row:06}.png")

    @functools.cache  # noqa: B019
    def test_images(self, name: str) -> np.ndarray:
        """Each domain has other people."""
        return images.to_array(self._read(self._rows("val", name)))

    @functools.cached_property
    def classifier(self) -> Classifier:
        """An evaluation classifier, trained on the same images."""
        rows = np.concatenate([self._rows("train", name) for name in self.names])
        pixels = images.to_pixels(images.to_array(self._read(rows)))
        made = Classifier(self.domains, (0,))
        key = f"contrast-{SIZE}-{self.source.root}-{self.count}"
        made.fit(pixels, self.source.labels[rows].astype(np.float32), np.arange(len(rows)), key, "classifier")
        return made

    def scores(self, source: str, target: str, made: np.ndarray) -> dict[str, np.ndarray]:
        """Whether the classifier finds another hair colour, and the share of the other labels that it finds again."""
        values = self.source.labels[self._rows("val", source)].astype(np.float32)
        hair = [self.source.label_set.names.index(name) for name in self.names]
        targets = values.copy()
        targets[:, hair] = np.array(self.names) == target
        found = self.classifier.decide(self.classifier.logits(made))
        right = self.domains.agree(found.balanced, targets)
        kept = self.domains.agree(found.natural, targets)
        is_hair = self._hair_group()
        return {"error": (~right[:, is_hair]).any(1).astype(float), "kept": kept[:, ~is_hair].mean(1)}

    def _hair_group(self) -> np.ndarray:
        return np.array([set(group.names) == set(self.names) for group in self.source.label_set.groups])
