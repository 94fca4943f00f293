"""How cost grows: time and memory of an update with image size, batch size and labels, of the loader with images.

One axis is varied at a time. The exponent of an axis is the slope of the least-squares line through the logarithms: 1
means proportional, 0 means no growth. Image size counts in pixels, width times height. A data set of N images is one
image repeated N times without extra memory: this measures reading the list and drawing batches, not the disk.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
from PIL import Image
from training import PRELOAD, UPDATES, WARM_UPS, Ours, Shape, train_ours

from stargan.data import sources
from stargan.data.batches import Batches, TrainingSet
from stargan.data.celeba import PATTERN
from stargan.domains import Domains
from stargan.errors import require

BASE = Shape(size=64, batch=4, width=16, blocks=6, labels=5)
AXES: dict[str, tuple[int, ...]] = {
    "size": (64, 128, 256, 512),
    "batch": (1, 2, 4, 8, 16, 32),
    "labels": (2, 5, 10, 20, 40),
    "images": (1_000, 10_000, 50_000, 200_000),
}
QUICK_BASE = Shape(size=16, batch=2, width=4, blocks=1, labels=2)
QUICK: dict[str, tuple[int, ...]] = {"size": (16, 32), "batch": (1, 4), "labels": (2, 8), "images": (100, 1_000)}
NAMES = ("Male", "Young", "Smiling")  # labels in the list of images
PAGE = 4096  # minimum memory in bytes, since zero has no logarithm
BATCHES = 20  # batches that are timed


@dataclass(frozen=True)
class Point:
    """One measurement: the varied axis and its value, the work, seconds and bytes."""

    axis: str
    value: int
    work: str
    seconds: float
    memory: int

    @property
    def amount(self) -> int:
        """The value that the cost is compared with."""
        return self.value**2 if self.axis == "size" else self.value


# ---------------------------------------------------------------- updates


def updates(axis: str, values: Sequence[int], base: Shape, repeats: int) -> list[Point]:
    """Measures an update of D with its share of an update of G, for each value of one axis; the values take turns."""
    changes: dict[str, dict[str, Any]] = {str(value): {axis: value} for value in values}
    shapes = {name: replace(base, **change) for name, change in changes.items()}
    memory = {name: measure.peak_memory(train_ours, shape, preload=PRELOAD).own for name, shape in shapes.items()}
    sides = {name: Ours(shape) for name, shape in shapes.items()}
    for side in sides.values():
        for _ in range(WARM_UPS[base.device]):
            side.group(1)
    seconds = measure.alternate({name: side.group for name, side in sides.items()}, repeats)
    return [Point(axis, int(name), "update", median(seconds[name]) / UPDATES, memory[name]) for name in sides]


# ---------------------------------------------------------------- the loader


def loader(values: Sequence[int], base: Shape, repeats: int) -> list[Point]:
    """Measures reading a list of images and drawing a batch, for each number of images."""
    points = []
    with tempfile.TemporaryDirectory() as place:
        folders = {count: write_list(Path(place) / str(count), count) for count in values}
        listed = {str(n): partial(measure.seconds_of, partial(sources.find, path)) for n, path in folders.items()}
        drawn = {str(n): partial(draw_batches, path, base) for n, path in folders.items()}
        memory = {n: measure.peak_memory(draw_batches, path, base, preload=PRELOAD).own for n, path in folders.items()}
        reading, drawing = measure.alternate(listed, repeats), measure.alternate(drawn, repeats)
    for count in values:
        points.append(Point("images", count, "read list", median(reading[str(count)]), memory[count]))
        points.append(Point("images", count, "draw batch", median(drawing[str(count)]), memory[count]))
    return points


def write_list(folder: Path, count: int) -> Path:
    """Writes a data set in CelebA's format with only the first image file."""
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
    """Median seconds of one batch, so that the order of an epoch, which is drawn once, does not count."""
    source = sources.find(folder)
    domains = Domains((source.label_set,))
    image = np.zeros((1, base.size, base.size, 3), np.uint8)
    pixels = np.broadcast_to(image, (len(source.files), *image.shape[1:]))
    part = TrainingSet(pixels, domains.pad(source.labels, 0), source.rows("train"))
    batches = Batches([part], domains, batch_size=base.batch, seed=0)
    return median(measure.seconds_of(partial(batches.batch, step)) for step in range(BATCHES))


# ---------------------------------------------------------------- results


def exponents(points: Sequence[Point]) -> list[dict[str, Any]]:
    """One row for each axis and work."""
    rows = []
    for (axis, work), line in lines_of(points).items():
        amounts = [point.amount for point in line]
        rows.append(
            {
                "axis": axis,
                "work": work,
                "time exponent": measure.growth(amounts, [point.seconds for point in line]),
                "memory exponent": measure.growth(amounts, [max(point.memory, PAGE) for point in line]),
            }
        )
    return rows


def lines_of(points: Sequence[Point]) -> dict[tuple[str, str], list[Point]]:
    """The points of each axis and work."""
    lines: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        lines.setdefault(("pixels" if point.axis == "size" else point.axis, point.work), []).append(point)
    return lines


def plot(points: Sequence[Point], path: Path) -> None:
    """Draws time and memory as multiples of those at the smallest value of each axis, on logarithmic scales."""
    from matplotlib.figure import Figure  # without pyplot, which looks for a display

    figure = Figure(figsize=(10, 4), layout="constrained")
    time_axes, memory_axes = figure.subplots(1, 2)
    time_axes.set_title("time of an update, a batch or a list")
    memory_axes.set_title("peak memory")
    for (axis, work), line in lines_of(points).items():
        amounts = [point.amount / line[0].amount for point in line]
        memory = [max(point.memory, PAGE) for point in line]
        time_axes.plot(amounts, [p.seconds / line[0].seconds for p in line], marker="o", label=f"{axis}: {work}")
        memory_axes.plot(amounts, [amount / memory[0] for amount in memory], marker="o", label=f"{axis}: {work}")
    for axes in (time_axes, memory_axes):
        axes.set(xscale="log", yscale="log", xlabel="multiple of the smallest value", ylabel="multiple of its cost")
        axes.axline((1, 1), (10, 10), color="gray", linewidth=1, label="proportional")
        axes.grid(alpha=0.3)
    time_axes.legend()
    figure.savefig(path)


# ---------------------------------------------------------------- the command line


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = measure.parser(__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--width", type=measure.at_least_one, help=f"channels of the first layers; {BASE.width}")
    parser.add_argument("--plot", type=Path, help="write a plot to this file (.png, .svg, ...)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, only to check that it runs")
    return parser.parse_args()


def main() -> None:
    """Measures and prints."""
    options = arguments()
    base, axes = (QUICK_BASE, QUICK) if options.quick else (BASE, AXES)
    base = replace(base, device=options.device, width=options.width or base.width)
    base.config()  # raises an error if such networks cannot be built
    if options.plot:
        require("matplotlib", "plots", "draw plots")  # before measuring
    measure.use_device(options.device, options.threads)
    repeats = options.repeats or 3
    points = [point for axis in ("size", "batch", "labels") for point in updates(axis, axes[axis], base, repeats)]
    points += loader(axes["images"], base, repeats)

    machine = measure.machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    print(
        f"\n{base.size} px, batch {base.batch}, width {base.width}, {base.labels} labels, except on the varied axis\n"
    )
    rows = [
        {"axis": p.axis, "value": p.value, "work": p.work, "ms": 1e3 * p.seconds, "memory MiB": p.memory / measure.MIB}
        for p in points
    ]
    slopes = exponents(points)
    print(measure.table(rows), measure.table(slopes), sep="\n\n")
    if options.plot:
        plot(points, options.plot)
    measure.write_json(options.json, {"points": rows, "exponents": slopes}, machine)


if __name__ == "__main__":
    sys.exit(measure.command(main))
