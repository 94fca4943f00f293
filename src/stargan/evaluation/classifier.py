"""Evaluation classifiers: trained on real images only, and never used in the training of a model."""

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stargan.data.cache import default_folder
from stargan.domains import Domains
from stargan.engine.pytorch import losses
from stargan.errors import require
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.images import to_array
from stargan.progress import Progress
from stargan.storage import write_bytes

SIDE = 64  # pixels of the input; larger images are scaled down
STEPS, BATCH = 1500, 64
LR, WEIGHT_DECAY = 2e-3, 5e-2  # LR is the maximum of the one-cycle schedule
AVERAGING = 10  # power of the polynomial-decay average: it covers about the last tenth of the steps
VALIDATE_EVERY, MAX_VALIDATION = 100, 1000  # steps; validation images, at most a tenth of the training images
ENOUGH = 100  # validation images that, all classified correctly, end the training
WIDTHS = (24, 48, 96, 192)
VERSION = 3  # of everything above; saved weights of other versions are not used
MAX_CLASSIFIERS = 100  # classifier n of seed s has the seed 100 s + n, so that seeds do not share classifiers


def evaluation_classifiers(
    domains: Domains, evaluation_set: EvaluationSet, count: int, seed: int
) -> list["Classifier"]:
    """Trains classifiers that differ in everything random, or loads them if they were trained before.

    Args:
        domains: Domains of the evaluated model.
        evaluation_set: They are trained on its training split.
        count: Number of classifiers, at most `MAX_CLASSIFIERS`.
        seed: Different seeds give different classifiers.
    """
    classifiers = [Classifier(domains, evaluation_set.datasets, MAX_CLASSIFIERS * seed + n) for n in range(count)]
    for number, classifier in enumerate(classifiers, 1):
        classifier.fit(
            evaluation_set.pixels,
            evaluation_set.values,
            evaluation_set.train_rows,
            evaluation_set.key,
            f"classifier {number} of {count}",
        )
    return classifiers


class Classifier:
    """Predicts the labels of images.

    Args:
        domains: Domains of the evaluated model.
        datasets: Indices of those of its data sets that the images have labels for.
        seed: Seed of the weights and of the order of images.
    """

    def __init__(self, domains: Domains, datasets: tuple[int, ...], seed: int = 0) -> None:
        self.domains = domains
        self.datasets = datasets
        self.heads = list(dict.fromkeys(head for index in datasets for head in domains.heads(index)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network: nn.Module = _network(domains.num_classes)
        self.seed = seed

    def fit(self, pixels: np.ndarray, values: np.ndarray, rows: np.ndarray, key: str, name: str) -> None:
        """Trains the classifier, or loads its weights if it was trained before.

        Args:
            pixels: (N, H, W, 3) uint8, real images.
            values: (N, C) their labels.
            rows: Rows of the training split.
            key: A digest of the images; saved weights are found by it.
            name: Name for the progress display.
        """
        library = require("safetensors.torch", "train", "save a classifier")
        path = self._path(key)
        if path.is_file():
            self.network.load_state_dict(library.load_file(path))
        else:
            self._train(pixels, values, rows, name)
            write_bytes(path, library.save(self.network.state_dict()))
        self.network.eval()

    def _path(self, key: str) -> Path:
        heads = [vars(head) for head in self.heads]
        settings = [VERSION, key, self.seed, STEPS, VALIDATE_EVERY, self.domains.layout, heads]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
        return default_folder() / f"classifier-{digest[:24]}.safetensors"

    def _train(self, pixels: np.ndarray, values: np.ndarray, rows: np.ndarray, name: str) -> None:
        """Keeps the average of the latest weights as it was at the lowest validation error."""
        rng = np.random.default_rng(self.seed)
        validation, rows = np.split(rng.permutation(rows), [min(MAX_VALIDATION, len(rows) // 10)])
        validation = validation if len(validation) else rows
        network = self.network.train()
        average = AveragedModel(network, avg_fn=_polynomial_decay, use_buffers=True)
        self.network = average.module
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, STEPS, cycle_momentum=False)
        lowest, best = np.inf, self._weights()
        with Progress(f"train {name}", STEPS, "steps") as progress:
            for step in range(1, STEPS + 1):
                chosen = np.sort(rng.choice(rows, BATCH))
                images = _flip(_resize(to_array(pixels[chosen])), rng)
                loss = losses.classification(network(images), torch.from_numpy(values[chosen]), self.heads)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                average.update_parameters(network)
                progress.update(step, f"error {lowest:.1%}" if step > VALIDATE_EVERY else "")
                if step % VALIDATE_EVERY and step < STEPS:
                    continue
                error = self._error(pixels, values, validation)
                if error <= lowest:
                    lowest, best = error, self._weights()
                if lowest == 0 and len(validation) >= ENOUGH:
                    progress.total = step
                    break
        self.network.load_state_dict(best)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def _error(self, pixels: np.ndarray, values: np.ndarray, rows: np.ndarray) -> float:
        """Share of wrongly predicted label groups."""
        self.network.eval()
        parts = np.array_split(np.sort(rows), max(1, len(rows) // 256))  # the pixels may be on disk
        predictions = np.concatenate([self.predict(to_array(pixels[part])) for part in parts])
        truth = values[np.sort(rows)]
        own = self.domains.known(truth) & self.domains.labelled_groups(np.array(self.datasets)).any(axis=0)
        return float(1 - self.domains.agree(predictions, truth)[own].mean()) if own.any() else 1.0

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Predicts labels: (N, 3, H, W) in [-1, 1] to (N, C) of 0 and 1."""
        parts = [self.network(_resize(images[start : start + 256])) for start in range(0, len(images), 256)]
        return self.domains.decide(self.domains.probabilities(torch.cat(parts).numpy()))


def _polynomial_decay(average: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
    """An average of all steps in which later ones have more weight (Shamir & Zhang 2013)."""
    return average + AVERAGING / (AVERAGING + int(steps)) * (new - average)


class _Block(nn.Module):
    """Two convolutions 3x3, the first of stride 2, beside a shortcut (He et al. 2016)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, 2, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Conv2d(before, after, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.shortcut(x))


def _network(num_classes: int) -> nn.Sequential:
    stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, 2, 1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True))
    blocks = [_Block(before, after) for before, after in itertools.pairwise(WIDTHS)]
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], num_classes))


def _resize(images: np.ndarray) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(images, np.float32))
    if max(x.shape[2:]) <= SIDE:
        return x
    return F.interpolate(x, scale_factor=SIDE / max(x.shape[2:]), mode="bilinear", antialias=True)


def _flip(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirrors each image with probability one half."""
    flipped = torch.from_numpy(rng.random(len(images)) < 0.5)
    return torch.where(flipped[:, None, None, None], images.flip(3), images)
