"""Figures and a sample grid on images that are not used for training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from stargan import images
from stargan.config import Architecture
from stargan.domains import Domains, calibration, requests
from stargan.engine import Engine
from stargan.model import run_folder
from stargan.training.data_sets import DataSet

IMAGES = 128  # number of images to measure on, which takes a few seconds on a CPU
CALIBRATION_IMAGES = 2000  # number of images for the temperatures, which are measured once
ROWS = 6  # rows of the sample grid


@dataclass(frozen=True)
class Validation:
    """The images to measure on; the figures translate each of them with one change.

    Attributes:
        architecture: The sizes of the networks.
        domains: The label layout.
        split: The split of the images: `val`, or `train` if no data set has validation images.
        pixels: (N, 3, H, W) float32 in [-1, 1], the images.
        values: (N, C) float32, the labels of the images.
        datasets: (N,), the index of each image's data set.
        data: The data sets that the images are from.
        truths: (N, 3, H, W) float32 in [-1, 1], the true translations, if the data are pairs.
    """

    architecture: Architecture
    domains: Domains
    split: str
    pixels: np.ndarray
    values: np.ndarray
    datasets: np.ndarray
    data: Sequence[DataSet]
    truths: np.ndarray | None = None

    @classmethod
    def of(cls, architecture: Architecture, domains: Domains, data: Sequence[DataSet]) -> "Validation | None":
        """Selects validation images, spread evenly over each data set; training images if there are none."""
        for split in ("val", "train"):
            chosen = [
                (index, part, _spread(_translated(domains, part, split), IMAGES // len(data)))
                for index, part in enumerate(data)
            ]
            if any(len(rows) for _, _, rows in chosen):
                pixels = np.concatenate([part.images.pixels[rows] for _, part, rows in chosen])
                truths = chosen[0][1].truths(chosen[0][2])
                return cls(
                    architecture,
                    domains,
                    split,
                    images.to_array(pixels),
                    np.concatenate([part.values[rows] for _, part, rows in chosen]),
                    np.concatenate([np.full(len(rows), index) for index, _, rows in chosen]),
                    data,
                    None if truths is None else images.to_array(truths),
                )
        return None

    def measure(self, engine: Engine) -> tuple[dict[str, float], dict[str, float]]:
        """Measures figures; all but `val/rec` are in [0, 1]. On training images the names start with `train/`.

        `val/label_error`: mean error of the attribute classifier on the real images, over groups.
        `val/hit`: fraction of the translations that the attribute classifier, which G is not trained with, assigns to
            the target domain.
        `val/kept`: fraction of the other groups that it finds unchanged.
        `val/rec`: mean absolute difference after translating to the target and back; of pairs, to the truth.

        Returns:
            These, and the parts of `val/hit` by request, such as `val/hit/Male=0`, which are of a few images each.
        """
        known = self._known()
        words, targets, changed = self._changes(known)
        labels = self.domains.labels(targets, self.datasets)
        translated = engine.generate(self.pixels, self._condition(labels, self.values))
        real_correct = self.domains.agree(self._decide(engine, self.pixels), self.values)
        correct = self.domains.agree(self._decide(engine, translated), targets)
        others = known & ~changed
        totals = {
            f"{self.split}/label_error": float(1 - real_correct[known].mean()),
            f"{self.split}/hit": float(correct[changed].mean()),
            f"{self.split}/kept": float(correct[others].mean()) if others.any() else 1.0,
            f"{self.split}/rec": self._difference(engine, translated, targets),
        }
        by_request = {
            f"{self.split}/hit/{word}": float(correct[rows][changed[rows]].mean())
            for word in requests.every_word(self.domains)
            if (rows := np.flatnonzero(words == word)).size
        }
        return totals, by_request

    def _difference(self, engine: Engine, translated: np.ndarray, targets: np.ndarray) -> float:
        """The mean absolute difference of translations to the truth, or of their way back to the images."""
        if self.truths is not None:
            return float(np.abs(translated - self.truths).mean())
        labels = self.domains.labels(self.values, self.datasets)
        return float(np.abs(engine.generate(translated, self._condition(labels, targets)) - self.pixels).mean())

    def temperatures(self, engine: Engine) -> tuple[float, ...]:
        """Measures the temperatures of the attribute classifier, see `calibration`; none without validation images."""
        if self.split != "val":
            return ()
        logits, values, datasets = [], [], []
        for index, part in enumerate(self.data):
            rows = _spread(part.rows("val"), CALIBRATION_IMAGES // len(self.data))
            for start in range(0, len(rows), IMAGES):  # bounds the memory
                chosen = rows[start : start + IMAGES]
                logits.append(engine.classify(images.to_array(part.images.pixels[chosen])))
                values.append(part.values[chosen])
                datasets.append(np.full(len(chosen), index))
        return calibration.temperatures(self.domains, *map(np.concatenate, (logits, values, datasets)))

    def sheet(self, engine: Engine) -> Image.Image:
        """Draws a grid; each row has an image, its translations to every domain, and the true one if it is known."""
        rows = np.linspace(0, len(self.pixels) - 1, min(ROWS, len(self.pixels))).astype(int)
        cells, titles = [], run_folder.sample_titles(self.domains, with_truth=self.truths is not None)
        for row in rows:
            every = requests.every_target(self.domains, self.values[row])
            labels = np.stack([labels for _, labels in every])
            repeated = np.repeat(self.pixels[row : row + 1], len(labels), axis=0)
            own = np.repeat(self.values[row : row + 1], len(labels), axis=0)
            cells += [self.pixels[row : row + 1], engine.generate(repeated, self._condition(labels, own))]
            cells += [] if self.truths is None else [self.truths[row : row + 1]]
        return images.grid(images.to_pixels(np.concatenate(cells)), len(titles), titles=titles)

    def _condition(self, labels: np.ndarray, source_values: np.ndarray) -> np.ndarray:
        return self.architecture.condition(self.domains, labels, source_values)

    def _decide(self, engine: Engine, pixels: np.ndarray) -> np.ndarray:
        return self.domains.decide(self.domains.probabilities(engine.classify(pixels)))

    def _known(self) -> np.ndarray:
        """Returns for which groups each image has labels, (N, number of groups) bool."""
        return self.domains.labelled_groups(self.datasets) & self.domains.known(self.values)

    def _changes(self, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chooses a change for each image: (N,) words, (N, C) target values, (N, number of groups) changed groups."""
        words, targets = [], self.values.copy()
        for row, (values, dataset) in enumerate(zip(self.values, self.datasets, strict=True)):
            changes = requests.single_changes(self.domains, values, int(dataset))
            word, targets[row], _ = changes[row % len(changes)]
            words.append(word)
        return np.array(words), targets, known & ~self.domains.agree(targets, self.values)


def _translated(domains: Domains, part: DataSet, split: str) -> np.ndarray:
    """Returns the rows of a split without those of which no translation starts: of pairs, the translations."""
    rows = part.rows(split)
    return rows[: len(rows) // 2] if part.truths(rows) is not None else rows


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """Returns at most `count` of the rows, spread evenly."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
