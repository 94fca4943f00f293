"""An estimate with its 95 % confidence interval: what reports and model cards hold."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """An estimate with its 95 % confidence interval.

    Attributes:
        value: The estimate; NaN if there were no samples.
        low: Lower end of the interval; NaN if unknown.
        high: Upper end of the interval; NaN if unknown.
        count: Number of samples.
    """

    value: float
    low: float
    high: float
    count: int


FigureTable = Mapping[str, Mapping[str, Figure]]
"""Figures by task (or by group of source images), then by metric."""
