"""Decoding images: of named formats only, with bounded memory; upright RGB, and what the file says beside it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, JpegImagePlugin

from stargan.errors import ImageError
from stargan.images.arrays import Size, fit
from stargan.images.opening import ImageSource, opened
from stargan.images.samples import PART, DeepImage, Extent, RangeChoice, parts

_BAND = 2**22  # pixels that are converted at a time


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded image and what its file says about it, so that a changed version can be written the same way.

    Attributes:
        image: RGB, upright, alpha over white.
        rgba: The pixels as they are, for an image with transparency; `image` is this over white.
        format: Pillow's name of the file's format, for example `JPEG`; empty for an array or a new image.
        exif: EXIF data without the orientation, which is applied to `image`; may be empty.
        icc_profile: The colour profile, of an RGB space; may be empty.
        dpi: Pixels per inch, horizontally and vertically.
        subsampling: Of the chroma in a JPEG file, as Pillow counts it; -1 if unknown.
    """

    image: Image.Image
    rgba: Image.Image | None = None
    format: str = ""
    exif: bytes = b""
    icc_profile: bytes = b""
    dpi: tuple[float, float] | None = None
    subsampling: int = -1


def read(source: ImageSource, size: Size, crop: float | None = None, range: RangeChoice = "own") -> Image.Image:
    """Decodes an image and fits it to the size of a model; training, translation and evaluation all read images here.

    `to_array` makes model inputs of the result.

    Args:
        source: As `decode`.
        size: (width, height) of the result.
        crop: As `fit`.
        range: As `decode`.

    Returns:
        RGB image of `size`.

    Raises:
        ImageError: As `decode`.
    """
    with _decoded(source, range) as photo:
        return fit(photo.image, size, crop)


def decode(source: ImageSource, range: RangeChoice = "own") -> Image.Image:
    """Decodes an image: RGB with 8 bits, upright (EXIF), the first frame, alpha over white.

    This takes at most `MAX_BYTES` of memory, also in several threads at the same time: if necessary, they wait for each
    other. The result takes 4 bytes for each pixel.

    Args:
        source: The path of a file, the bytes of a file, an opened image or an array.
        range: What becomes black and white of samples that do not run from 0 to 255, see `samples`; by default the
            range of the image itself. None refuses such an image.

    Raises:
        ImageError: The file is missing, not a regular file, not an image of one of `FORMATS`, truncated, too large, a
            stack of several images, or has samples of a kind that is not read; the line names the file.
    """
    with _decoded(source, range) as photo:
        return photo.image


def read_photo(source: ImageSource, range: RangeChoice = "own") -> Photo:
    """Decodes an image as `decode`, and keeps what its file says about it.

    Raises:
        ImageError: As `decode`.
    """
    with _decoded(source, range, whole=True) as photo:
        return photo


def extent_of(source: ImageSource) -> Extent | None:
    """The samples of a deep image; None if it has 8 bits, or cannot be read (decoding it says why)."""
    with contextlib.suppress(ImageError), opened(source) as (_, deep):
        return deep.extent() if deep else None
    return None


@contextlib.contextmanager
def _decoded(source: ImageSource, range: RangeChoice, *, whole: bool = False) -> Iterator[Photo]:
    """Yields a photo, with transparency only if `whole`; its memory counts as taken until the end of the context."""
    with opened(source) as (image, deep):
        yield _photo(image, deep, range, whole=whole)


def _photo(image: Image.Image, deep: DeepImage | None, range: RangeChoice, *, whole: bool) -> Photo:
    rgba = Image.new("RGBA", image.size) if whole and _transparent(image) else None
    if deep is None and image.width * image.height <= _BAND and rgba is None:
        rgb = _rgb(image)
    else:
        rgb = Image.new("RGB", image.size)
        for top, part in _parts(image, deep, range):
            rgb.paste(_rgb(part), (0, top))
            if rgba is not None:
                rgba.paste(part.convert("RGBA"), (0, top))
    if rgba is not None and rgba.getchannel("A").getextrema() == (255, 255):
        rgba = None
    exif = image.getexif()
    turn = _TURNS.get(exif.get(ExifTags.Base.Orientation, 1))
    if turn is not None:
        rgb = rgb.transpose(turn)  # one after the other, because of the memory
        rgba = rgba and rgba.transpose(turn)
    return Photo(rgb, rgba, *_said(image, exif))


def _parts(image: Image.Image, deep: DeepImage | None, range: RangeChoice) -> Iterator[tuple[int, Image.Image]]:
    """Yields parts of an image with 8 bits, from top to bottom, each with its first row.

    As a whole, a conversion takes up to five times the memory of its result.
    """
    levels = deep and deep.range(range)
    for box in parts(image, min(_BAND, PART) if deep else _BAND):
        yield box[1], deep.part(box, levels) if deep and levels else image.crop(box)


def _said(image: Image.Image, exif: Image.Exif) -> tuple[str, bytes, bytes, tuple[float, float] | None, int]:
    """What a file says beside its pixels: the fields of a `Photo` from `format` on."""
    profile = image.info.get("icc_profile") or b""
    raw = image.info.get("exif") or b""
    if raw and ExifTags.Base.Orientation in exif:
        del exif[ExifTags.Base.Orientation]
        raw = exif.tobytes()
    return (
        "JPEG" if image.format == "MPO" else image.format or "",
        raw,
        profile if profile[16:20] == b"RGB " else b"",  # a profile for CMYK or gray does not fit RGB pixels
        _dpi(image.info.get("dpi")),
        JpegImagePlugin.get_sampling(image) if image.format == "JPEG" else -1,
    )


def _dpi(found: Any) -> tuple[float, float] | None:
    """The resolution that a file names, if it makes sense."""
    try:
        across, down = map(float, found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e5 and 0 < down < 1e5 else None


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn an image upright, by EXIF's number for its orientation."""


def _rgb(image: Image.Image) -> Image.Image:
    """Converts an image with 8 bits, of any mode."""
    if _transparent(image):
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
