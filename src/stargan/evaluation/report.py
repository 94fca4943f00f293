"""report.json, with every figure and what it means, and report.html, one file that shows them."""

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stargan.evaluation.measure import ALL, DEFINITIONS, Measured
from stargan.evaluation.metrics import Figure
from stargan.evaluation.subjects import Subject
from stargan.modelfile import write_bytes

FORMAT = "stargan-report-1"
SHOWN = 4  # pictures at either end and in the middle of a metric
LOOKED_AT = ("truth_psnr", "rec_psnr", "kept", "background", "sharpness")  # metrics that pictures are shown by
CURVES = ("d_cls", "g_cls", "g_rec", "labeller")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse } th, td { padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } small { color: #666 } b { color: #05632f }
td { white-space: nowrap }
.bar { display: inline-block; height: .8em; background: #4a7ebb; vertical-align: baseline }
.strip img { image-rendering: pixelated; height: 96px; margin: 1px } .strip { overflow-x: auto; white-space: nowrap }
pre { background: #f4f4f4; padding: 1em; overflow-x: auto } svg { background: #fafafa; border: 1px solid #ddd }
"""


@dataclass(frozen=True)
class Entry:
    """One model in a report.

    Attributes:
        name: What it is called.
        about: What it says about itself, as plain data.
        subject: The pictures it was measured on.
        measured: What was found.
        curves: By name of a loss, (steps, values); empty where its run is not known.
    """

    name: str
    about: Mapping[str, Any]
    subject: Subject
    measured: Measured
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]


def write(out: Path, entries: Sequence[Entry], settings: Mapping[str, Any]) -> list[Path]:
    """Writes report.json and report.html into a folder.

    Args:
        out: The folder; made if it is not there.
        entries: The models, measured on the same pictures.
        settings: Data, split, protocol, seed and so on, as plain data.
    """
    files = {"report.json": _json(entries, settings), "report.html": _html(entries, settings)}
    for name, content in files.items():
        write_bytes(out / name, content.encode())
    return [out / name for name in files]


def overall(entries: Sequence[Entry]) -> str:
    """The figures over all tasks, side by side, as text."""
    lines = [f"{'':18}" + "".join(f"{entry.name[-20:]:>22}" for entry in entries)]
    for metric in _metrics(entries):
        figures = [entry.measured.figures[ALL].get(metric) for entry in entries]
        lines.append(f"{metric:18}" + "".join(f"{_text(figure):>22}" for figure in figures))
    return "\n".join(lines)


# ---------------------------------------------------------------- JSON


def _json(entries: Sequence[Entry], settings: Mapping[str, Any]) -> str:
    models = {
        entry.name: {
            "about": entry.about,
            "classifier_error_on_real_pictures": _plain(entry.measured.real_error),
            "kid_of_real_pictures": entry.measured.real_kid and _plain(entry.measured.real_kid),
            "figures": {
                task: {name: _plain(figure) for name, figure in figures.items()}
                for task, figures in entry.measured.figures.items()
            },
        }
        for entry in entries
    }
    definitions = {name: DEFINITIONS[name].definition for name in _metrics(entries)}
    report = {"format": FORMAT, **settings, "definitions": definitions, "models": models}
    return json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(figure: Figure) -> dict[str, float | int | None]:
    numbers = {name: value if math.isfinite(value) else None for name, value in vars(figure).items()}
    return numbers


def _metrics(entries: Sequence[Entry]) -> list[str]:
    return [name for name in DEFINITIONS if any(name in entry.measured.figures[ALL] for entry in entries)]


def _text(figure: Figure | None) -> str:
    if figure is None or not math.isfinite(figure.value):
        return "-"
    if not math.isfinite(figure.low):
        return f"{figure.value:.3g}"
    return f"{figure.value:.3g} ({figure.low:.3g}..{figure.high:.3g})"


# ---------------------------------------------------------------- HTML


def _html(entries: Sequence[Entry], settings: Mapping[str, Any]) -> str:
    parts = ["<h1>Translations, measured</h1>", f"<p>{_said(settings)}</p>", _table(entries)]
    for entry in entries:
        parts += [f"<h2>{html.escape(entry.name)}</h2>", _tasks(entry), _pictures(entry), _curves(entry)]
        about = json.dumps(entry.about, indent=1, ensure_ascii=False)
        parts.append(f"<details><summary>Configuration</summary><pre>{html.escape(about)}</pre></details>")
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>stargan evaluate</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _said(settings: Mapping[str, Any]) -> str:
    return " · ".join(f"{html.escape(str(name))}: {html.escape(str(value))}" for name, value in settings.items())


def _table(entries: Sequence[Entry]) -> str:
    """All models over all tasks; the best of each row is bold."""
    heads = "".join(f"<th>{html.escape(entry.name)}</th>" for entry in entries)
    rows = []
    for metric in _metrics(entries):
        figures = [entry.measured.figures[ALL].get(metric) for entry in entries]
        scores = [f.value * DEFINITIONS[metric].better if f and math.isfinite(f.value) else -math.inf for f in figures]
        best = max(scores) if DEFINITIONS[metric].better and len(entries) > 1 else None
        cells = "".join(
            f"<td>{'<b>' * (score == best)}{_text(figure)}{'</b>' * (score == best)}</td>"
            for figure, score in zip(figures, scores, strict=True)
        )
        told = html.escape(DEFINITIONS[metric].definition)
        rows.append(f"<tr><td>{metric}<br><small>{told}</small></td>{cells}</tr>")
    real = "".join(f"<td>{_text(entry.measured.real_error)}</td>" for entry in entries)
    rows.append(f"<tr><td>the classifier's own error on real pictures, over all labels</td>{real}</tr>")
    if any(entry.measured.real_kid for entry in entries):
        real = "".join(f"<td>{_text(entry.measured.real_kid)}</td>" for entry in entries)
        rows.append(f"<tr><td>kid of real held-out pictures: what a perfect model could reach</td>{real}</tr>")
    return f"<table><tr><th>over all tasks</th>{heads}</tr>{''.join(rows)}</table>"


def _tasks(entry: Entry) -> str:
    """Bars of the share found and of the share kept, by task."""
    rows = []
    for task, figures in entry.measured.figures.items():
        cells = []
        for share in (1 - figures["error"].value, figures["kept"].value if "kept" in figures else math.nan):
            width = 0 if math.isnan(share) else round(160 * share)
            said = "-" if math.isnan(share) else f"{share:.0%}"
            cells.append(f'<td style="text-align:left"><span class="bar" style="width:{width}px"></span> {said}</td>')
        others = [_text(figures.get(name)) for name in ("kid", "truth_psnr", "rec_psnr")]
        rest = "".join(f"<td>{text}</td>" for text in others)
        rows.append(f"<tr><td>{html.escape(task)}</td>{''.join(cells)}{rest}<td>{figures['error'].count}</td></tr>")
    heads = "".join(f"<th>{head}</th>" for head in ("task", "found", "kept", "kid", "truth_psnr", "rec_psnr", "count"))
    return f"<table><tr>{heads}</tr>{''.join(rows)}</table>"


def _pictures(entry: Entry) -> str:
    """The best, median and worst translations by each metric: source, translation and, where known, the truth."""
    parts = []
    for metric in LOOKED_AT:
        numbers = entry.measured.each[metric]
        kept = np.flatnonzero(np.isfinite(numbers))
        if not len(kept):
            continue
        order = kept[np.argsort(numbers[kept] * (DEFINITIONS[metric].better or 1), kind="stable")[::-1]]
        middle = max(0, len(order) // 2 - SHOWN // 2)
        ends = {"best": order[:SHOWN], "median": order[middle : middle + SHOWN], "worst": order[-SHOWN:]}
        if not DEFINITIONS[metric].better:
            ends = {"highest": ends["best"], "median": ends["median"], "lowest": ends["worst"]}
        parts.append(f"<h3>By {metric}</h3><p><small>{html.escape(DEFINITIONS[metric].definition)}</small></p>")
        for end, chosen in ends.items():
            strips = " &nbsp; ".join(_strip(entry, int(index), float(numbers[index])) for index in chosen)
            parts.append(f'<div class="strip">{end}: {strips}</div>')
    return "\n".join(parts)


def _strip(entry: Entry, index: int, number: float) -> str:
    asked, subject = entry.measured.asked, entry.subject
    row, task = int(asked.rows[index]), str(asked.tasks[index])
    pictures = [subject.held[0][row], entry.measured.translated[index]]
    truth = subject.truth(row, asked.wanted[index]) if subject.truth else None
    pictures += [] if truth is None else [truth]
    shown = "".join(_image(picture) for picture in pictures)
    return f'<span title="picture {row}, {html.escape(task)}, {number:.3g}">{shown}</span>'


def _image(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(buffer, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _curves(entry: Entry) -> str:
    """The losses of its run, each scaled to its own range."""
    lines = []
    colours = ("#4a7ebb", "#c0504d", "#6a9a3b", "#8064a2")
    for (name, (steps, values)), colour in zip(entry.curves.items(), colours, strict=False):
        high, last = max(values) or 1, max(steps) or 1
        points = " ".join(
            f"{600 * s / last:.1f},{150 - 140 * v / high:.1f}" for s, v in zip(steps, values, strict=True)
        )
        said = f"{html.escape(name)}: 0 to {high:.3g}"
        lines.append(f'<polyline fill="none" stroke="{colour}" points="{points}"><title>{said}</title></polyline>')
        lines.append(f'<text x="470" y="{20 + 16 * len(lines) // 2}" fill="{colour}" font-size="12">{said}</text>')
    if not lines:
        return ""
    return f'<h3>Losses of its run</h3><svg width="600" height="160">{"".join(lines)}</svg>'
