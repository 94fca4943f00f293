"""Evaluates models on images that they were not trained on: what `stargan evaluate` does."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stargan.config.checks import check_range
from stargan.config.training import Align
from stargan.domains.protocols import Protocol, protocol
from stargan.errors import ConfigError, ModelError
from stargan.evaluation import distances, evaluation_set, features, identity, page, pairs, tasks
from stargan.evaluation.classifier import MAX_CLASSIFIERS, evaluation_classifiers
from stargan.evaluation.definitions import INCEPTION, LITE2
from stargan.evaluation.distances import FeatureSpace, ReferenceFeatures
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.evaluation.matched import matched_images
from stargan.evaluation.measure import measure
from stargan.evaluation.pairs import Pair
from stargan.evaluation.report import ModelResult, Report
from stargan.images import Range
from stargan.inference.load import load
from stargan.inference.translator import Translator
from stargan.model import run_folder
from stargan.model.card import MODEL, REPORT
from stargan.model.run_folder import Curve
from stargan.progress import Callback, counted, reported_to
from stargan.storage import write_bytes

_LOGGER = logging.getLogger(__name__)

JSON, HTML = REPORT, "report.html"
TRAINING = "training_configuration"  # key, in a report, of a run's settings


def evaluate(
    models: str | Path | Sequence[str | Path],
    data: str | Path,
    *,
    out: str | Path | None = None,
    protocol: str = "single",
    split: str | None = None,
    limit: int = 500,
    classifiers: int = 3,
    skip: int = 0,
    pairs: str | Path | None = None,
    groups: Sequence[str] = (),
    bins: Sequence[str] = (),
    inception: str | Path | None = None,
    seed: int = 0,
    max_bad: int = 10,
    align: Align = "none",
    range: Range | None = None,
    overwrite: bool = False,
    progress: Callback | None = None,
    say: Callable[[str], None] = _LOGGER.info,
) -> Report:
    """Evaluates models on the same images and compares them with the first.

    Args:
        models: Model files, run folders or names of shipped models.
        data: A data set as for `stargan train`, or `cartoons`: drawn faces whose true translations are known.
        out: Folder for report.json and report.html; None writes nothing.
        protocol: The translations to request: `single`, `celeba` or `expressions`, see `domains.protocols`.
        split: `train`, `val`, `test` or `all`; None: `test`, or `val` if there is no `test`.
        limit: Maximum number of images, chosen at random.
        classifiers: Number of evaluation classifiers. The spread between them is part of the intervals.
        skip: Number of chosen images to leave out first.
        pairs: Folder with images, their true translations and a pairs.csv.
        groups: Labels of the data; figures are also given for source images with and without each.
        bins: Columns of numbers to cut into groups, as in training.
        inception: The feature network used in papers, as an .onnx file.
        seed: Seed of the choice of images, of the classifiers and of the intervals.
        max_bad: Maximum number of unreadable images, which are left out.
        align: `faces` to align the largest face of each image as in the model's training images.
        range: What becomes black and white of deep samples; by default what the model says, else from the images.
        overwrite: Whether an existing report may be replaced.
        progress: As in `stargan.train`.
        say: Is called with each line for the user; by default it is logged.

    Raises:
        StarganError: An argument is out of range, or a model or the data cannot be used.
    """
    paths = _paths(models)  # first everything that may be wrong, then everything that takes minutes
    out, pairs, inception = (path if path is None else Path(path) for path in (out, pairs, inception))
    choice: dict[str, Any] = {"split": split, "limit": limit, "skip": skip, "seed": seed, "max_bad": max_bad}
    _check_settings(choice, classifiers, range)
    _check_files(pairs, inception, out, overwrite)
    known_pairs, spaces = _read_pairs(pairs), _feature_spaces(inception)
    choice |= {"align": align == "faces", "range": range, "groups": groups, "bins": bins, "say": say}
    with reported_to(progress):
        cases = _prepare(paths, str(data), protocol, known_pairs, choice)
        results = _measure(cases, known_pairs, spaces, classifiers, seed)
    given = {"align": align.removeprefix("none"), "pairs": pairs, "inception": inception}
    return _written(out, Report(results, _settings(cases[0].images, protocol, classifiers, skip, seed, given)))


def _written(out: Path | None, report: Report) -> Report:
    if out is None:
        return report
    write_bytes(out / JSON, report.dumps().encode())
    write_bytes(out / HTML, page.render(report).encode())
    return report


# ---------------------------------------------------------------- arguments


def _paths(models: str | Path | Sequence[str | Path]) -> list[Path]:
    paths = [Path(model) for model in ([models] if isinstance(models, str | Path) else models)]
    if not paths:
        raise ConfigError("name at least one model to evaluate")
    if len({path.resolve() for path in paths}) < len(paths):
        raise ConfigError("the same model is named twice")
    return paths


def _check_settings(choice: dict[str, Any], classifiers: int, range: Range | None) -> None:
    check_range(range)
    if choice["split"] not in (None, "train", "val", "test", evaluation_set.ALL_SPLITS):
        raise ConfigError(f"--split {choice['split']}: must be train, val, test or all")
    for name, low in (("limit", 2), ("skip", 0), ("seed", 0), ("max_bad", 0)):
        if choice[name] < low:
            raise ConfigError(f"--{name.replace('_', '-')} {choice[name]}: must be at least {low}")
    if not 1 <= classifiers <= MAX_CLASSIFIERS:
        raise ConfigError(f"--classifiers {classifiers}: must be 1 to {MAX_CLASSIFIERS}")


def _check_files(pairs: Path | None, inception: Path | None, out: Path | None, overwrite: bool) -> None:
    for name, kind, path in (("inception", "file", inception), ("pairs", "folder", pairs)):
        if path is not None and not path.exists():
            raise ConfigError(f"--{name} {path}: no such {kind}")
    for path in (out / JSON, out / HTML) if out else ():
        if path.exists() and not overwrite:
            raise ModelError(f"{path}: exists; use --overwrite to replace it, or another --out")


def _read_pairs(folder: Path | None) -> list[Pair]:
    return pairs.read(folder) if folder else []


def _feature_spaces(inception: Path | None) -> list[FeatureSpace]:
    spaces = [FeatureSpace("", features.pooled), FeatureSpace(LITE2, partial(features.pooled, size=2))]
    spaces = spaces if features.installed() else []
    if inception:
        spaces.append(FeatureSpace(INCEPTION, features.Inception(inception).pooled))
    return spaces


# ---------------------------------------------------------------- models and images


@dataclass(frozen=True)
class _Case:
    """A model with its images and its protocol."""

    name: str
    model: Translator
    protocol: Protocol
    images: EvaluationSet
    about: dict[str, Any]
    curves: dict[str, Curve]


def _prepare(
    paths: Sequence[Path], data: str, protocol_name: str, known_pairs: list[Pair], choice: dict[str, Any]
) -> list[_Case]:
    """Loads models and images. Models of one image size and label layout share the same arrays."""
    models = [load(path) for path in paths]
    protocols = [protocol(protocol_name, model.domains) for model in models]
    abouts = [_about(path, model) for path, model in zip(paths, models, strict=True)]
    curves = [run_folder.stats(path) for path in paths]
    for model in models:
        pairs.check(known_pairs, model)
    cases = []
    loaded: dict[str, EvaluationSet] = {}
    for name, model, plan, about, lines in zip(_names(paths), models, protocols, abouts, curves, strict=True):
        info = model.info
        cut = info.face_crop.to_json() if choice["align"] and info.face_crop else info.crop
        layout = json.dumps([info.image_size, cut, info.range, info.domains.layout])
        if layout not in loaded:
            loaded[layout] = evaluation_set.load(data, info, **choice)
        tasks.request_translations(loaded[layout], plan, model.domains)  # raises if there are none
        cases.append(_Case(name, model, plan, loaded[layout], about, lines))
    return cases


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names, all different."""
    short = [path.resolve().name for path in paths]
    return [name if short.count(name) == 1 else str(path) for name, path in zip(short, paths, strict=True)]


def _about(path: Path, model: Translator) -> dict[str, Any]:
    """The model's description and, for a run folder, its training settings."""
    about = {MODEL: json.loads(model.info.dumps())}
    if (path / run_folder.CONFIG).is_file():
        about[TRAINING] = run_folder.saved_config(path).to_json()
    return about


# ---------------------------------------------------------------- results


def _measure(
    cases: Sequence[_Case], known_pairs: list[Pair], spaces: Sequence[FeatureSpace], classifiers: int, seed: int
) -> list[ModelResult]:
    recogniser = identity.FaceRecogniser() if identity.installed() else None
    references: dict[tuple[str, str], list[ReferenceFeatures]] = {}
    results = []
    for case in cases:
        images = case.images
        trained = evaluation_classifiers(case.model.domains, images, classifiers, seed)
        domains = case.model.domains
        requested = tasks.request_translations(images, case.protocol, domains)
        key = images.key, json.dumps(domains.layout)  # the layout decides which translations are requested
        if key not in references:
            rows = distances.reference_rows(images, seed)
            same = matched_images(images, domains, requested, rows, seed)
            references[key] = [distances.reference_features(images, space, rows, same) for space in spaces]
        _LOGGER.info(f"{case.name}: {len(requested.tasks):,} translations of {counted(len(images.test_rows), 'image')}")
        face_crop = case.model.info.face_crop
        found = measure(case.model, images, case.protocol, trained, references[key], seed, recogniser, face_crop)
        on_pairs = pairs.measure(case.model, known_pairs, seed) if known_pairs else None
        results.append(ModelResult(case.name, case.about, found, on_pairs, case.curves))
    return results


def _settings(
    images: EvaluationSet, protocol_name: str, classifiers: int, skip: int, seed: int, given: Mapping[str, object]
) -> dict[str, Any]:
    """What a report states about how it was made."""
    spread = ", plus the spread between classifiers" if classifiers > 1 else ""
    settings: dict[str, Any] = {
        "data": images.name,
        "split": images.split,
        "images": len(images.test_rows),
        "skip": skip,
        "protocol": protocol_name,
        "classifiers": classifiers,
        "seed": seed,
        "interval": f"95 %, bootstrap over images{spread}; for kid and fid from half samples",
    }
    if images.split in ("train", evaluation_set.ALL_SPLITS):
        settings["remark"] = "classifiers and reference features, and perhaps the models, have seen these images"
        settings["remark"] += ": the figures are too optimistic"
    return settings | {name: str(value) for name, value in given.items() if value}
