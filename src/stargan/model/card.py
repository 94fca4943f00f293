"""A model card: how well a model does what it can be asked for, and for whom, on pictures it was not trained on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stargan.errors import ModelError

METRICS = (
    "error", "real_error", "kept", "real_kept", "kid", "idle_kid", "real_kid", "rec_psnr",
    "identity", "stranger", "background", "sharpness", "truth_psnr", "idle_psnr",
)  # fmt: skip
"""What a card takes over from a report; `stargan evaluate` defines them."""
MEASURED = ("data", "split", "pictures", "skip", "protocol", "judges", "seed")
GROUP_METRICS = ("error", "kept", "identity")
ALL = "all"
MODEL = "What the model says"  # heading, in a report, of what `ModelInfo` holds
BAD = 0.5  # of the translations of a task: from this share of failures on, a user is warned


@dataclass(frozen=True)
class Score:
    """A figure with its 95 % interval, of `count` samples."""

    value: float
    low: float
    high: float
    count: int


Scores = Mapping[str, Mapping[str, Score]]


@dataclass(frozen=True)
class Card:
    """What was measured, and what somebody has to say about it.

    Attributes:
        measured: How it was measured, by the names in `MEASURED`.
        tasks: By task, `all` among them, then by metric.
        groups: By a label of the sources, `Male`, and its absence, `Male=0`; then by metric.
        limits: What the model should not be used for, in words.
    """

    measured: Mapping[str, str | int]
    tasks: Scores
    groups: Scores
    limits: str

    def warnings(self, asked: Sequence[str] | None = None) -> list[str]:
        """What to know before translating.

        Args:
            asked: Tasks, as `Domains.every` words them; default: all that were measured.

        Returns:
            A line for each that fails in half of the cases or more.
        """
        asked = [task for task in self.tasks if task != ALL] if asked is None else asked
        found = [(task, self.tasks[task]["error"]) for task in asked if "error" in self.tasks.get(task, {})]
        return [
            f"{task}: this model fails at it in {error.value:.0%} of {error.count} test pictures"
            for task, error in found
            if error.value >= BAD
        ]

    def to_json(self) -> dict[str, Any]:
        """As a plain dict; a score is [value, low, high, count]."""
        parts = {"tasks": self.tasks, "groups": self.groups}
        plain = {
            part: {
                name: {metric: list(vars(score).values()) for metric, score in scores.items()}
                for name, scores in by_name.items()
            }
            for part, by_name in parts.items()
        }
        return {"measured": dict(self.measured), **plain, "limits": self.limits}

    @classmethod
    def from_json(cls, data: Any) -> "Card":
        """The inverse of `to_json`, checked.

        Raises:
            ModelError: It is of another form.
        """
        if not isinstance(data, dict) or data.keys() != {"measured", "tasks", "groups", "limits"}:
            raise ModelError("its card does not have exactly measured, tasks, groups and limits")
        measured, limits = data["measured"], data["limits"]
        plain = isinstance(measured, dict) and all(isinstance(value, str | int) for value in measured.values())
        if not plain or not isinstance(limits, str):
            raise ModelError("its card does not say in plain words what was measured and what the limits are")
        tasks, groups = ({n: _scores(s) for n, s in _items(data[part])} for part in ("tasks", "groups"))
        return cls(measured, tasks, groups, limits)

    @classmethod
    def from_report(cls, report: Any, limits: str, domains: Any) -> "Card":
        """From the report.json of `stargan evaluate`, of one model.

        Args:
            report: What the file holds.
            limits: As of a card.
            domains: What the model can be asked for, as its file says it.

        Raises:
            ModelError: It is not such a report, or one of a model with other domains.
        """
        try:
            (model,) = report["models"].values()
            if model["about"][MODEL]["domains"] != domains:
                raise ModelError("the report of a model with other domains")
            how = {"judges": 1, **report}  # reports from before several judged do not say it
            return cls(
                {name: how[name] for name in MEASURED},
                {task: _taken(figures, METRICS) for task, figures in model["figures"].items()},
                {group: _taken(figures, GROUP_METRICS) for group, figures in model["groups"].items()},
                limits,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError("not the report.json of one model, as `stargan evaluate` writes it") from error


def _taken(figures: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, Score]:
    kept = {name: figures[name] for name in metrics if name in figures}
    return {name: Score(**figure) for name, figure in kept.items() if None not in figure.values()}


def _items(data: Any) -> list[tuple[str, Any]]:
    if not isinstance(data, dict):
        raise ModelError("its card has no figures by name")
    return list(data.items())


def _scores(data: Any) -> dict[str, Score]:
    scores = {}
    for metric, numbers in _items(data):
        right = isinstance(numbers, list) and len(numbers) == 4 and all(type(n) in (int, float) for n in numbers)
        if not right or not all(abs(n) < 2**63 and math.isfinite(n) for n in numbers):
            raise ModelError(f"its card says nothing understandable about {metric}; must be [value, low, high, count]")
        scores[metric] = Score(*numbers)
    return scores
