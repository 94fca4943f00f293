"""`stargan evaluate`."""

import contextlib
import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from stargan.cli.options import Command, check_output
from stargan.domains.protocols import Protocol, protocol
from stargan.errors import ConfigError, ModelError, require
from stargan.evaluation.metrics import MOST_JUDGES
from stargan.inference.load import load
from stargan.inference.translator import Translator
from stargan.model import run_folder
from stargan.model.card import MODEL
from stargan.storage import write_bytes

if TYPE_CHECKING:  # they load PyTorch
    from stargan.evaluation.distances import Space
    from stargan.evaluation.pairs import Pair
    from stargan.evaluation.report import Entry
    from stargan.evaluation.test_set import Subject

REPORTS = ("report.json", "report.html")


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure models on pictures that they were not trained on: report.json and report.html.

    Attributes:
        models: Model files or run folders; several are measured on the same pictures, side by side.
        data: A data set as for stargan train, or cartoons: drawn faces, whose true translations are known.
        out: Folder for the report.
        protocol: What is asked of each picture: single (every change), celeba (the paper's seven tasks), expressions.
        split: Part of the data: train, val, test or all; by default test, or val where there is none.
        limit: At most so many pictures.
        classifiers: How many classifiers judge, each for itself. Their spread is part of the intervals.
        skip: Pass over so many pictures first: those by which a model or its settings were chosen.
        pairs: Folder with pictures, their true translations and a pairs.csv: source,truth,target.
        groups: Labels of the data, of the model or not; figures are told for sources with and without each.
        inception: Feature network of papers as an .onnx file, for their FID.
        seed: Of the choice of pictures, of the classifiers and of the intervals.
        max_bad: How many unreadable pictures are left out.
        overwrite: Replace a report that exists.
    """

    models: tyro.conf.Positional[tuple[Path, ...]]
    data: str
    out: Path
    protocol: str = "single"
    split: Annotated[str | None, tyro.conf.arg(metavar="PART")] = None
    limit: int = 500
    classifiers: int = 3
    skip: int = 0
    pairs: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    groups: tuple[str, ...] = ()
    inception: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    seed: int = 0
    max_bad: int = 10
    overwrite: bool = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    _check(options)
    require("torch", "evaluate", "train the classifiers that judge")
    from stargan.evaluation import page, pairs, report

    # What can be wrong is found first, then what takes minutes is done.
    known = pairs.read(options.pairs) if options.pairs else []
    spaces = _spaces(options.inception)
    cases = _cases(options, known)
    entries = _measured(cases, known, spaces, options.classifiers, options.seed)
    settings = _settings(options, cases[0].subject)
    written = (report.dumps(entries, settings), page.render(entries, settings))
    for name, content in zip(REPORTS, written, strict=True):
        write_bytes(options.out / name, content.encode())
    print(report.overall(entries, options.seed))
    print(f"report: {options.out / REPORTS[1]}")
    return 0


@dataclasses.dataclass(frozen=True)
class _Case:
    """One model, what is asked of it, and the pictures for it."""

    path: Path
    model: Translator
    plan: Protocol
    subject: "Subject"
    about: dict[str, Any]
    curves: dict[str, tuple[list[float], list[float]]]


def _spaces(inception: Path | None) -> "list[Space]":
    from stargan.evaluation import features
    from stargan.evaluation.definitions import INCEPTION
    from stargan.evaluation.distances import Space

    spaces = [Space("", features.pooled)] if features.installed() else []
    if inception:
        spaces.append(Space(INCEPTION, features.Inception(inception).pooled))
    return spaces


def _cases(options: Options, known: "list[Pair]") -> list[_Case]:
    from stargan.evaluation import pairs, tasks, test_set

    models = [load(path) for path in options.models]
    plans = [protocol(options.protocol, model.domains) for model in models]
    runs = [(_config(path), _curves(path)) for path in options.models]
    for model in models:
        pairs.check(known, model)
    chosen = {name: getattr(options, name) for name in ("split", "limit", "seed", "skip", "max_bad", "groups")}
    cases = []
    found: dict[str, Subject] = {}  # models of one kind are measured on the same arrays
    for path, model, plan, (config, curves) in zip(options.models, models, plans, runs, strict=True):
        info = model.info
        kind = json.dumps([info.image_size, info.crop, info.domains.to_json()])
        if kind not in found:
            found[kind] = test_set.find(options.data, info, **chosen)
        tasks.ask(found[kind], plan, model.domains)
        about = {MODEL: json.loads(info.dumps()), **config}
        cases.append(_Case(path, model, plan, found[kind], about, curves))
    return cases


def _measured(cases: list[_Case], known: "list[Pair]", spaces: "list[Space]", judges: int, seed: int) -> "list[Entry]":
    from stargan.evaluation import classifier, distances, identity, pairs
    from stargan.evaluation.measure import measure
    from stargan.evaluation.report import Entry

    recogniser = identity.Recogniser() if identity.installed() else None
    references: dict[str, list[distances.Reference]] = {}
    entries = []
    for name, case in zip(_names([case.path for case in cases]), cases, strict=True):
        subject = case.subject
        jury = classifier.judges(case.model.domains, subject, judges, seed)
        if subject.key not in references:
            references[subject.key] = [distances.refer(subject, space, seed) for space in spaces]
        found = measure(case.model, subject, case.plan, jury, references[subject.key], seed, recogniser)
        truths = pairs.measure(case.model, known, seed) if known else None
        entries.append(Entry(name, case.about, found, truths, case.curves))
    return entries


def _settings(options: Options, subject: "Subject") -> dict[str, Any]:
    spread = ", with the spread of the judges" if options.classifiers > 1 else ""
    settings = {
        "data": subject.name,
        "split": subject.split,
        "pictures": len(subject.held),
        "skip": options.skip,
        "protocol": options.protocol,
        "judges": options.classifiers,
        "seed": options.seed,
        "interval": f"95 %, bootstrap over pictures{spread}; of kid and fid from half samples",
    }
    if options.pairs:
        settings["pairs"] = str(options.pairs)
    if options.inception:
        settings["inception"] = str(options.inception)
    if subject.split in ("train", "all"):
        settings["remark"] = "the classifiers, kid and perhaps the models have seen these pictures: too good a view"
    return settings


def _check(options: Any) -> None:
    if not options.models:
        raise ConfigError("say which model to measure")
    if len({path.resolve() for path in options.models}) < len(options.models):
        raise ConfigError("the same model is named twice")
    if options.split not in (None, "train", "val", "test", "all"):
        raise ConfigError(f"--split {options.split}: must be train, val, test or all")
    for name, low in (("limit", 2), ("skip", 0), ("seed", 0), ("max_bad", 0)):
        if getattr(options, name) < low:
            raise ConfigError(f"--{name.replace('_', '-')} {getattr(options, name)}: must be at least {low}")
    if not 1 <= options.classifiers <= MOST_JUDGES:
        raise ConfigError(f"--classifiers {options.classifiers}: must be 1 to {MOST_JUDGES}")
    for name in ("inception", "pairs"):
        path = getattr(options, name)
        if path is not None and not path.exists():
            raise ConfigError(f"--{name} {path}: no such {'folder' if name == 'pairs' else 'file'}")
    check_output("--out", options.out, folder=True)
    for name in REPORTS:
        if (options.out / name).exists() and not options.overwrite:
            raise ModelError(f"{options.out / name}: exists; say --overwrite to replace it, or another --out")


def _names(paths: list[Path]) -> list[str]:
    """Short names, all different."""
    short = [path.resolve().name for path in paths]
    return [name if short.count(name) == 1 else str(path) for name, path in zip(short, paths, strict=True)]


def _config(path: Path) -> dict[str, Any]:
    """The settings of a run folder."""

    if not (path / "config.json").is_file():
        return {}
    return {"Configuration of its run": run_folder.saved_config(path).to_json()}


def _curves(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """The figures of a run folder by name: steps and values."""
    stats = path / "stats.jsonl"
    points: dict[str, list[tuple[float, float]]] = {}
    for line in stats.read_text(encoding="utf-8", errors="replace").splitlines() if stats.is_file() else []:
        # A killed run may have left half a line, somebody else's file anything.
        with contextlib.suppress(ValueError, AttributeError, KeyError, TypeError, OverflowError, RecursionError):
            row = json.loads(line)
            step = float(row.pop("step"))
            values = {name: float(value) for name, value in row.items() if value is not None}
            for name, value in values.items():
                if name not in ("lr", "steps_per_second") and math.isfinite(value) and math.isfinite(step):
                    points.setdefault(name, []).append((step, value))
    return {name: ([s for s, _ in found], [v for _, v in found]) for name, found in points.items()}


COMMAND = Command(Options, run)
