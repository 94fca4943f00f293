"""A look at images that are not trained on: a few figures and a sample grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from stargan import images
from stargan.domains import Domains, requests
from stargan.engine import Engine

if TYPE_CHECKING:
    from stargan.training.prepare import DataSet

IMAGES = 128  # measured each time; some seconds on a CPU
ROWS = 6  # of the sample grid


@dataclass(frozen=True)
class Validation:
    """Pictures to look at, and one change asked of each.

    Attributes:
        domains: The label layout.
        split: Which part they are of: `val`, or `train` where a data set has no other.
        pixels: (N, 3, H, W) float32 in [-1, 1].
        values: (N, C) float32, what they show.
        datasets: (N,) which data set each is of.
    """

    domains: Domains
    split: str
    pixels: np.ndarray
    values: np.ndarray
    datasets: np.ndarray

    @classmethod
    def of(cls, domains: Domains, data: "Sequence[DataSet]") -> "Validation | None":
        """Some validation images of each data set, spread evenly; training images if there are no others."""
        for split in ("val", "train"):
            chosen = [(index, part, _spread(part.rows(split), IMAGES // len(data))) for index, part in enumerate(data)]
            if any(len(rows) for _, _, rows in chosen):
                pixels = np.concatenate([part.images.pixels[rows] for _, part, rows in chosen])
                return cls(
                    domains,
                    split,
                    images.to_array(pixels),
                    np.concatenate([part.values[rows] for _, part, rows in chosen]),
                    np.concatenate([np.full(len(rows), index) for index, _, rows in chosen]),
                )
        return None

    def measure(self, engine: Engine) -> dict[str, float]:
        """Figures by name, in [0, 1] except the last; `train/` stands in the names for images of that part.

        `val/label_error`: mean error of the attribute classifier on the real images, over groups.
        `val/hit`: share of the translations in which the attribute classifier, unknown to G, finds what was asked for.
        `val/kept`: share of the other groups that it finds unchanged.
        `val/rec`: mean absolute difference after translating there and back.
        """
        known = self._known()
        wanted, asked = self._changes(known)
        translated = engine.generate(self.pixels, self.domains.labels(wanted, self.datasets))
        back = engine.generate(translated, self.domains.labels(self.values, self.datasets))
        real = self.domains.agree(self._decide(engine, self.pixels), self.values)
        found = self.domains.agree(self._decide(engine, translated), wanted)
        others = known & ~asked
        return {
            f"{self.split}/label_error": float(1 - real[known].mean()),
            f"{self.split}/hit": float(found[asked].mean()),
            f"{self.split}/kept": float(found[others].mean()) if others.any() else 1.0,
            f"{self.split}/rec": float(np.abs(back - self.pixels).mean()),
        }

    def sheet(self, engine: Engine) -> Image.Image:
        """A grid: each row one image, then that image in every domain."""
        rows = np.linspace(0, len(self.pixels) - 1, min(ROWS, len(self.pixels))).astype(int)
        cells, titles = [], ["source"]
        for row in rows:
            every = requests.every_target(self.domains, self.values[row])
            # Sources differ in what a flip turns on or off, so the title names the attribute only.
            titles = ["source", *(word.removesuffix("=0") for word, _ in every)]
            labels = np.stack([labels for _, labels in every])
            repeated = np.repeat(self.pixels[row : row + 1], len(labels), axis=0)
            cells += [self.pixels[row : row + 1], engine.generate(repeated, labels)]
        return images.grid(images.to_pixels(np.concatenate(cells)), len(titles), titles=titles)

    def _decide(self, engine: Engine, pixels: np.ndarray) -> np.ndarray:
        return self.domains.decide(self.domains.probabilities(engine.classify(pixels)))

    def _known(self) -> np.ndarray:
        """(N, number of groups): which groups each image's data set has labels for."""
        return self.domains.labelled_groups(self.datasets)

    def _changes(self, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is asked of each image: (N, C) values and (N, number of groups) which group changes."""
        wanted = self.values.copy()
        for row, (values, dataset) in enumerate(zip(self.values, self.datasets, strict=True)):
            changes = requests.single_changes(self.domains, values, int(dataset))
            wanted[row] = changes[row % len(changes)][1]
        return wanted, known & ~self.domains.agree(wanted, self.values)


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most `count` rows, spread evenly."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
