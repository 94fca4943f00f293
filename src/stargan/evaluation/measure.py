"""Measures a model: translates every test image to every task of a protocol and computes all metrics."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol as Interface

import numpy as np

from stargan.domains import Domains
from stargan.domains.protocols import Protocol
from stargan.evaluation import distances, face_parts, features, identity, intervals, metrics, odd_colours
from stargan.evaluation.distances import MIN_FOR_FID, MIN_FOR_KID, ReferenceFeatures
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.evaluation.identity import FaceRecogniser
from stargan.evaluation.matched import SHARE
from stargan.evaluation.tasks import ALL, Predictions, RequestedTranslations, request_translations, score_predictions
from stargan.faces import FaceCrop
from stargan.images import to_array, to_pixels
from stargan.model.figure import Figure
from stargan.progress import Progress

BATCH = 16  # images that are translated at a time

Figures = dict[str, dict[str, Figure]]


class Model(Interface):
    """What can be measured: a `Translator`, or anything with these two members."""

    @property
    def domains(self) -> Domains:
        """The model's domains."""
        ...

    def generate(self, images: np.ndarray, labels: np.ndarray, source_values: np.ndarray | None = None) -> np.ndarray:
        """As `Translator.generate`."""
        ...


class LabelPredictor(Interface):
    """An evaluation classifier."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) float32 in [-1, 1] to (N, C)."""
        ...

    def decide(self, logits: np.ndarray) -> Predictions:
        """The labels that logits, (N, C), speak for."""
        ...


@dataclass(frozen=True)
class Measurements:
    """The measurements of M translations.

    Attributes:
        figures: By task, and `all`, then by metric.
        values: By metric, one number for each translation, (M,), or for each and each classifier, (M, K); NaN where
            there is none.
        tasks: (M,) the task of each translation.
        rows: (M,) the source image of each translation.
        images: Returns the source, the translation and, if it is known, the true translation of a translation's
            index, each (H, W, 3) uint8.
        groups: By label of the source images, `Male`, and its absence, `Male=0`, then by metric, over all tasks.
        classifier_errors: By label group, the evaluation classifiers' error on the real images.
        not_measured: By metric, or several metrics, the reason why there is no figure.
    """

    figures: Figures
    values: dict[str, np.ndarray]
    tasks: np.ndarray
    rows: np.ndarray
    images: Callable[[int], list[np.ndarray]]
    groups: Figures = field(default_factory=dict)
    classifier_errors: dict[str, Figure] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)


def measure(
    model: Model,
    evaluation_set: EvaluationSet,
    protocol: Protocol,
    classifiers: Sequence[LabelPredictor],
    references: Sequence[ReferenceFeatures],
    seed: int,
    recogniser: FaceRecogniser | None = None,
    face_crop: FaceCrop | None = None,
) -> Measurements:
    """Measures a model.

    Args:
        model: The model.
        evaluation_set: Images at its size and labels in its layout.
        protocol: The translations to request.
        classifiers: The evaluation classifiers.
        references: Features of real images, one for each feature space.
        seed: Seed of the intervals.
        recogniser: Computes face descriptors; None leaves `identity` out.
        face_crop: Where the faces are in the images; None if they are not aligned faces.

    Raises:
        DataError: The protocol does not apply to any of these images.
    """
    domains = model.domains
    requested = request_translations(evaluation_set, protocol, domains)
    made = _translate(model, evaluation_set, requested, classifiers, references)
    predictions = [c.decide(logits) for c, logits in zip(classifiers, made.logits, strict=True)]
    source_predictions = [c.decide(c.logits(to_array(evaluation_set.source_images))) for c in classifiers]
    values = made.values | _scores(domains, evaluation_set, requested, predictions, source_predictions)
    if recogniser:
        values |= identity.distances(recogniser, evaluation_set.source_images, made.pixels, requested.rows, seed)
    if face_crop:
        values |= _of_faces(face_crop, domains, evaluation_set, requested, made.pixels, seed)
    figures = figures_of(values, requested.rows, dict(requested.by_task()), seed)
    for reference, pooled in zip(references, made.features, strict=True):
        by_task = distances.compare(reference, domains, requested, evaluation_set.source_values, pooled, seed)
        for task, more in by_task.items():
            figures[task] |= more

    def triple(index: int) -> list[np.ndarray]:
        row = int(requested.rows[index])
        truth = evaluation_set.true_translation(row, requested.target_values[index])
        return [evaluation_set.source_images[row], made.pixels[index], *([] if truth is None else [truth])]

    return Measurements(
        figures,
        values,
        requested.tasks,
        requested.rows,
        triple,
        figures_of(values, requested.rows, _groups(evaluation_set, requested.rows), seed),
        _classifier_errors(domains, evaluation_set, source_predictions, seed),
        _not_measured(figures),
    )


def _of_faces(
    face_crop: FaceCrop,
    domains: Domains,
    evaluation_set: EvaluationSet,
    requested: RequestedTranslations,
    translated: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    common = (face_crop, domains, requested, evaluation_set.source_images, translated)
    real = evaluation_set.pixels, evaluation_set.values, evaluation_set.train_rows
    return face_parts.figures(*common, seed) | odd_colours.figures(*common, real, seed)


# ---------------------------------------------------------------- translations


@dataclass(frozen=True)
class _Translations:
    """M translations and what was computed from each batch of them.

    Attributes:
        pixels: (M, H, W, 3) uint8.
        values: By metric, (M,).
        logits: (K, M, C) of the K classifiers.
        features: (M, D) for each feature space.
    """

    pixels: np.ndarray
    values: dict[str, np.ndarray]
    logits: np.ndarray
    features: list[np.ndarray]


def _translate(
    model: Model,
    evaluation_set: EvaluationSet,
    requested: RequestedTranslations,
    classifiers: Sequence[LabelPredictor],
    references: Sequence[ReferenceFeatures],
) -> _Translations:
    """Translates in batches, and compares each translation with its source and with the true translation."""
    sources = to_array(evaluation_set.source_images)
    count = len(requested.rows)
    pixels = np.empty((count, *evaluation_set.source_images.shape[1:]), np.uint8)
    values: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    logits: list[np.ndarray] = []
    pooled: list[list[np.ndarray]] = [[] for _ in references]
    with Progress("translate and compare", count, "translations") as progress:
        for start in range(0, count, BATCH):
            part = slice(start, start + BATCH)
            rows, datasets, targets = requested.rows[part], requested.datasets[part], requested.target_values[part]
            source, own_values = sources[rows], evaluation_set.source_values[rows]
            labels, source_labels = (model.domains.labels(each, datasets) for each in (targets, own_values))
            pixels[part] = to_pixels(model.generate(source, labels, own_values))
            translated = to_array(pixels[part])  # rounded, as it would be read from a file
            back = model.generate(translated, source_labels, targets)
            truths = [evaluation_set.true_translation(int(r), t) for r, t in zip(rows, targets, strict=True)]
            compared = compare_with_source(source, translated, back) | compare_with_truth(source, translated, truths)
            for name, numbers in compared.items():
                values[name].append(numbers)
            logits.append(np.stack([classifier.logits(translated) for classifier in classifiers]))
            for parts, reference in zip(pooled, references, strict=True):
                parts.append(reference.space.pooled(translated))
            progress.update(min(start + BATCH, count))
    joined = {name: np.concatenate(parts) for name, parts in values.items()}
    return _Translations(pixels, joined, np.concatenate(logits, axis=1), [np.concatenate(p) for p in pooled])


def compare_with_source(source: np.ndarray, translated: np.ndarray, back: np.ndarray) -> dict[str, np.ndarray]:
    """Compares images with their translations and with their reconstructions; each (N, 3, H, W) float32 in [-1, 1].

    Returns:
        By metric, (N,).
    """
    found = {
        "rec_l1": metrics.l1(source, back),
        "rec_psnr": metrics.psnr(source, back),
        "rec_ssim": metrics.ssim(source, back),
        "background": metrics.background(source, translated),
        "sharpness": metrics.sharpness(translated) / np.maximum(metrics.sharpness(source), 1e-8),
    }
    if features.installed():
        found["rec_perceptual"] = features.perceptual(source, back)
    return found


def compare_with_truth(
    source: np.ndarray, translated: np.ndarray, truths: Sequence[np.ndarray | None]
) -> dict[str, np.ndarray]:
    """Compares translations, and their unchanged sources, with the true translations.

    Args:
        source: (N, 3, H, W) float32 in [-1, 1].
        translated: The same of the translations.
        truths: N true translations, (H, W, 3) uint8, or None where one is not known.

    Returns:
        By metric, (N,), NaN where the truth is not known.
    """
    known = np.array([truth is not None for truth in truths])
    functions = {"psnr": metrics.psnr, "ssim": metrics.ssim}
    if features.installed():
        functions["perceptual"] = features.perceptual
    found = {f"{prefix}_{name}": np.full(len(truths), np.nan) for prefix in ("truth", "baseline") for name in functions}
    if known.any():
        truth = to_array(np.stack([image for image in truths if image is not None]))
        for name, function in functions.items():
            found[f"truth_{name}"][known] = function(translated[known], truth)
            found[f"baseline_{name}"][known] = function(source[known], truth)
    return found


# ---------------------------------------------------------------- figures


def figures_of(
    values: Mapping[str, np.ndarray], rows: np.ndarray, parts: Mapping[str, np.ndarray], seed: int
) -> Figures:
    """Means of all metrics that have a number, over each part of the translations.

    Args:
        values: By metric, (M,), or (M, K): shares, by each classifier.
        rows: (M,) the source image of each translation.
        parts: By task or group, indices of translations.
        seed: Seed of the intervals.
    """
    known = {name: numbers for name, numbers in values.items() if np.isfinite(numbers).any()}
    bounds = {name: intervals.SHARE if numbers.ndim == 2 else intervals.UNBOUNDED for name, numbers in known.items()}
    return {
        part: {name: intervals.mean(numbers[i], rows[i], seed, bounds[name]) for name, numbers in known.items()}
        for part, i in parts.items()
    }


def _scores(
    domains: Domains,
    evaluation_set: EvaluationSet,
    requested: RequestedTranslations,
    predictions: Sequence[Predictions],
    source_predictions: Sequence[Predictions],
) -> dict[str, np.ndarray]:
    """By metric, (M, K): the scores of K classifiers' predictions."""
    source_values = evaluation_set.source_values[requested.rows]
    scores = [
        score_predictions(domains, requested, of_translations, of_sources.of(requested.rows), source_values)
        for of_translations, of_sources in zip(predictions, source_predictions, strict=True)
    ]
    return {name: np.stack([score[name] for score in scores], axis=1) for name in scores[0]}


def _groups(evaluation_set: EvaluationSet, rows: np.ndarray) -> dict[str, np.ndarray]:
    """By label and by its absence, the translations of the source images with and without it."""
    members = {name: member[rows] for name, member in evaluation_set.groups.items()}
    sides = [side for name, member in members.items() for side in ((name, member), (f"{name}=0", ~member))]
    return {name: np.flatnonzero(member) for name, member in sides if member.any()}


def _classifier_errors(
    domains: Domains, evaluation_set: EvaluationSet, source_predictions: Sequence[Predictions], seed: int
) -> dict[str, Figure]:
    agreed = [domains.agree(found.natural, evaluation_set.source_values) for found in source_predictions]
    wrong = ~np.stack(agreed, axis=2)
    known = domains.known(evaluation_set.source_values)
    labelled = np.any(domains.labelled_groups(np.array(evaluation_set.datasets)), axis=0).tolist()
    return {
        name: intervals.mean(wrong[rows, index], rows, seed, intervals.SHARE)
        for index, name in enumerate(domains.group_names)
        if labelled[index] and len(rows := np.flatnonzero(known[:, index]))
    }


def _not_measured(figures: Figures) -> dict[str, str]:
    """Reasons why all tasks, or some, lack a figure."""
    reasons = {}
    if not features.installed():
        reasons["kid, fid, perceptual distances"] = "need: pip install 'stargan[evaluate]'"
    else:
        few = "fewer than {} translations or real images of the target domain, with which {}"
        reasons |= _without(figures, "kid", few.format(MIN_FOR_KID, "it is meaningless"))
        on_number = "it depends on their number more than on their quality"
        reasons |= _without(figures, "fid", few.format(MIN_FOR_FID, on_number))
        same = f"fewer than {SHARE:.0%} of the translations, or than {MIN_FOR_KID}, have an image with these labels "
        reasons |= _without(
            figures, "matched_kid", same + "in the training split, besides those they are compared with"
        )
    if "inception_kid" not in figures[ALL]:
        reasons["inception_kid, inception_fid"] = "need --inception FILE, the network used in papers"
    if "identity" not in figures[ALL]:
        lacks = "no face was found" if identity.installed() else f"needs a face recogniser: {identity.PACKAGES}"
        reasons["identity"] = lacks
    if "truth_psnr" not in figures[ALL]:
        reasons["truth_..."] = "the true translations are not known; use --data cartoons or --pairs"
    if "kept" not in figures[ALL]:
        reasons["kept"] = "there are no other labels to keep"
    return reasons


def _without(figures: Figures, name: str, reason: str) -> dict[str, str]:
    """The reason for the tasks that lack a figure, if there are any."""
    without = [task for task, by_metric in figures.items() if name not in by_metric and task != ALL]
    if not without:
        return {}
    return {f"{name} of {', '.join(without)}" if name in figures[ALL] else name: reason}
