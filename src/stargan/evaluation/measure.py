"""Measures a model: every picture translated to every task of a protocol, and all that can be said of the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np

from stargan import images
from stargan.config import ModelInfo
from stargan.domains import Domains
from stargan.errors import DataError
from stargan.evaluation import features, metrics
from stargan.evaluation.metrics import Figure
from stargan.evaluation.subjects import Subject, prepared
from stargan.progress import Progress
from stargan.protocols import Protocol

CHUNK = 16  # pictures that are translated together
REFERENCES = 2048  # real pictures that sets are compared with, at most
ENOUGH_FOR_FID = 2048  # pictures in both sets; the paper's own bias is that of 2,000
ALL = "all"


@dataclass(frozen=True)
class Metric:
    """What a figure means; `better` is 1 where more is better, -1 where less is, 0 where neither holds."""

    definition: str
    better: int


DEFINITIONS: dict[str, Metric] = {
    "error": Metric("share of translations in which the classifier does not find what was asked for", -1),
    "kept": Metric("share of the labels that were not asked for which the classifier finds as they were", 1),
    "kid": Metric(f"kernel distance to real pictures of the target domain, x 1000, in {features.NAME} features", -1),
    "fid": Metric(f"Frechet distance to them, in {features.NAME} features; not the paper's FID", -1),
    "rec_l1": Metric("mean absolute difference after translating there and back, in units of [-1, 1]", -1),
    "rec_psnr": Metric("PSNR after translating there and back, dB", 1),
    "rec_ssim": Metric("SSIM after translating there and back", 1),
    "rec_perceptual": Metric(f"perceptual distance after translating there and back, {features.NAME} features", -1),
    "background": Metric("mean absolute change beside and above the face, in units of [-1, 1]", -1),
    "sharpness": Metric("variance of the Laplacian, relative to the source's; 1 is as sharp", 0),
    "truth_psnr": Metric("PSNR to the true translation, dB", 1),
    "truth_ssim": Metric("SSIM to the true translation", 1),
    "truth_perceptual": Metric(f"perceptual distance to the true translation, {features.NAME} features", -1),
    "idle_psnr": Metric("PSNR of the untouched source to the true translation, dB: doing nothing", 0),
    "idle_ssim": Metric("SSIM of the untouched source to the true translation: doing nothing", 0),
    "idle_perceptual": Metric("perceptual distance of the untouched source to the true translation: doing nothing", 0),
}


class Model(Interface):
    """What is measured: a `Translator`, or anything that translates as it does."""

    info: ModelInfo

    @property
    def domains(self) -> Domains:
        """What it can be asked for."""
        ...

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """As `Translator.generate`."""
        ...


class Judge(Interface):
    """Tells what pictures show."""

    def decide(self, pictures: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) float32 in [-1, 1] to (N, C) of 0 and 1."""
        ...


@dataclass(frozen=True)
class Asked:
    """All translations that a protocol asks of a subject, M of them.

    Attributes:
        tasks: (M,) names of tasks.
        rows: (M,) which picture.
        wanted: (M, C) what the translation shall show.
        datasets: (M,) which data set that is of.
    """

    tasks: np.ndarray
    rows: np.ndarray
    wanted: np.ndarray
    datasets: np.ndarray


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
        figures: By task, and `all`; then by metric.
        each: By metric, one number for each translation, (M,).
        translated: (M, H, W, 3) uint8.
        asked: What was asked for.
        real_error: The classifier's error on the real pictures themselves.
        real_kid: The kernel distance of the real pictures to the reference: what a perfect model could reach.
    """

    figures: dict[str, dict[str, Figure]]
    each: dict[str, np.ndarray]
    translated: np.ndarray
    asked: Asked
    real_error: Figure
    real_kid: Figure | None


def ask(subject: Subject, protocol: Protocol) -> Asked:
    """Every task of every picture; tasks of data sets that the subject has no labels of are left out.

    Raises:
        DataError: Nothing is asked of any picture: none is neutral, for example.
    """
    found = [
        (task, row, wanted, dataset)
        for row, values in enumerate(subject.held[1])
        for task, wanted, dataset in protocol.targets(values)
        if dataset in subject.datasets
    ]
    if not found:
        raise DataError(f"{subject.name}: --protocol {protocol.name} asks nothing of any of these pictures")
    tasks, rows, wanted, datasets = zip(*found, strict=True)
    return Asked(np.array(tasks), np.array(rows, int), np.array(wanted, np.float32), np.array(datasets, int))


@dataclass(frozen=True)
class Reference:
    """Real pictures of the training part, as features.

    Attributes:
        features: (R, D).
        values: (R, C) what they show.
        real: The kernel distance of the held-out real pictures to them: what a perfect model could reach.
    """

    features: np.ndarray
    values: np.ndarray
    real: Figure


def refer(subject: Subject, seed: int) -> Reference | None:
    """The reference of a subject, the same for all models of one size; None where no features are to be had."""
    if not features.installed():
        return None
    pixels, values = subject.train
    chosen = np.sort(np.random.default_rng(seed).permutation(len(pixels))[:REFERENCES])
    reference = features.pooled(prepared(pixels[chosen]))
    real = metrics.kid(features.pooled(prepared(subject.held[0])), reference, seed)
    return Reference(reference, values[chosen], _thousandths(real))


def measure(
    model: Model, subject: Subject, protocol: Protocol, judge: Judge, reference: Reference | None, seed: int
) -> Measured:
    """Measures one model.

    Args:
        model: Translates.
        subject: The pictures, at its size and in its layout.
        protocol: What is asked of them.
        judge: Tells what translations show.
        reference: What sets of translations are compared with.
        seed: Of the intervals.
    """
    asked, domains, values = ask(subject, protocol), model.domains, subject.held[1]
    source = prepared(subject.held[0])
    translated = np.empty((len(asked.rows), *subject.held[0].shape[1:]), np.uint8)
    each = {name: np.full(len(asked.rows), np.nan) for name in DEFINITIONS if name not in ("kid", "fid")}
    found = np.zeros((len(asked.rows), domains.num_classes), np.float32)
    pooled = []
    with Progress("translate and compare", len(asked.rows), "translations") as progress:
        for start in range(0, len(asked.rows), CHUNK):
            part = slice(start, start + CHUNK)
            rows = asked.rows[part]
            made = model.generate(source[rows], domains.labels(asked.wanted[part], asked.datasets[part]))
            translated[part] = images.to_pixels(made)
            made = prepared(translated[part])  # as it would be read from a file
            back = model.generate(made, domains.labels(values[rows], asked.datasets[part]))
            found[part] = judge.decide(made)
            for name, numbers in _compare(source[rows], made, back).items():
                each[name][part] = numbers
            for name, numbers in _against_truth(subject, rows, asked.wanted[part], source[rows], made).items():
                each[name][part] = numbers
            if reference is not None:
                pooled.append(features.pooled(made))
            progress.update(min(start + CHUNK, len(asked.rows)))
    each["error"], each["kept"] = _judged(domains, subject, asked, found)
    figures = _figures(asked, each, protocol.tasks, seed)
    if reference is not None:
        _add_distances(figures, domains, subject, asked, np.concatenate(pooled), reference, seed)
    agree = domains.agree(judge.decide(source), values)[:, _known(domains, subject.datasets)]
    real_error = metrics.mean(1 - agree.mean(1), np.arange(len(agree)), seed)
    return Measured(figures, each, translated, asked, real_error, reference.real if reference else None)


def _compare(source: np.ndarray, made: np.ndarray, back: np.ndarray) -> dict[str, np.ndarray]:
    found = {
        "rec_l1": metrics.l1(source, back),
        "rec_psnr": metrics.psnr(source, back),
        "rec_ssim": metrics.ssim(source, back),
        "background": metrics.background(source, made),
        "sharpness": metrics.sharpness(made) / np.maximum(metrics.sharpness(source), 1e-8),
    }
    if features.installed():
        found["rec_perceptual"] = features.perceptual(source, back)
    return found


def _against_truth(
    subject: Subject, rows: np.ndarray, wanted: np.ndarray, source: np.ndarray, made: np.ndarray
) -> dict[str, np.ndarray]:
    if subject.truth is None:
        return {}
    truths = [subject.truth(int(row), values) for row, values in zip(rows, wanted, strict=True)]
    truth = prepared(np.stack([t for t in truths if t is not None]))
    found = {}
    for name, pictures in (("truth", made), ("idle", source)):
        found[f"{name}_psnr"] = metrics.psnr(pictures, truth)
        found[f"{name}_ssim"] = metrics.ssim(pictures, truth)
        if features.installed():
            found[f"{name}_perceptual"] = features.perceptual(pictures, truth)
    return found


def _known(domains: Domains, datasets: tuple[int, ...]) -> np.ndarray:
    """(number of groups,): which groups these data sets have labels for."""
    return np.array([dataset in datasets for dataset, _, _ in domains.groups()])


def _judged(domains: Domains, subject: Subject, asked: Asked, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each translation whether one of the groups asked for is wrong, and the share of the others that are right."""
    values = subject.held[1][asked.rows]
    owners = np.array([dataset for dataset, _, _ in domains.groups()])
    own = owners[None] == asked.datasets[:, None]
    changed = own & ~domains.agree(asked.wanted, values)
    right = domains.agree(found, asked.wanted)
    others = own & ~changed
    error = (changed & ~right).any(1).astype(float)
    count = others.sum(1)
    kept = np.divide((others & right).sum(1), count, out=np.full(len(count), np.nan), where=count > 0)
    return error, kept


def _figures(
    asked: Asked, each: Mapping[str, np.ndarray], tasks: Sequence[str], seed: int
) -> dict[str, dict[str, Figure]]:
    figures: dict[str, dict[str, Figure]] = {}
    for task in (ALL, *(task for task in tasks if task in asked.tasks)):
        rows = np.flatnonzero(asked.tasks == task) if task != ALL else np.arange(len(asked.tasks))
        measured = {name: numbers for name, numbers in each.items() if np.isfinite(numbers).any()}
        figures[task] = {n: metrics.mean(numbers[rows], asked.rows[rows], seed) for n, numbers in measured.items()}
    return figures


def _add_distances(
    figures: dict[str, dict[str, Figure]],
    domains: Domains,
    subject: Subject,
    asked: Asked,
    translated: np.ndarray,
    reference: Reference,
    seed: int,
) -> None:
    """Adds KID, and FID where there are enough pictures."""
    for task, measured in figures.items():
        rows, like = np.arange(len(asked.tasks)), np.arange(len(reference.features))
        if task != ALL:
            rows = np.flatnonzero(asked.tasks == task)
            like = _like(domains, subject, asked, rows, reference.values)
        measured["kid"] = _thousandths(metrics.kid(translated[rows], reference.features[like], seed))
        if min(len(rows), len(like)) >= ENOUGH_FOR_FID:
            value = metrics.fid(translated[rows], reference.features[like])
            measured["fid"] = Figure(value, np.nan, np.nan, min(len(rows), len(like)))


def _like(domains: Domains, subject: Subject, asked: Asked, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The reference pictures that show, in the groups that a task changes, what one of its translations shall show."""
    changed = np.any(~domains.agree(asked.wanted[rows], subject.held[1][asked.rows[rows]]), axis=0)
    spans = [slice(start, start + len(group.names)) for _, start, group in domains.groups()]
    columns = np.concatenate([np.arange(domains.num_classes)[s] for s, c in zip(spans, changed, strict=True) if c])
    combinations = {tuple(row) for row in asked.wanted[rows][:, columns].tolist()}
    return np.array([i for i, row in enumerate(values[:, columns].tolist()) if tuple(row) in combinations], int)


def _thousandths(figure: Figure) -> Figure:
    return Figure(1000 * figure.value, 1000 * figure.low, 1000 * figure.high, figure.count)
