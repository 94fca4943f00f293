"""Measures a model: every picture translated to every task of a protocol, and all that can be said of the results."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol as Interface

import numpy as np

from stargan import images
from stargan.domains import Domains
from stargan.domains.protocols import Protocol
from stargan.evaluation import distances, features, identity, metrics
from stargan.evaluation.distances import ENOUGH_FOR_FID, FEW, Reference
from stargan.evaluation.identity import Recogniser
from stargan.evaluation.metrics import Figure
from stargan.evaluation.tasks import ALL, ask, judged
from stargan.evaluation.test_set import Subject, prepared
from stargan.progress import Progress

CHUNK = 16  # pictures that are translated together
RECOGNISED = 400  # translations whose faces are compared, at most; each takes a tenth of a second

Figures = dict[str, dict[str, Figure]]


class Model(Interface):
    """What is measured: a `Translator`, or anything that translates as it does."""

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
class Measured:
    """What was found, of M translations.

    Attributes:
        figures: By task, and `all`; then by metric.
        each: By metric, one number for each translation, (M,), or by each judge, (M, J); NaN where there is none.
        tasks: (M,) what each was asked for.
        rows: (M,) of which picture each is.
        pictures: From a translation's number to (H, W, 3) uint8: its source, itself and, where known, the truth.
        groups: By label, `Male`, and its absence, `Male=0`, of the sources; then by metric, over all tasks.
        judge: By group of labels, the classifiers' own error on the real pictures.
        skipped: By metric, or several, why there is no figure.
    """

    figures: Figures
    each: dict[str, np.ndarray]
    tasks: np.ndarray
    rows: np.ndarray
    pictures: Callable[[int], list[np.ndarray]]
    groups: Figures = field(default_factory=dict)
    judge: dict[str, Figure] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def measure(
    model: Model,
    subject: Subject,
    protocol: Protocol,
    judges: Sequence[Judge],
    references: Sequence[Reference],
    seed: int,
    recogniser: Recogniser | None = None,
) -> Measured:
    """Measures one model.

    Args:
        model: Translates.
        subject: The pictures, at its size and in its layout.
        protocol: What is asked of them.
        judges: Tell what translations show, each for itself: 1 to `metrics.MOST_JUDGES`.
        references: What sets of translations are compared with, one for each feature space.
        seed: Of the intervals.
        recogniser: Describes faces; None leaves `identity` out.

    Raises:
        DataError: The protocol asks nothing of these pictures.
    """
    domains, asked, sources = model.domains, ask(subject, protocol, model.domains), prepared(subject.sources)
    made = np.empty((len(asked.rows), *subject.sources.shape[1:]), np.uint8)
    found: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    pooled: list[list[np.ndarray]] = [[] for _ in references]
    with Progress("translate and compare", len(asked.rows), "translations") as progress:
        for start in range(0, len(asked.rows), CHUNK):
            part = slice(start, start + CHUNK)
            rows, datasets = asked.rows[part], asked.datasets[part]
            source = sources[rows]
            made[part] = images.to_pixels(model.generate(source, domains.labels(asked.wanted[part], datasets)))
            translated = prepared(made[part])  # as it would be read from a file
            back = model.generate(translated, domains.labels(subject.shown[rows], datasets))
            for name, numbers in _compare(source, translated, back).items():
                found[name].append(numbers)
            truths = [_truth(subject, int(row), wanted) for row, wanted in zip(rows, asked.wanted[part], strict=True)]
            for name, numbers in against_truth(source, translated, truths).items():
                found[name].append(numbers)
            found["judged"].append(np.stack([judge.decide(translated) for judge in judges]))
            for parts, reference in zip(pooled, references, strict=True):
                parts.append(reference.space.pooled(translated))
            progress.update(min(start + CHUNK, len(asked.rows)))
    seen, decided = [judge.decide(sources) for judge in judges], np.concatenate(found.pop("judged"), axis=1)
    shown = subject.shown[asked.rows]
    verdicts = [
        judged(domains, asked, of_made, of_sources[asked.rows], shown)
        for of_made, of_sources in zip(decided, seen, strict=True)
    ]
    each = {name: np.stack([verdict[name] for verdict in verdicts], axis=1) for name in verdicts[0]}
    each |= {name: np.concatenate(parts) for name, parts in found.items()}
    if recogniser:
        each |= _identities(recogniser, subject.sources, made, asked.rows, seed)
    figures = figures_of(each, asked.rows, dict(asked.each()), seed)
    groups = figures_of(each, asked.rows, _groups(subject, asked.rows), seed)
    for reference, features_made in zip(references, map(np.concatenate, pooled), strict=True):
        apart = distances.compare(reference, domains, asked, subject.shown, features_made, seed)
        for task, more in apart.items():
            figures[task] |= more

    def pictures(index: int) -> list[np.ndarray]:
        row = int(asked.rows[index])
        truth = _truth(subject, row, asked.wanted[index])
        return [subject.sources[row], made[index], *([] if truth is None else [truth])]

    judge_errors = _judge(domains, subject, seen, seed)
    return Measured(figures, each, asked.tasks, asked.rows, pictures, groups, judge_errors, _skipped(figures))


def _groups(subject: Subject, rows: np.ndarray) -> dict[str, np.ndarray]:
    """By label and by its absence, the numbers of the translations of pictures that show it, or do not."""
    sides = {name: member[rows] for name, member in subject.groups.items()}
    both = [pair for name, member in sides.items() for pair in ((name, member), (f"{name}=0", ~member))]
    return {name: np.flatnonzero(member) for name, member in both if member.any()}


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


def _truth(subject: Subject, row: int, wanted: np.ndarray) -> np.ndarray | None:
    return subject.truth(row, wanted) if subject.truth else None


def against_truth(source: np.ndarray, made: np.ndarray, truths: Sequence[np.ndarray | None]) -> dict[str, np.ndarray]:
    """Compares translations, and their untouched sources, with the truth.

    Args:
        source: (N, 3, H, W) float32 in [-1, 1].
        made: The same of their translations.
        truths: N true translations, (H, W, 3) uint8, or None where one is not known.

    Returns:
        By metric, (N,), NaN where the truth is not known.
    """
    known = np.array([truth is not None for truth in truths])
    compared = {"psnr": metrics.psnr, "ssim": metrics.ssim}
    if features.installed():
        compared["perceptual"] = features.perceptual
    found = {f"{who}_{name}": np.full(len(truths), np.nan) for who in ("truth", "idle") for name in compared}
    if known.any():
        truth = prepared(np.stack([picture for picture in truths if picture is not None]))
        for name, function in compared.items():
            found[f"truth_{name}"][known] = function(made[known], truth)
            found[f"idle_{name}"][known] = function(source[known], truth)
    return found


def _identities(
    recogniser: Recogniser, sources: np.ndarray, made: np.ndarray, rows: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Distances between faces before and after, and between different pictures, of some of the translations."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:RECOGNISED])
    needed = np.unique(rows[chosen])
    found = {"identity": np.full(len(rows), np.nan), "stranger": np.full(len(rows), np.nan)}
    with Progress("compare faces", len(needed) + len(chosen), "faces") as progress:
        faces, own = {}, {}
        for done, row in enumerate(needed):
            faces[row] = recogniser.find(sources[row])
            own[row] = recogniser.describe(sources[row][None], [faces[row]])[0]
            progress.update(done + 1)
        others = dict(zip(needed, np.roll(needed, 1), strict=True))
        for done, index in enumerate(chosen):
            row = rows[index]
            theirs = recogniser.describe(made[index][None], [faces[row]])[0]
            found["identity"][index] = np.linalg.norm(theirs - own[row])
            found["stranger"][index] = np.linalg.norm(own[others[row]] - own[row])
            progress.update(len(needed) + done + 1)
    return found


def figures_of(each: Mapping[str, np.ndarray], rows: np.ndarray, tasks: Mapping[str, np.ndarray], seed: int) -> Figures:
    """Means of the metrics that have a number at all.

    Args:
        each: By metric, (M,), or (M, J): shares, by each judge.
        rows: (M,) of which picture each translation is.
        tasks: By task, numbers of translations.
        seed: Of the intervals.
    """
    known = {name: numbers for name, numbers in each.items() if np.isfinite(numbers).any()}
    within = {name: metrics.SHARE if numbers.ndim == 2 else metrics.ANY for name, numbers in known.items()}
    return {
        task: {name: metrics.mean(numbers[index], rows[index], seed, within[name]) for name, numbers in known.items()}
        for task, index in tasks.items()
    }


def _judge(domains: Domains, subject: Subject, seen: Sequence[np.ndarray], seed: int) -> dict[str, Figure]:
    wrong = np.stack([~domains.agree(by_one, subject.shown) for by_one in seen], axis=2)
    rows = np.arange(len(wrong))
    return {
        name: metrics.mean(wrong[:, index], rows, seed, metrics.SHARE)
        for index, (name, owner) in enumerate(zip(domains.group_names, domains.group_datasets, strict=True))
        if owner in subject.datasets
    }


def _skipped(figures: Figures) -> dict[str, str]:
    """Why there is no figure, of all tasks or of some."""
    reasons = {}
    if not features.installed():
        reasons["kid, fid, perceptual distances"] = "need: pip install 'stargan[evaluate]'"
    else:
        reasons |= _too_few(figures, "kid", FEW, "says nothing")
        reasons |= _too_few(figures, "fid", ENOUGH_FOR_FID, "tells of their number more than of their quality")
    if "inception_kid" not in figures[ALL]:
        reasons["inception_kid, inception_fid"] = "need --inception FILE, the network of papers"
    if "identity" not in figures[ALL]:
        lacks = "no face was found" if identity.installed() else f"needs a face recogniser: {identity.PACKAGES}"
        reasons["identity"] = lacks
    if "truth_psnr" not in figures[ALL]:
        reasons["truth_..."] = "the true translations are not known; with --data cartoons they are, or give --pairs"
    if "kept" not in figures[ALL]:
        reasons["kept"] = "nothing else is there to be kept"
    return reasons


def _too_few(figures: Figures, name: str, enough: int, else_it: str) -> dict[str, str]:
    without = [task for task, measured in figures.items() if name not in measured and task != ALL]
    if not without:
        return {}
    of = f"{name} of {', '.join(without)}" if name in figures[ALL] else name
    return {of: f"fewer than {enough} translations or real pictures of the target domain, with which it {else_it}"}
