"""report.html: one self-contained file, including images and curves."""

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from stargan.evaluation import charts
from stargan.evaluation.definitions import DEFINITIONS
from stargan.evaluation.measure import Measurements
from stargan.evaluation.report import Report, text
from stargan.evaluation.tasks import ALL
from stargan.model.figure import Figure

TEMPLATE = "report.html.jinja"
EXAMPLES = 4  # images shown for the best, the median and the worst values of a metric
LOSSLESS = 96  # pixels; larger images are embedded as JPEG, since a page has hundreds of them
TASK_METRICS = ("kid", "matched_kid", "identity", "truth_psnr", "rec_psnr")  # beside the bars for each task


def render(report: Report) -> str:
    """Formats a report as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["figure"] = text
    environment.filters["plain_json"] = lambda data: json.dumps(data, indent=1, ensure_ascii=False)
    return environment.get_template(TEMPLATE).render(
        settings={name: value for name, value in report.settings.items() if value is not None},
        names=[result.name for result in report.models],
        overall=_overall(report),
        differences=_differences(report),
        models=[
            {
                "name": result.name,
                "tables": _tables(result.measurements),
                "classifier_errors": result.measurements.classifier_errors,
                "not_measured": result.measurements.not_measured,
                "examples": _examples(result.measurements),
                "pairs": result.pairs and _pairs(result.pairs),
                "charts": [charts.chart(name, *points) for name, points in result.curves.items()],
                "about": result.about,
            }
            for result in report.models
        ],
        drawing=charts,
    )


# ---------------------------------------------------------------- figures


def _overall(report: Report) -> list[dict[str, Any]]:
    """All models over all tasks; if there are several, the best of each row is bold."""
    rows = []
    for title, metric, figures in report.rows():
        better = DEFINITIONS[metric].better
        values = [f.value for f in figures if f and math.isfinite(f.value)]
        best = max(values, key=lambda value: value * better) if better and len(values) > 1 else None
        cells = [(figure, bool(figure and figure.value == best)) for figure in figures]
        counts = "/".join(dict.fromkeys(str(figure.count) for figure in figures if figure))
        rows.append({"title": title, "definition": DEFINITIONS[metric].definition, "cells": cells, "count": counts})
    return rows


def _differences(report: Report) -> list[dict[str, Any]]:
    """The other models against the first; bold if the whole interval is on the better side of zero."""
    differences = report.differences
    rows = []
    for metric in (name for name in DEFINITIONS if any(name in figures for figures in differences.values())):
        figures = [differences.get(result.name, {}).get(metric) for result in report.models[1:]]
        rows.append({"title": metric, "cells": [(f, _is_better(f, DEFINITIONS[metric].better)) for f in figures]})
    return rows


def _is_better(figure: Figure | None, better: int) -> bool:
    return bool(figure and better and min(figure.low * better, figure.high * better) > 0)


def _tables(measurements: Measurements) -> list[dict[str, Any]]:
    """Figures by task and by group of source images."""
    tables = []
    for title, table in (("task", measurements.figures), ("source images with", measurements.groups)):
        present = {name for figures in table.values() for name in figures}
        columns = [name for name in TASK_METRICS if name in present]
        if table:
            tables.append({"title": title, "columns": columns, "rows": table})
    return tables


def _pairs(measurements: Measurements) -> dict[str, Any]:
    columns = [name for name in DEFINITIONS if name in measurements.figures[ALL]]
    return {"columns": columns, "rows": measurements.figures, "examples": _examples(measurements)}


# ---------------------------------------------------------------- images


def _examples(measurements: Measurements) -> list[dict[str, Any]]:
    """By metric, the translations with the best, median and worst values."""
    ranked = [name for name, metric in DEFINITIONS.items() if metric.ranks and name in measurements.values]
    return [found for found in (_examples_by(measurements, name) for name in ranked) if found]


def _examples_by(measurements: Measurements, metric: str) -> dict[str, Any] | None:
    values, better = measurements.values[metric], DEFINITIONS[metric].better
    values = values.mean(1) if values.ndim == 2 else values  # mean over classifiers
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    order = known[np.argsort(-values[known] * (better or 1), kind="stable")]
    middle = max(0, (len(order) - EXAMPLES) // 2)
    titles = ("best", "median", "worst") if better else ("highest", "median", "lowest")
    parts = (order[:EXAMPLES], order[middle : middle + EXAMPLES], order[::-1][:EXAMPLES])
    strips = [
        (
            title,
            [
                {
                    "images": [_data_uri(pixels) for pixels in measurements.images(int(index))],
                    "task": measurements.tasks[index],
                    "value": f"{values[index]:.3g}",
                }
                for index in part
            ],
        )
        for title, part in zip(titles, parts, strict=True)
    ]
    return {"metric": metric, "definition": DEFINITIONS[metric].definition, "strips": strips}


def _data_uri(pixels: np.ndarray) -> str:
    kind, settings = ("PNG", {}) if max(pixels.shape) <= LOSSLESS else ("JPEG", {"quality": 92, "subsampling": 0})
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **settings)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
