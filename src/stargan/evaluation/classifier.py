"""The judges of translations: classifiers trained on real pictures, which no model has ever seen."""

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
from stargan.evaluation.test_set import Subject, prepared
from stargan.progress import Progress
from stargan.storage import write_bytes

SIDE = 64  # pixels it sees; larger pictures are scaled down
STEPS, BATCH = 1500, 64
LR, DECAY = 2e-3, 5e-2  # the highest rate; the decay of weights
MEMORY = 10  # a running mean reaches back over about this part of the steps so far: a tenth
LOOK, ASIDE = 100, 1000  # steps between looks at pictures set aside, and how many these are, or a tenth
ENOUGH = 100  # pictures set aside, all told rightly, that end the training
WIDTHS = (24, 48, 96, 192)
VERSION = 3  # of all above; kept weights of another one are not used
SEEDS = 100  # of judges, for each seed that is asked for


def judges(domains: Domains, subject: Subject, count: int, seed: int) -> list["Classifier"]:
    """Classifiers that differ in all that is random in their training, trained or found ready.

    Args:
        domains: Of the model that is judged.
        subject: Its training part is what they learn from.
        count: How many.
        seed: Another one gives other classifiers.
    """
    found = [Classifier(domains, subject.datasets, SEEDS * seed + number) for number in range(count)]
    for number, judge in enumerate(found):
        judge.fit(subject.pixels, subject.values, subject.train, subject.key, f"classifier {number + 1} of {count}")
    return found


class Classifier:
    """Tells what pictures show.

    Args:
        domains: Of the model that is judged.
        datasets: Which of its data sets the pictures have labels for.
        seed: Of weights and order.
    """

    def __init__(self, domains: Domains, datasets: tuple[int, ...], seed: int = 0) -> None:
        self.domains = domains
        self.datasets = datasets
        self.heads = [head for index in datasets for head in domains.heads(index)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network: nn.Module = _network(domains.num_classes)
        self.seed = seed

    def fit(self, pixels: np.ndarray, values: np.ndarray, rows: np.ndarray, key: str, called: str) -> None:
        """Trains, or finds that this was done before.

        Args:
            pixels: (N, H, W, 3) uint8, real pictures.
            values: (N, C) what they show.
            rows: Which of them are of the training part.
            key: Stands for the pictures; kept weights are found by it.
            called: What the user is told is trained.
        """
        library = require("safetensors.torch", "train", "keep a classifier")
        path = self._path(key)
        if path.is_file():
            self.network.load_state_dict(library.load_file(path))
        else:
            self._train(pixels, values, rows, called)
            write_bytes(path, library.save(self.network.state_dict()))
        self.network.eval()

    def _path(self, key: str) -> Path:
        settings = [VERSION, key, self.seed, STEPS, LOOK, self.domains.to_json(), [vars(head) for head in self.heads]]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
        return default_folder() / f"classifier-{digest[:24]}.safetensors"

    def _train(self, pixels: np.ndarray, values: np.ndarray, rows: np.ndarray, called: str) -> None:
        """The mean of the last steps' weights judges; the best such mean on pictures set aside is kept."""
        rng = np.random.default_rng(self.seed)
        aside, rows = np.split(rng.permutation(rows), [min(ASIDE, len(rows) // 10)])
        aside = aside if len(aside) else rows
        learner = self.network.train()
        mean = AveragedModel(learner, avg_fn=_follow, use_buffers=True)
        self.network = mean.module
        optimizer = torch.optim.AdamW(learner.parameters(), weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, STEPS, cycle_momentum=False)
        best, kept = np.inf, self._weights()
        with Progress(f"train {called}", STEPS, "steps") as progress:
            for step in range(1, STEPS + 1):
                chosen = np.sort(rng.choice(rows, BATCH))
                batch = _scaled(prepared(pixels[chosen]))
                flipped = torch.from_numpy(rng.random(BATCH) < 0.5)
                batch = torch.where(flipped[:, None, None, None], batch.flip(3), batch)
                loss = losses.classification(learner(batch), torch.from_numpy(values[chosen]), self.heads)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                mean.update_parameters(learner)
                progress.update(step, f"error {best:.1%}" if step > LOOK else "")
                if step % LOOK and step < STEPS:
                    continue
                error = self._error(pixels, values, aside)
                if error <= best:
                    best, kept = error, self._weights()
                if best == 0 and len(aside) >= ENOUGH:
                    progress.total = step  # that was all
                    break
        self.network.load_state_dict(kept)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def _error(self, pixels: np.ndarray, values: np.ndarray, rows: np.ndarray) -> float:
        """Share of the groups of labels that it gets wrong."""
        self.network.eval()
        parts = np.array_split(np.sort(rows), max(1, len(rows) // 256))  # pixels may be on disk
        found = np.concatenate([self.decide(prepared(pixels[part])) for part in parts])
        own = np.isin(self.domains.group_datasets, self.datasets)
        return float(1 - self.domains.agree(found, values[np.sort(rows)])[:, own].mean())

    @torch.inference_mode()
    def decide(self, pictures: np.ndarray) -> np.ndarray:
        """What (N, 3, H, W) pictures in [-1, 1] show: (N, C) of 0 and 1."""
        parts = [self.network(_scaled(pictures[start : start + 256])) for start in range(0, len(pictures), 256)]
        return self.domains.decide(self.domains.probabilities(torch.cat(parts).numpy()))


def _follow(mean: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
    """A running mean of all steps, of which the last ones count for more."""
    return mean + MEMORY / (MEMORY + int(steps)) * (new - mean)


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


def _scaled(pictures: np.ndarray) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(pictures, np.float32))
    if max(x.shape[2:]) <= SIDE:
        return x
    factor = SIDE / max(x.shape[2:])
    return F.interpolate(x, scale_factor=factor, mode="bilinear", antialias=True)
