"""The axes of the curves in a report."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stargan.evaluation import charts

NUMBERS = st.floats(-1e9, 1e9)


def test_ticks_have_round_numbers() -> None:
    drawn = charts.chart("g_rec", [0, 500, 1000], [0.41, 0.2, 0.12])
    assert [tick.label for tick in drawn.x] == ["0", "500", "1k"]
    assert [tick.label for tick in drawn.y] == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert drawn.caption == "from 0.41 to 0.12, between 0.12 and 0.41"


def test_a_value_lies_at_its_tick() -> None:
    drawn = charts.chart("x", [0, 10], [2, 4])
    (low, high) = (next(tick.at for tick in drawn.y if tick.label == label) for label in ("2", "4"))
    first, last = drawn.points.split()
    assert [first, last] == [f"{charts.LEFT:.1f},{low:.1f}", f"{charts.WIDTH - charts.RIGHT:.1f},{high:.1f}"]
    assert low > high  # upwards


@pytest.mark.parametrize("values", [[0.0], [3.0, 3.0], [-1e-9, 1e-9], [1e6, 2.5e6]])
def test_every_curve_has_two_ticks_or_more(values: list[float]) -> None:
    drawn = charts.chart("x", list(range(len(values))), values)
    assert len(drawn.y) >= 2
    assert len({tick.label for tick in drawn.y}) == len(drawn.y)


@given(st.lists(st.tuples(st.floats(0, 1e7), NUMBERS), min_size=1, max_size=5))
def test_all_points_lie_inside(points: list[tuple[float, float]]) -> None:
    drawn = charts.chart("x", *map(list, zip(*points, strict=True)))
    for x, y in re.findall(r"([\d.]+),([\d.]+)", drawn.points):
        assert charts.LEFT - 0.1 <= float(x) <= charts.WIDTH - charts.RIGHT + 0.1
        assert charts.TOP - 0.1 <= float(y) <= charts.HEIGHT - charts.BOTTOM + 0.1
    assert len(drawn.points.split()) == len(points)
    assert 2 <= len(drawn.y) <= 8
