"""What a report holds, and report.json; the page is page.py's."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stargan.evaluation import metrics
from stargan.evaluation.definitions import DEFINITIONS
from stargan.evaluation.measure import Measured
from stargan.evaluation.metrics import Figure
from stargan.evaluation.tasks import ALL

FORMAT = "stargan-report-1"


@dataclass(frozen=True)
class Entry:
    """One model in a report.

    Attributes:
        name: What it is called.
        about: What it says about itself and, of a run folder, its settings: plain data by heading.
        measured: What was found on the data set.
        pairs: What was found on pictures with known translations; None where none were given.
        curves: By name of a figure of its run, (steps, values); empty where its run is not known.
    """

    name: str
    about: Mapping[str, Any]
    measured: Measured
    pairs: Measured | None = None
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None


def dumps(entries: Sequence[Entry], settings: Mapping[str, Any]) -> str:
    """report.json: the settings, what each metric means, and each model's figures with intervals.

    Args:
        entries: The models, measured on the same pictures.
        settings: Data, split, protocol, seed and so on, as plain data.
    """
    definitions = {name: DEFINITIONS[name].definition for name in told(entries)}
    models = {entry.name: _model(entry) for entry in entries}
    apart = {name: _plain(figures) for name, figures in differences(entries, settings["seed"]).items()}
    report = {"format": FORMAT, **settings, "definitions": definitions, "models": models, "less_the_first": apart}
    return json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _model(entry: Entry) -> dict[str, Any]:
    return {
        "about": entry.about,
        "classifier_error_on_real_pictures": _plain(entry.measured.judge),
        "figures": {task: _plain(figures) for task, figures in entry.measured.figures.items()},
        "groups": {group: _plain(figures) for group, figures in entry.measured.groups.items()},
        **({"pairs": {t: _plain(figures) for t, figures in entry.pairs.figures.items()}} if entry.pairs else {}),
        "skipped": entry.measured.skipped,
    }


def _plain(figures: Mapping[str, Figure]) -> dict[str, dict[str, float | int | None]]:
    return {
        name: {part: number if math.isfinite(number) else None for part, number in vars(figure).items()}
        for name, figure in figures.items()
    }


def told(entries: Sequence[Entry]) -> list[str]:
    """Those that any of the models has, in the order of their definitions."""
    measured = [part for entry in entries for part in (entry.measured, entry.pairs) if part]
    return [name for name in DEFINITIONS if any(name in part.figures[ALL] for part in measured)]


def table(entries: Sequence[Entry]) -> list[tuple[str, str, list[Figure | None]]]:
    """Rows over all tasks: what is said, of which metric, and a figure for each model."""
    rows = [(name, name, [e.measured.figures[ALL].get(name) for e in entries]) for name in told(entries)]
    rows += [
        (f"pairs: {name}", name, [e.pairs.figures[ALL].get(name) if e.pairs else None for e in entries])
        for name in told(entries)
    ]
    return [row for row in rows if any(row[2])]


def differences(entries: Sequence[Entry], seed: int) -> dict[str, dict[str, Figure]]:
    """By name, each further model's figures over all tasks less the first one's, picture by picture.

    Both did the same tasks with the same pictures, so these intervals are narrower than those of the figures. Distances
    of sets (kid, fid) have no number for a picture and are left out; so are models that were asked other things.
    """
    first, *others = (entry.measured for entry in entries)
    found = {}
    for entry, other in zip(entries[1:], others, strict=True):
        if np.array_equal(other.rows, first.rows) and np.array_equal(other.tasks, first.tasks):
            both = [name for name in first.each if name in other.each]
            less = {name: other.each[name] - first.each[name] for name in both}
            within = {name: metrics.DIFFERENCE if less[name].ndim == 2 else metrics.ANY for name in both}
            apart = {name: metrics.mean(less[name], first.rows, seed, within[name]) for name in both}
            found[entry.name] = {name: figure for name, figure in apart.items() if figure.count}
    return found


def text(figure: Figure | None) -> str:
    """A figure with its interval, for people."""
    if figure is None or not math.isfinite(figure.value):
        return "-"
    interval = f" ({_short(figure.low)}..{_short(figure.high)})" if math.isfinite(figure.low) else ""
    return _short(figure.value) + interval


def _short(number: float) -> str:
    """Three digits that count, and no powers of ten: 1083, 19.2, 0.415."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def overall(entries: Sequence[Entry], seed: int) -> str:
    """The figures over all tasks, side by side, and the differences to the first model, as text."""
    lines = [f"{'':24}" + "".join(f"{entry.name[-23:]:>24}" for entry in entries)]
    lines += [f"{said:24}" + "".join(f"{text(figure):>24}" for figure in row) for said, _, row in table(entries)]
    for name, figures in differences(entries, seed).items():
        lines += ["", f"{name} less {entries[0].name}:"]
        lines += [f"{metric:24}{text(figures[metric]):>24}" for metric in DEFINITIONS if metric in figures]
    return "\n".join(lines)
