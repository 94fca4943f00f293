"""The content of a report, as JSON and as text; `page` formats it as HTML."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from stargan.evaluation import intervals
from stargan.evaluation.definitions import DEFINITIONS
from stargan.evaluation.measure import Measurements
from stargan.evaluation.tasks import ALL
from stargan.model.figure import Figure

FORMAT = "stargan-report-2"


@dataclass(frozen=True)
class ModelResult:
    """The results of one model.

    Attributes:
        name: Its name in the report.
        about: Plain data by heading: the model's description and, for a run folder, its training settings.
        measurements: Measured on the evaluation set.
        pairs: Measured on image pairs with known translations; None if there were none.
        curves: Steps and values by name, from the log of its run; empty if unknown.
    """

    name: str
    about: Mapping[str, Any]
    measurements: Measurements
    pairs: Measurements | None = None
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The results of all models, measured on the same images.

    Attributes:
        models: One result per model; the others are compared with the first.
        settings: Data, split, protocol, seed and so on, as plain data.
    """

    models: Sequence[ModelResult]
    settings: Mapping[str, Any]

    def _repr_html_(self) -> str:
        """The summary, for notebooks."""
        return f"<pre>{escape(self.summary())}</pre>"

    @property
    def metrics(self) -> list[str]:
        """The metrics that any of the models has, in the order of their definitions."""
        parts = [part for result in self.models for part in (result.measurements, result.pairs) if part]
        return [name for name in DEFINITIONS if any(name in part.figures[ALL] for part in parts)]

    def rows(self) -> list[tuple[str, str, list[Figure | None]]]:
        """Rows of the table over all tasks: a title, its metric, and one figure per model."""
        rows = [(name, name, [r.measurements.figures[ALL].get(name) for r in self.models]) for name in self.metrics]
        rows += [
            (f"pairs: {name}", name, [r.pairs.figures[ALL].get(name) if r.pairs else None for r in self.models])
            for name in self.metrics
        ]
        return [row for row in rows if any(row[2])]

    @cached_property
    def differences(self) -> dict[str, dict[str, Figure]]:
        """By model, the figures over all tasks minus those of the first model, image by image.

        All models translated the same images, so these intervals are narrower than those of the figures. KID and FID
        have no value for a single image and are left out; so are models for which other translations were requested.
        """
        first = self.models[0].measurements
        found = {}
        for result in self.models[1:]:
            other = result.measurements
            if np.array_equal(other.rows, first.rows) and np.array_equal(other.tasks, first.tasks):
                found[result.name] = _difference(first, other, self.settings["seed"])
        return found

    @property
    def figures(self) -> dict[str, Mapping[str, Figure]]:
        """By model, its figures over all tasks, by metric: `report.figures["model.onnx"]["error"].value`."""
        return {result.name: result.measurements.figures[ALL] for result in self.models}

    def dumps(self) -> str:
        """report.json: the settings, the definitions of the metrics, and each model's figures with intervals."""
        content = {
            "format": FORMAT,
            **self.settings,
            "definitions": {name: DEFINITIONS[name].definition for name in self.metrics},
            "models": {result.name: _plain_result(result) for result in self.models},
            "difference_to_first": {name: _plain(figures) for name, figures in self.differences.items()},
        }
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def summary(self) -> str:
        """The figures over all tasks, side by side, and the differences to the first model, as text."""
        widths = [max(24, 2 + len(result.name)) for result in self.models]
        lines = [f"{'':24}" + "".join(f"{result.name:>{w}}" for result, w in zip(self.models, widths, strict=True))]
        lines += [
            f"{title:24}" + "".join(f"{text(f):>{w}}" for f, w in zip(figures, widths, strict=True))
            for title, _, figures in self.rows()
        ]
        for name, figures in self.differences.items():
            lines += ["", f"{name} minus {self.models[0].name}:"]
            lines += [f"{metric:24}{text(figures[metric]):>24}" for metric in DEFINITIONS if metric in figures]
        return "\n".join(lines)


def _difference(first: Measurements, other: Measurements, seed: int) -> dict[str, Figure]:
    found = {}
    for name in (name for name in first.values if name in other.values):
        difference = other.values[name] - first.values[name]
        bounds = intervals.SHARE_DIFFERENCE if difference.ndim == 2 else intervals.UNBOUNDED
        found[name] = intervals.mean(difference, first.rows, seed, bounds)
    return {name: figure for name, figure in found.items() if figure.count}


def _plain_result(result: ModelResult) -> dict[str, Any]:
    measurements, pairs = result.measurements, result.pairs
    return {
        "about": result.about,
        "classifier_error_on_real_images": _plain(measurements.classifier_errors),
        "figures": {task: _plain(figures) for task, figures in measurements.figures.items()},
        "groups": {group: _plain(figures) for group, figures in measurements.groups.items()},
        **({"pairs": {task: _plain(figures) for task, figures in pairs.figures.items()}} if pairs else {}),
        "not_measured": measurements.not_measured,
    }


def _plain(figures: Mapping[str, Figure]) -> dict[str, dict[str, float | int | None]]:
    return {
        name: {part: number if math.isfinite(number) else None for part, number in vars(figure).items()}
        for name, figure in figures.items()
    }


def text(figure: Figure | None) -> str:
    """A figure with its interval, for people."""
    if figure is None or not math.isfinite(figure.value):
        return "-"
    interval = f" ({_short(figure.low)}..{_short(figure.high)})" if math.isfinite(figure.low) else ""
    return _short(figure.value) + interval


def _short(number: float) -> str:
    """Three significant digits without powers of ten: 1083, 19.2, 0.415."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
