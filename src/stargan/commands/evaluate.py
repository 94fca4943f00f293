"""`stargan evaluate`."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import tyro

from stargan.errors import ConfigError, ModelError, require
from stargan.options import parse
from stargan.protocols import protocol
from stargan.translate import load


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure models on pictures that they were not trained on: report.json and report.html.

    Attributes:
        models: Model files or run folders; several are measured on the same pictures, side by side.
        data: A data set as for stargan train, or cartoons: drawn faces, whose true translations are known.
        out: Folder for the report.
        protocol: What is asked of each picture: single (every change), celeba (the paper's seven tasks), expressions.
        split: Part of the data: train, val or test; by default test, or val where there is none.
        limit: At most so many pictures.
        seed: Of the choice of pictures, of the classifier and of the intervals.
        max_bad: How many unreadable pictures are left out.
        overwrite: Replace a report that exists.
    """

    models: tyro.conf.Positional[tuple[Path, ...]]
    data: str
    out: Path
    protocol: str = "single"
    split: str | None = None
    limit: int = 500
    seed: int = 0
    max_bad: int = 10
    overwrite: bool = False


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, arguments, "evaluate")
    _check(options)
    models = [load(path) for path in options.models]  # before anything is computed
    plans = [protocol(options.protocol, model.domains) for model in models]
    require("torch", "evaluate", "train the classifier that judges")
    from stargan.evaluation import features, report, subjects
    from stargan.evaluation.classifier import Classifier
    from stargan.evaluation.measure import Reference, measure, refer

    if not features.installed():
        print("without KID and perceptual distances, which need: pip install 'stargan[evaluate]'")
    entries: list[report.Entry] = []
    references: dict[str, Reference | None] = {}
    for name, path, model, plan in zip(_names(options.models), options.models, models, plans, strict=True):
        subject = subjects.find(
            options.data,
            model.info,
            split=options.split,
            limit=options.limit,
            seed=options.seed,
            max_bad=options.max_bad,
        )
        judge = Classifier(model.domains, subject.datasets, options.seed)
        judge.fit(*subject.train, key=subject.key)
        if subject.key not in references:
            references[subject.key] = refer(subject, options.seed)
        measured = measure(model, subject, plan, judge, references[subject.key], options.seed)
        entries.append(report.Entry(name, json.loads(model.info.dumps()), subject, measured, _curves(path)))
    settings = {
        "data": entries[0].subject.name,
        "split": entries[0].subject.split,
        "pictures": len(entries[0].subject.held[0]),
        "protocol": options.protocol,
        "seed": options.seed,
        "interval": "95 %, bootstrap over pictures",
    }
    written = report.write(options.out, entries, settings)
    print(report.overall(entries))
    print(f"report: {written[-1]}")
    return 0


def _check(options: Any) -> None:
    if not options.models:
        raise ConfigError("say which model to measure")
    if options.split not in (None, "train", "val", "test"):
        raise ConfigError(f"--split {options.split}: must be train, val or test")
    for name, low in (("limit", 2), ("seed", 0)):
        if getattr(options, name) < low:
            raise ConfigError(f"--{name} {getattr(options, name)}: must be at least {low}")
    for name in ("report.json", "report.html"):
        if (options.out / name).exists() and not options.overwrite:
            raise ModelError(f"{options.out / name}: exists; say --overwrite to replace it, or another --out")


def _names(paths: tuple[Path, ...]) -> list[str]:
    """Short names, all different."""
    short = [path.resolve().name for path in paths]
    return [name if short.count(name) == 1 else str(path) for name, path in zip(short, paths, strict=True)]


def _curves(path: Path) -> dict[str, tuple[list[float], list[float]]]:
    """The losses of a run folder by name: steps and values."""
    from stargan.evaluation.report import CURVES

    stats = path / "stats.jsonl"
    rows = [json.loads(line) for line in stats.read_text(encoding="utf-8").splitlines()] if stats.is_file() else []
    found = {name: [(row["step"], row[name]) for row in rows if row.get(name) is not None] for name in CURVES}
    return {name: ([s for s, _ in points], [v for _, v in points]) for name, points in found.items() if points}
