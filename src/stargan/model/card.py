"""A model card: how well a model performs each task, and for whom, on images it was not trained on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from stargan import old_names
from stargan.domains import Domains
from stargan.errors import DomainError, ModelError
from stargan.model.figure import Figure, FigureTable
from stargan.old_names import renamed

METRICS = (
    "error", "real_error", "kept", "real_kept", "kid", "baseline_kid", "real_kid", "rec_psnr",
    "identity", "other_person", "background", "sharpness", "truth_psnr", "baseline_psnr",
)  # fmt: skip
"""The metrics that a card takes from a report; `stargan evaluate` defines them."""
GROUP_METRICS = ("error", "kept", "identity")
CONDITIONS = ("data", "split", "images", "skip", "protocol", "classifiers", "seed")
"""How the figures were measured."""
ALL = "all"
MODEL = "model"  # key, in a report, of a model's `ModelInfo`
REPORT = "report.json"  # in the folder that `stargan evaluate` writes
HIGH_ERROR = 0.5  # users are warned about tasks that fail at least this often


@dataclass(frozen=True)
class Card:
    """A model's measured performance and its known limits.

    Attributes:
        measured: How the figures were measured, with the keys of `CONDITIONS`.
        tasks: Figures by task, including `all`, then by metric.
        groups: Figures by a label of the source images (`Male`) and its absence (`Male=0`), then by metric.
        limits: What the model should not be used for, in words.
    """

    measured: Mapping[str, str | int]
    tasks: FigureTable
    groups: FigureTable
    limits: str

    def warnings(self, requested: Sequence[str] | None = None) -> list[str]:
        """Warnings about tasks that fail in half of the cases or more.

        Args:
            requested: Tasks, named as by `requests.every_target`; by default all that were measured.

        Returns:
            One line per task.
        """
        requested = [task for task in self.tasks if task != ALL] if requested is None else requested
        errors = [(task, self.tasks[task]["error"]) for task in requested if "error" in self.tasks.get(task, {})]
        return [
            f"{task}: this model fails at it in {error.value:.0%} of {error.count} test images"
            for task, error in errors
            if error.value >= HIGH_ERROR
        ]

    def to_json(self) -> dict[str, Any]:
        """The card as a plain dict; a figure is [value, low, high, count]."""
        parts = {"tasks": self.tasks, "groups": self.groups}
        plain = {
            part: {
                name: {metric: list(astuple(figure)) for metric, figure in figures.items()}
                for name, figures in table.items()
            }
            for part, table in parts.items()
        }
        return {"measured": dict(self.measured), **plain, "limits": self.limits}

    @classmethod
    def from_json(cls, data: Any) -> "Card":
        """Reads what `to_json` returns; also reads cards of earlier versions.

        Raises:
            ModelError: `data` is not a card.
        """
        if not isinstance(data, dict) or data.keys() != {"measured", "tasks", "groups", "limits"}:
            raise ModelError("its card does not have exactly the fields measured, tasks, groups and limits")
        measured, limits = data["measured"], data["limits"]
        plain = isinstance(measured, dict) and all(isinstance(value, str | int) for value in measured.values())
        if not plain or not isinstance(limits, str):
            raise ModelError("its card does not have plain text in its fields measured and limits")
        tasks, groups = (
            {name: _figures(figures) for name, figures in _items(data[part])} for part in ("tasks", "groups")
        )
        return cls(renamed(measured, old_names.REPORT), tasks, groups, limits)

    @classmethod
    def from_report(cls, report: Any, limits: str, domains: Domains) -> "Card":
        """Makes a card from a `report.json` about one model; also from one of an earlier version.

        Args:
            report: The content of the file.
            limits: See `Card`.
            domains: The model's domains.

        Raises:
            ModelError: It is not such a report, or it is about a model with other domains.
        """
        try:
            report = {"classifiers": 1, **renamed(report, old_names.REPORT)}  # early reports used only one
            (model,) = report["models"].values()
            model = renamed(model, old_names.REPORT)
            if Domains.from_json(renamed(model["about"], old_names.REPORT)[MODEL]["domains"]) != domains:
                raise ModelError("the report is about a model with other domains")
            return cls(
                {name: report[name] for name in CONDITIONS},
                {task: _selected(figures, METRICS) for task, figures in model["figures"].items()},
                {group: _selected(figures, GROUP_METRICS) for group, figures in model["groups"].items()},
                limits,
            )
        except (KeyError, TypeError, ValueError, AttributeError, DomainError) as error:
            raise ModelError("not a report.json about one model, as `stargan evaluate` writes it") from error


def _selected(figures: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, Figure]:
    """The given metrics of a report's figures, without those that have no value or no interval."""
    figures = renamed(figures, old_names.METRICS)
    found = {name: figures[name] for name in metrics if name in figures}
    return {name: Figure(**figure) for name, figure in found.items() if None not in figure.values()}


def _items(data: Any) -> list[tuple[str, Any]]:
    if not isinstance(data, dict):
        raise ModelError("its card has no figures by name")
    return list(data.items())


def _figures(data: Any) -> dict[str, Figure]:
    figures = {}
    for metric, numbers in _items(data):
        valid = isinstance(numbers, list) and len(numbers) == 4 and all(type(n) in (int, float) for n in numbers)
        if not valid or not all(abs(n) < 2**63 and math.isfinite(n) for n in numbers):
            raise ModelError(f"its card has no valid figure for {metric}; must be [value, low, high, count]")
        figures[old_names.METRICS.get(metric, metric)] = Figure(*numbers)
    return figures
