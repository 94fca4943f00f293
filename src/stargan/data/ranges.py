"""The range of deep samples: one for all images of all data sets of a run, see `images.samples`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stargan import images
from stargan.errors import DataError
from stargan.images import Extent, ImageSource, Range, RangeChoice

if TYPE_CHECKING:
    from stargan.data.sources import Source

LOOKED_AT = 128  # images of a data set whose samples are looked at
DARK = 8  # times as wide as what nearly all samples need: then a range hides them
APART = 2  # times as wide as each other, ranges of data sets are different


def of_sources(found: Sequence["Source"], given: Range | None, say: Callable[[str], None]) -> Range | None:
    """The range for the images of some data sets.

    Args:
        found: The data sets.
        given: The range that the user or a model names; it is used for deep images.
        say: Is called with a line for the user if there are deep images.

    Returns:
        None if the images looked at have 8 bits and no range is given.

    Raises:
        DataError: The data sets, or the images of one, have different kinds of samples or ranges.
    """
    return _common({source.name: extent_of(_some(source), source.name) for source in found}, given, say)


def of_files(files: Sequence[ImageSource], given: Range | None, say: Callable[[str], None]) -> RangeChoice:
    """The range for some photos, as `of_sources`; `own` if there is none."""
    chosen = [files[index] for index in np.linspace(0, len(files) - 1, min(len(files), LOOKED_AT)).astype(int)]
    extent = extent_of(chosen, "the photos")
    return (_common({"the photos": extent}, given, say) if extent else given) or "own"


def _common(extents: Mapping[str, Extent | None], given: Range | None, say: Callable[[str], None]) -> Range | None:
    deep = {name: extent for name, extent in extents.items() if extent}
    if not deep:
        if given:
            say(f"--range {spelled(given)}: not used, since the images looked at have 8 bits, which run from 0 to 255")
        return given
    ranges = {name: images.usual_range(extent) for name, extent in deep.items()}
    if given is None:
        _check_alike(ranges, deep)
        given = min(low for low, _ in ranges.values()), max(high for _, high in ranges.values())
    for name, extent in deep.items():
        say(f"{name}: {described(extent, given)}")
    return given


def extent_of(files: Sequence[ImageSource], name: str) -> Extent | None:
    """The samples of the deep images among some files; None if there are none.

    Raises:
        DataError: Some have integers and some floats.
    """
    extents = [extent for extent in map(images.extent_of, files) if extent]
    if len({extent.floats for extent in extents}) > 1:
        raise DataError(
            f"{name}: some images have integers of more than 8 bits and some floats, which no range fits; convert them "
            "to the same kind"
        )
    return images.together(extents) if extents else None


def described(extent: Extent, used: Range) -> str:
    """One line for the user: the samples that were found, the range, and a better one if most would be hidden."""
    found = f"{extent.kind} from {extent.lowest:.6g} to {extent.highest:.6g}"
    line = f"deep images ({found}): {used[0]:.6g} becomes black and {used[1]:.6g} white"
    low, high = extent.middle
    hidden = high - low < (used[1] - used[0]) / DARK or high <= used[0] or low >= used[1]
    if hidden and high > low:
        return f"{line}; but 98 % of the samples are in --range {spelled((low, high))}, which would show them"
    return f"{line}; --range LOW,HIGH changes this"


def spelled(used: Range) -> str:
    """A range as the option takes it."""
    return ",".join(f"{edge:.6g}" for edge in used)


def before_ranges(found: Sequence["Source"]) -> Range | None:
    """The range of a run of an earlier version: integers up to 65535; floats up to 1, 255 or 65535."""
    extents = [extent for source in found if (extent := extent_of(_some(source), source.name))]
    if not extents:
        return None
    extent = images.together(extents)
    return 0.0, next((float(top) for top in (1, 255) if extent.floats and extent.highest <= top), 65535.0)


def _some(source: "Source") -> list[Path]:
    """Files from all parts of a data set, of those that may be deep: a JPEG never is."""
    rows = [row for row, file in enumerate(source.files) if not file.lower().endswith((".jpg", ".jpeg", ".webp"))]
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int)
    return [source.path(rows[index]) for index in chosen]


def _check_alike(ranges: dict[str, Range], deep: dict[str, Extent]) -> None:
    """Refuses data sets that no common range fits."""
    widths = [high - low for low, high in ranges.values()]
    if max(widths) > APART * min(widths) or len({extent.floats for extent in deep.values()}) > 1:
        listed = ", ".join(f"{name} {deep[name].kind} from {low:g} to {high:g}" for name, (low, high) in ranges.items())
        raise DataError(
            f"the data sets have different samples ({listed}); convert them, or say --range LOW,HIGH for all of them"
        )
