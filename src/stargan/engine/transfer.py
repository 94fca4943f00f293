"""Weights of a model for one with other labels, another image size or another D: whatever fits.

Most arrays do if they have the same name and shape. Some depend on the image size and are converted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains
from stargan.domains.sharing import common_columns

Arrays = Mapping[str, np.ndarray]

NETWORKS = ("generator", "discriminator", "classifier")
NAMED = 3  # arrays that start fresh which a line names

_LABEL_AXES = (
    (r"generator/layers\.0\.weight", 1, 3),  # behind the channels of the image
    (r"generator/embed\.weight", 1, 0),
    (r"(discriminator|classifier)/cls\.(weight|bias)", 0, 0),
    (r"discriminator/(critic|projected)\.labels\.(weight|bias)", 0, 0),
    (r"discriminator/(critic|projected)\.confidence\.(on|off)", 0, 0),
    (r"discriminator/critic\.(fine|coarse)\.(weight|bias)", 0, 1),  # behind the score that does not depend on labels
    (r"discriminator/projected\.matching\.\d+\.parametrizations\.weight\.original", 1, 0),
    (r"discriminator/projected\.matching\.\d+\.parametrizations\.weight\.0\._v", 0, 0),
)
"""Arrays with an entry for each label: names, the axis, and where on it the labels begin. G's have the mask, too."""

_FOLDED = (
    (r"generator/(stem|refine\.look)\.weight", 1, 3),
    (r"generator/refine\.last\.(weight|bias)", 0, 7),
)
"""Arrays of an edit generator with an entry for each pixel of a cell: names, the axis, and the channels of a pixel."""
HEAD = "discriminator/cls.weight"
"""The classification of the paper's D, for one image size unless it pools."""
_CRITIC = re.compile(r"(discriminator/critic\.layers)\.(\d+)\.(weight|bias)")
"""Layers of the edit generator's D, which has more of them before the others for larger images."""


@dataclass(frozen=True)
class Transfer:
    """The weights to start from.

    Attributes:
        arrays: All arrays of the new model's networks, by name.
        lines: What was kept and what starts fresh, for the user.
        unfit: The names of arrays that start fresh.
    """

    arrays: dict[str, np.ndarray]
    lines: tuple[str, ...]
    unfit: tuple[str, ...]


def transfer(arrays: Arrays, domains: Domains, fresh: Arrays, own: Domains) -> Transfer:
    """Puts the weights of a model into those of another.

    Args:
        arrays: The arrays of the model file.
        domains: Its labels.
        fresh: The new model's arrays with their initial values.
        own: The new model's labels.
    """
    columns, arrays = common_columns(own, domains), _aligned(arrays, fresh)
    result: dict[str, np.ndarray] = {}
    unfit: list[str] = []
    for name, initial in fresh.items():
        found = _fitted(name, arrays.get(name), initial, columns)
        if found is None:
            unfit.append(name)
        result[name] = initial if found is None else found
    weights = _weights_line(list(fresh), unfit)
    lines = (weights,) if own.same_layout(domains) else (_labels_line(domains, own, columns), weights)
    return Transfer(result, lines, tuple(unfit))


def _fitted(name: str, array: np.ndarray | None, initial: np.ndarray, columns: Mapping[int, int]) -> np.ndarray | None:
    """The array for the new model; None if it does not fit."""
    if array is None:
        return None
    array = _resized(name, array, initial)
    for pattern, axis, start in _LABEL_AXES:
        if re.fullmatch(pattern, name):
            return _with_labels(array, initial, columns, axis, start)
    return np.asarray(array) if array.shape == initial.shape else None


def _aligned(arrays: Arrays, fresh: Arrays) -> Arrays:
    """The arrays under the names of the new model, where the layers of D are counted from the last one."""
    before, now = (sum(bool(_CRITIC.fullmatch(name)) for name in names) // 2 for names in (arrays, fresh))

    def renamed(name: str) -> str:
        found = _CRITIC.fullmatch(name)
        return f"{found[1]}.{int(found[2]) + now - before}.{found[3]}" if found else name

    return {renamed(name): array for name, array in arrays.items()}


def _resized(name: str, array: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """Converts an array for another image size, if there is a way; else it stays as it is."""
    if name == HEAD and array.ndim == initial.ndim == 4:
        if initial.shape[2:] == (1, 1):  # the sum: logits stay the same where all positions look alike
            return array.sum((2, 3), keepdims=True)
        if array.shape[2:] == (1, 1):
            return np.broadcast_to(array / np.prod(initial.shape[2:]), (*array.shape[:2], *initial.shape[2:]))
    for pattern, axis, channels in _FOLDED:
        if re.fullmatch(pattern, name) and array.ndim == initial.ndim:
            return _refolded(array, initial.shape[axis], axis, channels)
    return array


def _refolded(array: np.ndarray, length: int, axis: int, channels: int) -> np.ndarray:
    """Converts weights of the pixels of a cell for cells with more or fewer pixels.

    The results for an image stay the same if it is enlarged by repeating its pixels.

    Args:
        array: The weights.
        length: The length that the axis shall have.
        axis: The axis with the pixels, which come after each other for each channel.
        channels: The channels of a pixel.
    """
    rest = np.moveaxis(array, axis, 0)
    old, new = (round((count / channels) ** 0.5) for count in (len(rest), length))  # the sides of cells, in pixels
    if channels * old**2 != len(rest) or max(old, new) % min(old, new):
        return array  # a damaged file
    cells = rest.reshape(channels, old, old, *rest.shape[1:])
    if new >= old:
        cells = cells.repeat(new // old, 1).repeat(new // old, 2)
    else:
        cells = cells.reshape(channels, new, old // new, new, old // new, *rest.shape[1:]).mean((2, 4))
    if axis == 1:  # a sum over the pixels
        cells = cells * (old / new) ** 2
    return np.moveaxis(cells.reshape(length, *rest.shape[1:]), 0, axis).astype(array.dtype)


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
    if not unfit:
        return "all weights kept"
    line = f"arrays kept: {', '.join(filter(None, counts))}"
    named = ", ".join(unfit[:NAMED]) + (f" and {len(unfit) - NAMED} more" if len(unfit) > NAMED else "")
    return f"{line}; starting fresh: {named}"
