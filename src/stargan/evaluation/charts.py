"""Curves with axes, as the parts of an SVG drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 170  # of a chart; the unit is about a pixel
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 8, 34  # margins, for the labels
TICKS = 4  # about how many an axis has


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place in the drawing, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A curve over steps.

    Attributes:
        name: What is drawn.
        points: The curve, as SVG's `polyline` takes it.
        end: Its last point.
        x: The ticks of the horizontal axis.
        y: Those of the vertical axis.
        caption: The figures in words.
    """

    name: str
    points: str
    end: tuple[float, float]
    x: list[Tick]
    y: list[Tick]
    caption: str


def chart(name: str, steps: Sequence[float], values: Sequence[float]) -> Chart:
    """Draws a curve; the horizontal axis begins at 0, the vertical one at a tick below the lowest value."""
    across, up = _ticks(0, max(steps) or 1), _ticks(min(values), max(values))

    def place(step: float, value: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / across[-1]
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (up[-1] - value) / (up[-1] - up[0])

    places = [place(step, value) for step, value in zip(steps, values, strict=True)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    caption = f"from {values[0]:.3g} to {values[-1]:.3g}, between {min(values):.3g} and {max(values):.3g}"
    x_ticks = [Tick(place(step, up[0])[0], _label(step)) for step in across]
    y_ticks = [Tick(place(0, value)[1], _label(value)) for value in up]
    return Chart(name, points, places[-1], x_ticks, y_ticks, caption)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers at equal distances; the first is at most `low`, the last at least `high`."""
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1e-30):  # a constant
        half = (size if size > 1e-30 else 1.0) / 2
        low, high = low - half, high + half
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    distance = next(round_ * power for round_ in (1, 2, 5, 10) if round_ * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / distance + 1e-9), math.ceil(high / distance - 1e-9)
    return [number * distance for number in range(first, last + 1)]


def _label(number: float) -> str:
    """A short number: 0.05, 1.5, 200, 20k, 3M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.4g}{unit}"
    return f"{number:.3g}"
