"""Evaluation classifiers: trained on real images only, and never used in the training of a model."""

import hashlib
import itertools
import json
import logging
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from stargan.data.cache import default_folder
from stargan.domains import Domains
from stargan.engine.pytorch import losses
from stargan.errors import ModelError, require
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.evaluation.tasks import Predictions
from stargan.images import to_array
from stargan.model import digest
from stargan.progress import Progress, counted
from stargan.storage import write_bytes

SIDE = 64  # pixels of the input; larger images are scaled down
STEPS, BATCH = 1500, 64
LR, WEIGHT_DECAY = 2e-3, 5e-2  # LR is the maximum of the one-cycle schedule
AVERAGING = 10  # power of the polynomial-decay average: it covers about the last tenth of the steps
VALIDATE_EVERY, MAX_VALIDATION = 100, 1000  # steps; validation images, at most a tenth of the training images
ENOUGH = 100  # validation images that, all classified correctly, end the training
PATIENCE, LESS = 4, 0.99  # validations without a lower error or a loss lower by 1 %, which end the training
WIDTHS = (24, 48, 96, 192)
VERSION = 4  # of everything above; saved weights of other versions are not used
_LOGGER = logging.getLogger(__name__)
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
            f"evaluation classifier {number} of {count}",
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
        self.log_frequencies = np.zeros(domains.num_classes, np.float32)

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
        saved = _saved(path)
        if saved is not None:
            self.network.load_state_dict(saved)
            _LOGGER.info(f"{name}: trained before, {path}")
        else:
            _LOGGER.info(f"{name}: to be trained on {counted(len(rows), 'real image')}, once; kept in {path.parent}")
            self._train(pixels, values, rows, name)
            weights = self.network.state_dict()
            digests = digest.of_arrays({name: weight.numpy() for name, weight in weights.items()}, {})
            write_bytes(path, library.save(weights, metadata={digest.ARRAYS_KEY: digests}))
        self.network.eval()
        self.log_frequencies = _log_frequencies(self.domains, values[rows])

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
        stopping, best = _Stopping(len(validation)), self._weights()
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
                progress.update(step, f"error {stopping.error:.1%}" if step > VALIDATE_EVERY else "")
                if step % VALIDATE_EVERY and step < STEPS:
                    continue
                if stopping.add(*self._validate(pixels, values, validation)):
                    best = self._weights()
                if stopping.done:
                    progress.total = step
                    break
        self.network.load_state_dict(best)
        steps = f"{step:,} steps, when it no longer improved" if stopping.done else f"all {STEPS:,} steps"
        _LOGGER.info(
            f"{name}: {stopping.error:.1%} error on {counted(len(validation), 'training image')} held back, "
            f"after {steps}"
        )

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    @torch.inference_mode()
    def _validate(self, pixels: np.ndarray, values: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
        """Returns the share of wrongly predicted label groups, and the loss."""
        self.network.eval()
        rows = np.sort(rows)
        parts = np.array_split(rows, max(1, len(rows) // 256))  # the pixels may be on disk
        logits = torch.cat([self.network(_resize(to_array(pixels[part]))) for part in parts])
        truth = values[rows]
        loss = float(losses.classification(logits, torch.from_numpy(truth), self.heads))
        own = self.domains.known(truth) & self.domains.labelled_groups(np.array(self.datasets)).any(axis=0)
        right = self.domains.agree(self.decide(logits.numpy()).natural, truth)
        return (float(1 - right[own].mean()) if own.any() else 1.0), loss

    def decide(self, logits: np.ndarray) -> Predictions:
        """The labels that logits, (N, C), speak for."""
        natural, balanced = (
            self.domains.decide(self.domains.probabilities(each)) for each in (logits, logits - self.log_frequencies)
        )
        return Predictions(natural, balanced)

    @torch.inference_mode()
    def logits(self, images: np.ndarray) -> np.ndarray:
        """The network's outputs: (N, 3, H, W) in [-1, 1] to (N, C) float32."""
        parts = [self.network(_resize(images[start : start + 256])) for start in range(0, len(images), 256)]
        return torch.cat(parts).numpy()


def _log_frequencies(domains: Domains, values: np.ndarray) -> np.ndarray:
    """What a classifier's logits contain of the frequencies of its training images (Menon et al. 2021, eq. 9).

    Args:
        domains: The label layout.
        values: (N, C) labels of the training images.

    Returns:
        (C,) the logarithms of frequencies in one-of-n groups, otherwise of odds; 0 where nothing is known.
    """
    found, known = np.zeros(values.shape[1]), domains.known(values)
    for index, (_, columns, group) in enumerate(domains.groups()):
        count = known[:, index].sum()
        if count:
            share = values[known[:, index]][:, columns].mean(axis=0).clip(0.5 / count, 1 - 0.5 / count)
            found[columns] = np.log(share) if group.categorical else np.log(share / (1 - share))
    return found.astype(np.float32)


class _Stopping:
    """Decides when a training has reached its best.

    Args:
        count: Number of validation images.

    Attributes:
        error: The lowest error so far.
        done: Whether the training can end: nothing has improved for a while, or nothing is left to improve.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.error, self._loss, self._waited = math.inf, math.inf, 0

    def add(self, error: float, loss: float) -> bool:
        """Takes the figures of one validation; returns whether no error before was lower."""
        # The loss may fall for ever where there are no errors.
        better = error < self.error or (error > 0 and loss < LESS * self._loss)
        self._waited = 0 if better else self._waited + 1
        lowest = error <= self.error
        self.error, self._loss = min(error, self.error), min(loss, self._loss)
        return lowest

    @property
    def done(self) -> bool:
        return self._waited >= PATIENCE or (self.error == 0 and self.count >= ENOUGH)


def _polynomial_decay(average: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
    """An average of all steps in which later ones have more weight (Shamir & Zhang 2013)."""
    return average + AVERAGING / (AVERAGING + int(steps)) * (new - average)


def _saved(path: Path) -> dict[str, Tensor] | None:
    """The weights in a file; None if there is none, or if it is damaged and the classifier must be trained again."""
    library = require("safetensors", "train", "read a classifier")
    try:
        with library.safe_open(path, framework="pt") as file:
            digests = digest.parse(dict(file.metadata() or {}))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, weight in weights.items():
            digest.check_array(name, weight.numpy(), digests)
    except (FileNotFoundError, ModelError, library.SafetensorError):
        return None
    return weights


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
