"""Weights of a model for one with other labels, another image size or another D: whatever fits by name and shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains

Arrays = Mapping[str, np.ndarray]

NETWORKS = ("generator", "discriminator", "classifier")
NAMED = 3  # arrays that start fresh which a line names

_LABEL_AXES = (
    (r"generator/layers\.0\.weight", 1, 3),  # behind the channels of the image
    (r"generator/embed\.weight", 1, 0),
    (r"(discriminator|classifier)/cls\.(weight|bias)", 0, 0),
    (r"discriminator/(critic|projected)\.labels\.(weight|bias)", 0, 0),
    (r"discriminator/projected\.matching\.\d+\.parametrizations\.weight\.original", 1, 0),
    (r"discriminator/projected\.matching\.\d+\.parametrizations\.weight\.0\._v", 0, 0),
)
"""Arrays with an entry for each label: names, the axis, and where on it the labels begin. G's have the mask, too."""


@dataclass(frozen=True)
class Transfer:
    """The weights to start from.

    Attributes:
        arrays: All arrays of the new model's networks, by name.
        lines: What was kept and what starts fresh, for the user.
    """

    arrays: dict[str, np.ndarray]
    lines: tuple[str, ...]


def transfer(arrays: Arrays, domains: Domains, fresh: Arrays, own: Domains) -> Transfer:
    """Puts the weights of a model into those of another.

    Args:
        arrays: The arrays of the model file.
        domains: Its labels.
        fresh: The new model's arrays with their initial values.
        own: The new model's labels.
    """
    columns = own.columns_in(domains)
    result: dict[str, np.ndarray] = {}
    unfit: list[str] = []
    for name, initial in fresh.items():
        found = _fitted(name, arrays.get(name), initial, columns)
        if found is None:
            unfit.append(name)
        result[name] = initial if found is None else found
    return Transfer(result, (_labels_line(domains, own, columns), _weights_line(list(fresh), unfit)))


def _fitted(name: str, array: np.ndarray | None, initial: np.ndarray, columns: Mapping[int, int]) -> np.ndarray | None:
    """The array for the new model; None if it does not fit."""
    if array is None:
        return None
    for pattern, axis, start in _LABEL_AXES:
        if re.fullmatch(pattern, name):
            return _with_labels(array, initial, columns, axis, start)
    return np.asarray(array) if array.shape == initial.shape else None


def _with_labels(
    array: np.ndarray, initial: np.ndarray, columns: Mapping[int, int], axis: int, start: int
) -> np.ndarray | None:
    before, now = np.moveaxis(array, axis, 0), np.moveaxis(initial.copy(), axis, 0)
    if before.shape[1:] != now.shape[1:]:
        return None
    now[:start] = before[:start]
    for column, source in columns.items():
        if start + column < len(now) and start + source < len(before):
            now[start + column] = before[start + source]
    return np.moveaxis(now, 0, axis)


def _labels_line(domains: Domains, own: Domains, columns: Mapping[int, int]) -> str:
    kept = [name for column, name in enumerate(own.names) if column in columns]
    new = [name for column, name in enumerate(own.names) if column not in columns]
    gone = [name for column, name in enumerate(domains.names) if column not in columns.values()]
    parts = ("labels kept", kept), ("starting fresh", new), ("left out", gone)
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


def _weights_line(names: list[str], unfit: list[str]) -> str:
    counts = []
    for network in NETWORKS:
        own = [name for name in names if name.startswith(f"{network}/")]
        fits = sum(name not in unfit for name in own)
        counts.append(f"{fits} of {len(own)} of the {network}" if own else "")
    line = f"arrays kept: {', '.join(filter(None, counts))}"
    named = ", ".join(unfit[:NAMED]) + (f" and {len(unfit) - NAMED} more" if len(unfit) > NAMED else "")
    return f"{line}; starting fresh: {named}" if unfit else line
