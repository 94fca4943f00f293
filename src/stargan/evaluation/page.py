"""report.html: one file with nothing outside it, pictures and curves included."""

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from stargan.evaluation.definitions import DEFINITIONS
from stargan.evaluation.measure import Figures, Measured
from stargan.evaluation.metrics import Figure
from stargan.evaluation.report import Entry, differences, table, text
from stargan.evaluation.tasks import ALL

SHOWN = 4  # pictures at either end and in the middle of a metric
EXACT = 96  # pixels; larger pictures are embedded as JPEG, since hundreds of them stand on a page
BAR = 90  # pixels for 100 %
CHART = (220, 80)  # pixels

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 84em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } th, td { padding: .2em .8em; text-align: right; white-space: nowrap }
tr { border-bottom: 1px solid #ddd } th:first-child, td:first-child { text-align: left; white-space: normal }
small { color: #666 } b { color: #05632f } td.bar { text-align: left }
td.bar i { display: inline-block; height: .8em; background: #4a7ebb }
.strip { overflow-x: auto; white-space: nowrap } .strip span { display: inline-block; margin-right: 1em; color: #666 }
.strip img { image-rendering: pixelated; height: 96px; margin: 1px } summary { cursor: pointer }
figure { display: inline-block; margin: .3em; font-size: 12px } svg { background: #f6f6f6; display: block }
pre { background: #f4f4f4; padding: 1em; overflow-x: auto }
"""


def render(entries: Sequence[Entry], settings: Mapping[str, Any]) -> str:
    """The page, as `report.dumps` takes its arguments."""
    said = " · ".join(f"{_safe(name)}: {_safe(value)}" for name, value in settings.items() if value is not None)
    parts = ["<h1>Translations, measured</h1>", f"<p>{said}</p>", _table(entries)]
    parts += [_differences(entries, settings["seed"])]
    for entry in entries:
        measured = entry.measured
        parts += [f"<h2>{_safe(entry.name)}</h2>", _bars("task", measured.figures)]
        parts += [_bars("sources that show", measured.groups)] if measured.groups else []
        parts += [_judge(measured), _skipped(measured), _pictures(measured)]
        if entry.pairs:
            parts += ["<h3>Pairs whose true translations were given</h3>", _truths(entry.pairs), _pictures(entry.pairs)]
        parts += [_curves(entry.curves or {}), *(_about(name, part) for name, part in entry.about.items())]
    body = "\n".join(filter(None, parts))
    head = f'<meta charset="utf-8"><title>stargan evaluate</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _safe(value: object) -> str:
    return html.escape(str(value))


# ---------------------------------------------------------------- figures


def _table(entries: Sequence[Entry]) -> str:
    """All models over all tasks; with several, the best of each row is bold."""
    rows = []
    for said, metric, figures in table(entries):
        better = DEFINITIONS[metric].better
        values = [f.value for f in figures if f and math.isfinite(f.value)]
        best = max(values, key=lambda value: value * better) if better and len(values) > 1 else None
        shown = [f"<b>{text(f)}</b>" if f and f.value == best else text(f) for f in figures]
        counts = "/".join(dict.fromkeys(str(f.count) for f in figures if f))
        told = f"{said}<br><small>{_safe(DEFINITIONS[metric].definition)}</small>"
        rows.append(_row([told, *shown, counts]))
    heads = ["over all tasks, with 95 % intervals", *(_safe(entry.name) for entry in entries), "count"]
    return f"<table>{_row(heads, 'th')}{''.join(rows)}</table>"


def _differences(entries: Sequence[Entry], seed: int) -> str:
    """Each further model against the first; bold where the interval leaves zero out and the model is better."""
    apart = differences(entries, seed)
    rows = []
    for metric in (name for name in DEFINITIONS if any(name in figures for figures in apart.values())):
        cells = []
        for figures in apart.values():
            figure, better = figures.get(metric), DEFINITIONS[metric].better
            wins = figure and better and min(figure.low * better, figure.high * better) > 0
            cells.append(f"<b>{text(figure)}</b>" if wins else text(figure))
        rows.append(_row([metric, *cells]))
    heads = [f"less those of {_safe(entries[0].name)}, picture by picture", *map(_safe, apart)]
    return f"<table>{_row(heads, 'th')}{''.join(rows)}</table>" if rows else ""


def _row(cells: Sequence[str], kind: str = "td") -> str:
    return "<tr>" + "".join(f"<{kind}>{cell}</{kind}>" for cell in cells) + "</tr>"


def _bars(what: str, parts: Figures) -> str:
    """Bars of the shares found and kept, by task or by group of sources, and the other figures."""
    known = {name for figures in parts.values() for name in figures}
    columns = [name for name in ("kid", "real_kid", "identity", "truth_psnr", "rec_psnr") if name in known]
    heads = [what, "asked for and found", "not asked for and kept", *columns, "count"]
    rows = []
    for name, figures in parts.items():
        bars = _bar(figures.get("hit")) + _bar(figures.get("kept"))
        rest = "".join(f"<td>{text(figures.get(metric))}</td>" for metric in columns)
        rows.append(f"<tr><td>{_safe(name)}</td>{bars}{rest}<td>{figures['error'].count}</td></tr>")
    return f"<table>{_row(heads, 'th')}{''.join(rows)}</table>"


def _bar(share: Figure | None) -> str:
    if share is None or not math.isfinite(share.value):
        return "<td>-</td>"
    return f'<td class="bar"><i style="width:{round(BAR * share.value)}px"></i> {share.value:.0%}</td>'


def _truths(measured: Measured) -> str:
    columns = [name for name in DEFINITIONS if name in measured.figures[ALL]]
    rows = [_row([_safe(task), *(text(f[name]) for name in columns)]) for task, f in measured.figures.items()]
    return f"<table>{_row(['target', *columns], 'th')}{''.join(rows)}</table>"


def _judge(measured: Measured) -> str:
    errors = "; ".join(f"{_safe(names)}: {text(figure)}" for names, figure in measured.judge.items())
    return f"<p>The classifiers' own error on the real pictures: {errors}.</p>"


def _skipped(measured: Measured) -> str:
    lines = "".join(f"<li>{_safe(name)}: {_safe(reason)}</li>" for name, reason in measured.skipped.items())
    return f"<p>Not measured:</p><ul>{lines}</ul>" if lines else ""


def _about(name: str, part: Any) -> str:
    plain = json.dumps(part, indent=1, ensure_ascii=False)
    return f"<details><summary>{_safe(name)}</summary><pre>{_safe(plain)}</pre></details>"


# ---------------------------------------------------------------- pictures


def _pictures(measured: Measured) -> str:
    """The best, median and worst translations by each metric: source, translation and, where known, the truth."""
    ranked = [name for name, metric in DEFINITIONS.items() if metric.ranks and name in measured.each]
    return "\n".join(filter(None, (_ends(measured, name) for name in ranked)))


def _ends(measured: Measured, metric: str) -> str:
    meant, numbers = DEFINITIONS[metric], measured.each[metric]
    numbers = numbers.mean(1) if numbers.ndim == 2 else numbers  # of all judges
    kept = np.flatnonzero(np.isfinite(numbers))
    if not len(kept):
        return ""
    order = kept[np.argsort(-numbers[kept] * (meant.better or 1), kind="stable")]
    middle = max(0, (len(order) - SHOWN) // 2)
    names = ("best", "median", "worst") if meant.better else ("highest", "median", "lowest")
    chosen = (order[:SHOWN], order[middle : middle + SHOWN], order[::-1][:SHOWN])
    rows = [
        f'<div class="strip">{name}<br>{"".join(_strip(measured, int(index), numbers[index]) for index in part)}</div>'
        for name, part in zip(names, chosen, strict=True)
    ]
    told = f"Pictures by {metric} <small>{_safe(meant.definition)}</small>"
    rows.insert(0, "<small>Each: source, translation and, where it is known, the true one.</small>")
    return f"<details><summary>{told}</summary>{''.join(rows)}</details>"


def _strip(measured: Measured, index: int, number: float) -> str:
    shown = "".join(_image(picture) for picture in measured.pictures(index))
    return f"<span>{shown}<br><small>{_safe(measured.tasks[index])}, {number:.3g}</small></span>"


def _image(pixels: np.ndarray) -> str:
    kind, settings = ("PNG", {}) if max(pixels.shape) <= EXACT else ("JPEG", {"quality": 92, "subsampling": 0})
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **settings)
    content = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/{kind.lower()};base64,{content}">'


# ---------------------------------------------------------------- curves


def _curves(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    if not curves:
        return ""
    charts = "".join(_chart(name, *points) for name, points in curves.items())
    remark = "each on its own scale. A critic's terms are unbounded: they may be negative and cross zero."
    return f"<h3>Losses of its run</h3><p><small>By step, {remark}</small></p>{charts}"


def _chart(name: str, steps: Sequence[float], values: Sequence[float]) -> str:
    width, height = CHART
    low, high, last = min(values), max(values), max(steps) or 1
    span = high - low or 1
    points = " ".join(
        f"{s / last * width:.1f},{4 + (height - 8) * (high - v) / span:.1f}" for s, v in zip(steps, values, strict=True)
    )
    line = f'<polyline fill="none" stroke="#4a7ebb" points="{points}"/>'
    said = f"{_safe(name)}: {values[0]:.3g} to {values[-1]:.3g}, between {low:.3g} and {high:.3g}; {last:.0f} steps"
    return f'<figure><svg width="{width}" height="{height}">{line}</svg>{said}</figure>'
