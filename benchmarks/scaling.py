"""How cost grows: time and memory of an update against image size, batch and labels, and of the loader against images.

One axis is varied at a time, the others stay at the first value of theirs. The exponent of an axis is the slope of the
straight line through the logarithms: 1 means in proportion, 0 means no growth. The image size counts as pixels, width
times height. A set of N images is one image N times, a view that takes no memory: what is measured is reading the list
and drawing batches, not the disk.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from training import PRELOAD, UPDATES, WARM_UPS, Ours, Shape, train_ours

from stargan.data import sources
from stargan.data.batches import Batches, TrainingSet
from stargan.data.celeba import PATTERN
from stargan.domains import Domains

BASE = Shape(size=64, batch=4, width=16, blocks=6, labels=5)
AXES: dict[str, tuple[int, ...]] = {
    "size": (64, 128, 256, 512),
    "batch": (1, 2, 4, 8, 16, 32),
    "labels": (2, 5, 10, 20, 40),
    "images": (1_000, 10_000, 50_000, 200_000),
}
QUICK_BASE = Shape(size=16, batch=2, width=4, blocks=1, labels=2)
QUICK: dict[str, tuple[int, ...]] = {"size": (16, 32), "batch": (1, 4), "labels": (2, 8), "images": (100, 1_000)}
NAMES = ("Male", "Young", "Smiling")  # in the list of images
PAGE = 4096  # the least that is told of memory, since none has no logarithm
DRAWN = 20  # batches that are timed


@dataclass(frozen=True)
class Point:
    """One measurement: what was varied, what was measured, seconds and bytes."""

    axis: str
    value: int
    what: str
    seconds: float
    memory: int

    @property
    def amount(self) -> int:
        """What the cost is held against."""
        return self.value**2 if self.axis == "size" else self.value


# ---------------------------------------------------------------- updates


def updates(axis: str, values: Sequence[int], base: Shape, repeats: int) -> list[Point]:
    """One update of D with its share of G's, for each value of one axis; the values take turns."""
    changes: dict[str, dict[str, Any]] = {str(value): {axis: value} for value in values}
    shapes = {name: replace(base, **change) for name, change in changes.items()}
    memory = {name: measure.peak_memory(train_ours, shape, preload=PRELOAD).own for name, shape in shapes.items()}
    sides = {name: Ours(shape) for name, shape in shapes.items()}
    for side in sides.values():
        for _ in range(WARM_UPS[base.device]):
            side.group(1)
    seconds = measure.in_turns({name: side.group for name, side in sides.items()}, repeats)
    return [Point(axis, int(name), "update", median(seconds[name]) / UPDATES, memory[name]) for name in sides]


# ---------------------------------------------------------------- the loader


def loader(values: Sequence[int], base: Shape, repeats: int) -> list[Point]:
    """Reading a list of so many images, and drawing a batch of them."""
    points = []
    with tempfile.TemporaryDirectory() as place:
        folders = {count: write_list(Path(place) / str(count), count) for count in values}
        listed = {str(n): partial(measure.seconds_of, partial(sources.find, path)) for n, path in folders.items()}
        drawn = {str(n): partial(draw_batches, path, base) for n, path in folders.items()}
        memory = {n: measure.peak_memory(draw_batches, path, base, preload=PRELOAD).own for n, path in folders.items()}
        reading, drawing = measure.in_turns(listed, repeats), measure.in_turns(drawn, repeats)
    for count in values:
        points.append(Point("images", count, "read list", median(reading[str(count)]), memory[count]))
        points.append(Point("images", count, "draw batch", median(drawing[str(count)]), memory[count]))
    return points


def write_list(folder: Path, count: int) -> Path:
    """A data set in CelebA's format of which only the first picture is really there."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = [f"{index:06}.jpg {' '.join(map(str, row))}" for index, row in enumerate(_signs(rng, count), 1)]
    lines = [str(count), " ".join(NAMES), *rows]
    (folder / PATTERN.replace("*", "")).write_text("\n".join(lines) + "\n")
    Image.new("RGB", (4, 4)).save(folder / "000001.jpg")
    return folder


def _signs(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.choice(np.array([-1, 1]), (count, len(NAMES)))


def draw_batches(folder: Path, base: Shape) -> float:
    """Seconds of one batch: the median, so that the order of an epoch, drawn once, does not count."""
    source = sources.find(folder)
    domains = Domains((source.label_set,))
    image = np.zeros((1, base.size, base.size, 3), np.uint8)
    pixels = np.broadcast_to(image, (len(source.files), *image.shape[1:]))
    part = TrainingSet(pixels, domains.pad(source.labels, 0), source.rows("train"))
    batches = Batches([part], domains, batch_size=base.batch, seed=0)
    return median(measure.seconds_of(partial(batches.batch, step)) for step in range(DRAWN))


# ---------------------------------------------------------------- what came out


def exponents(points: Sequence[Point]) -> list[dict[str, Any]]:
    """One row for each axis and work."""
    rows = []
    for axis, what in dict.fromkeys((point.axis, point.what) for point in points):
        line = [point for point in points if (point.axis, point.what) == (axis, what)]
        amounts = [point.amount for point in line]
        rows.append(
            {
                "axis": "pixels" if axis == "size" else axis,
                "work": what,
                "time exponent": measure.growth(amounts, [point.seconds for point in line]),
                "memory exponent": measure.growth(amounts, [max(point.memory, PAGE) for point in line]),
            }
        )
    return rows


COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e")
PANEL, MARGIN = (440, 360), 56


def plot(points: Sequence[Point], path: Path) -> None:
    """Draws time and memory, both in multiples of each axis's smallest, on logarithmic scales."""
    sheet = Image.new("RGB", (2 * PANEL[0], PANEL[1]), "white")
    panels: list[tuple[str, Callable[[Point], float]]] = [
        ("time of one update, batch or list", lambda point: point.seconds),
        ("peak memory", lambda point: max(point.memory, PAGE)),
    ]
    for index, (title, cost) in enumerate(panels):
        lines: dict[str, list[tuple[float, float]]] = {}
        for axis, what in dict.fromkeys((point.axis, point.what) for point in points):
            line = [point for point in points if (point.axis, point.what) == (axis, what)]
            ratios = [(point.amount / line[0].amount, cost(point) / cost(line[0])) for point in line]
            lines[f"{'pixels' if axis == 'size' else axis}: {what}"] = ratios
        panel = Image.new("RGB", PANEL, "white")
        _draw_panel(panel, title, lines)
        sheet.paste(panel, (index * PANEL[0], 0))
    sheet.save(path)


def _draw_panel(panel: Image.Image, title: str, lines: dict[str, list[tuple[float, float]]]) -> None:
    pen, font = ImageDraw.Draw(panel), ImageFont.load_default(12)
    everything = np.log10([pair for line in lines.values() for pair in line])
    low, high = np.floor(everything.min(axis=0) + 0.1), np.ceil(everything.max(axis=0))  # noise below 1 is no decade
    high = np.maximum(high, low + 1)
    area = np.array(PANEL) - 2 * MARGIN

    def place(pair: tuple[float, float]) -> tuple[float, float]:
        share = (np.log10(pair) - low) / (high - low)
        return MARGIN + share[0] * area[0], PANEL[1] - MARGIN - share[1] * area[1]

    pen.text((PANEL[0] / 2, 16), title, "black", font, "mm")
    pen.text((PANEL[0] / 2, PANEL[1] - 14), "times the smallest", "black", font, "mm")
    for power in range(int(low[0]), int(high[0]) + 1):
        x, bottom = place((10**power, 10 ** low[1]))
        pen.line((x, bottom, x, MARGIN), "#dddddd")
        pen.text((x, bottom + 12), f"{10**power:g}", "black", font, "mm")
    for power in range(int(low[1]), int(high[1]) + 1):
        left, y = place((10 ** low[0], 10**power))
        pen.line((left, y, PANEL[0] - MARGIN, y), "#dddddd")
        pen.text((left - 6, y), f"{10**power:g}", "black", font, "rm")
    end = 10 ** min(high)
    pen.line((*place((1, 1)), *place((end, end))), "#999999")
    pen.text((MARGIN + 8, MARGIN + 10 + 15 * len(lines)), "in proportion", "#999999", font, "lm")
    for index, (name, line) in enumerate(lines.items()):
        colour = COLOURS[index % len(COLOURS)]
        pen.line([place(pair) for pair in line], colour, 2)
        for x, y in map(place, line):
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
        pen.text((MARGIN + 8, MARGIN + 10 + 15 * index), name, colour, font, "lm")


# ---------------------------------------------------------------- the command line


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = measure.parser(__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--width", type=measure.at_least_one, help=f"channels of the first layers; {BASE.width}")
    parser.add_argument("--plot", type=Path, help="draw the lines into this .png file")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, only to see that it runs")
    return parser.parse_args()


def main() -> None:
    """Measures and prints."""
    options = arguments()
    base, axes = (QUICK_BASE, QUICK) if options.quick else (BASE, AXES)
    base = replace(base, device=options.device, width=options.width or base.width)
    base.config()  # refuses what cannot be built
    measure.settle(options.device, options.threads)
    repeats = options.repeats or 3
    points = [point for axis in ("size", "batch", "labels") for point in updates(axis, axes[axis], base, repeats)]
    points += loader(axes["images"], base, repeats)

    told = measure.machine()
    print(*(f"{name}: {value}" for name, value in told.items()), sep="\n")
    print(f"\n{base.size} px, batch {base.batch}, width {base.width}, {base.labels} labels, but for what is varied\n")
    rows = [
        {"axis": p.axis, "value": p.value, "work": p.what, "ms": 1e3 * p.seconds, "memory MiB": p.memory / measure.MIB}
        for p in points
    ]
    slopes = exponents(points)
    print(measure.table(rows), measure.table(slopes), sep="\n\n")
    if options.plot:
        plot(points, options.plot)
    measure.keep(options.json, {"points": rows, "exponents": slopes}, told)


if __name__ == "__main__":
    sys.exit(measure.command(main))
