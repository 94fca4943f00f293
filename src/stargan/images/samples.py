"""Samples that do not run from 0 to 255: which of their values become black and white.

An image with 8 bits or fewer for each sample has a fixed range. All others (integers of more bits, signed ones, floats)
need one; it should be the same for all images of a data set. `usual_range` finds it from the values that occur.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image, TiffImagePlugin

from stargan.errors import ImageError

Range = tuple[float, float]
"""The samples that become black and white. Those between become grays in proportion; those outside are clipped."""

RangeChoice = Range | Literal["own"] | None
"""The range to decode deep images with: a range, that of the image itself, or None to refuse such images."""

BITS = (8, 10, 12, 14, 16, 24, 32)
"""How many bits integers usually have. A file with 12 bits says 16, as there is no smaller type."""

FULL: Range = (0.0, 65535.0)
PART = 2**18  # pixels that are converted at a time; each takes up to 100 bytes meanwhile
_LOOKED_AT = 2**12  # samples of an image that percentiles are taken of
_SAMPLE_FORMAT, _PHOTOMETRIC = 339, 262  # TIFF tags
_UNSIGNED, _SIGNED = 1, 2
_WHITE_IS_ZERO = 0


@dataclass(frozen=True)
class Extent:
    """The samples that occur in one or more deep images.

    Attributes:
        floats: Whether they are floats.
        lowest: The smallest finite sample.
        highest: The largest one.
        some: (K,) some of the samples.
    """

    floats: bool
    lowest: float
    highest: float
    some: np.ndarray

    @property
    def kind(self) -> str:
        """What messages call the samples."""
        return "floats" if self.floats else "integers"

    @property
    def middle(self) -> Range:
        """The range of all samples but the lowest and the highest hundredth."""
        low, high = np.percentile(self.some, (1, 99)) if len(self.some) else (self.lowest, self.highest)
        return float(low), float(high)


def together(extents: Sequence[Extent]) -> Extent:
    """The extent of several images with the same kind of samples."""
    return Extent(
        extents[0].floats,
        min(extent.lowest for extent in extents),
        max(extent.highest for extent in extents),
        np.concatenate([extent.some for extent in extents]),
    )


def usual_range(extent: Extent) -> Range:
    """The range for images with these samples.

    Integers without a sign run from 0 to the largest number of as many bits as needed, see `BITS`; floats between 0 and
    1 run from 0 to 1; all others from the smallest to the largest sample.
    """
    low, high = extent.lowest, extent.highest
    if extent.floats and low >= 0 and high <= 1:
        return 0.0, 1.0
    if not extent.floats and low >= 0:
        return 0.0, float(next(2**bits for bits in BITS if high < 2**bits) - 1)
    return low, high if high > low else low + 1


class DeepImage:
    """An opened image with deep samples, not yet decoded.

    Args:
        image: The image.
        reopen: Opens the same file once more, for the lower bytes of colours; None if there is no file.
    """

    def __init__(self, image: Image.Image, reopen: Callable[[], Image.Image] | None) -> None:
        self._image, self._reopen = image, reopen
        self._colours = _is_deep_colour(image)
        self._raw = _raw_mode(image)
        self._lower: Image.Image | None = None
        tags = _tags(image)
        self._unsigned = bool(tags) and _first(tags.get(_SAMPLE_FORMAT, _UNSIGNED)) == _UNSIGNED
        self._inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO

    @staticmethod
    def of(image: Image.Image, reopen: Callable[[], Image.Image] | None) -> "DeepImage | None":
        """The same image, if its samples are deep; it must not be loaded yet."""
        gray = image.mode in ("I", "F") or image.mode.startswith("I;16") or _is_signed_byte(image)
        return DeepImage(image, reopen) if gray or _is_deep_colour(image) else None

    def range(self, choice: RangeChoice) -> Range:
        """The range to decode with; also reads what is necessary for it.

        Raises:
            ImageError: `choice` is None.
        """
        if choice is None:
            kind = "float" if self._image.mode == "F" else "integer"
            raise ImageError(f"has deep samples ({kind}), unlike the images looked at; say --range LOW,HIGH")
        self._image.load()
        found = usual_range(self.extent()) if choice == "own" else choice
        if self._colours and found != FULL and self._reopen:
            self._lower = _lower_bytes(self._reopen(), self._raw)
        return found

    def extent(self) -> Extent:
        """The samples that occur; of colours, by their upper bytes."""
        lowest, highest, some = np.inf, -np.inf, []
        step = max(1, self._image.width * self._image.height // _LOOKED_AT)
        for box in parts(self._image, PART):
            samples = self._upper(box)
            finite = samples[np.isfinite(samples)]
            if finite.size:
                lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
                some.append(finite[::step].astype(np.float64))
        if not some:
            lowest = highest = 0.0
        return Extent(self._image.mode == "F", lowest, highest, np.concatenate(some or [np.zeros(0)]))

    def part(self, box: tuple[int, int, int, int], levels: Range) -> Image.Image:
        """A part of the image with 8 bits for each sample, in mode L, RGB, RGBA or CMYK."""
        low, high = levels
        samples = np.nan_to_num(self._samples(box), nan=low, posinf=high, neginf=low)
        pixels = np.clip((samples - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
        if self._inverted and pixels.ndim == 2:
            pixels = 255 - pixels
        if self._image.mode == "RGBA":
            pixels = np.concatenate([pixels, np.asarray(self._image.crop(box))[..., 3:]], axis=2)
        mode = self._image.mode if self._colours else "L"
        return Image.frombytes(mode, (box[2] - box[0], box[3] - box[1]), pixels.tobytes())

    def _samples(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """(h, w) or (h, w, colours) float64."""
        if not self._colours:
            return self._gray(box).astype(np.float64)
        upper = self._bytes(self._image, box)
        if self._lower is None:
            return upper * 257.0
        lower = self._bytes(self._lower, box)
        return upper * 256.0 + (lower[..., 1:2] if self._raw.startswith("LA") else lower)

    def _upper(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """As `_samples`, but of colours as large as their upper bytes allow."""
        return self._bytes(self._image, box) * 257.0 if self._colours else self._gray(box)

    def _bytes(self, image: Image.Image, box: tuple[int, int, int, int]) -> np.ndarray:
        """One byte of each colour, without alpha."""
        return np.asarray(image.crop(box))[..., : 4 if self._image.mode == "CMYK" else 3]

    def _gray(self, box: tuple[int, int, int, int]) -> np.ndarray:
        samples = np.asarray(self._image.crop(box))
        if samples.dtype == np.uint8:
            return samples.view(np.int8)
        if samples.dtype == np.int32 and self._unsigned:  # Pillow has no unsigned type of 32 bits
            return samples.view(np.uint32)
        return samples


def parts(image: Image.Image, pixels: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields parts of an image from top to bottom, of about so many pixels."""
    rows = max(1, pixels // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _lower_bytes(image: Image.Image, raw: str) -> Image.Image:
    """Decodes the lower byte of each colour of 16 bits, where Pillow takes the upper one.

    Told the wrong byte order, it takes the lower one. Of gray with alpha it knows one order only, but that has as many
    bytes as RGBA.
    """
    other = raw[:-1] + ("B" if raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little") else "L")
    other = "RGBA" if raw.startswith("LA") else other
    image.tile = [tile._replace(args=_with_raw_mode(tile.args, other)) for tile in _tiles(image)]  # type: ignore[attr-defined]
    image.load()
    return image


def _with_raw_mode(args: Any, raw: str) -> Any:
    return raw if isinstance(args, str) else (raw, *args[1:])


def _raw_mode(image: Image.Image) -> str:
    """How the samples lie in the file, by Pillow's name; empty for an image that was not opened or is loaded."""
    tiles = _tiles(image)
    args = tiles[0].args if tiles else ""
    raw = args if isinstance(args, str) else args[0] if args else ""
    return raw if isinstance(raw, str) else ""


def _tiles(image: Image.Image) -> list[Any]:
    return getattr(image, "tile", [])


def _is_deep_colour(image: Image.Image) -> bool:
    return image.mode in ("RGB", "RGBA", "CMYK") and ";16" in _raw_mode(image)


def _is_signed_byte(image: Image.Image) -> bool:
    return image.mode == "L" and _first(_tags(image).get(_SAMPLE_FORMAT)) == _SIGNED


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value
