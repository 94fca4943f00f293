"""Images in and out: decode, turn upright, crop, resize, scale to [-1, 1] and back, grids, files."""

import io
import math
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from stargan.errors import ImageError
from stargan.storage import atomic_write

Size = tuple[int, int]
"""(width, height) in pixels."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})
"""Endings of the files that count as images when a folder is searched. How a file is decoded depends on its content."""

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded: a small hostile file can claim any size."""

ImageSource = str | Path | bytes | Image.Image
"""An image: the path of a file, the bytes of a file, or an opened image."""


def read(source: ImageSource, size: Size, crop: float | None = None) -> Image.Image:
    """Decodes an image and fits it to the size of a model; training, translation and evaluation all read images here.

    `to_array` makes model inputs of the result.

    Args:
        source: As `decode`.
        size: (width, height) of the result.
        crop: As `fit`.

    Returns:
        RGB image of `size`.

    Raises:
        ImageError: As `decode`.
    """
    return fit(decode(source), size, crop)


def decode(source: ImageSource) -> Image.Image:
    """Decodes an image of any kind: RGB, upright (EXIF), the first frame, alpha over white, 16 bits to 8.

    Args:
        source: The path of a file, the bytes of a file, or an opened image.

    Raises:
        ImageError: The file is missing, not an image, truncated or larger than `MAX_PIXELS`; the line names the file.
    """
    name = str(source) if isinstance(source, str | Path) else "image"
    try:
        with _quiet:  # Pillow warns of odd but readable files
            return _open(source)
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: a folder, not an image") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image that can be read (of no known kind, or damaged)") from error
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:  # Pillow checks its own limit before we check ours
        raise ImageError(f"{name}: far too large; at most {MAX_PIXELS} pixels are read") from error
    except Exception as error:  # on damaged files, Pillow's decoders raise nearly anything
        if isinstance(error, OSError) and error.strerror:  # from the operating system
            raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
        raise ImageError(f"{name}: damaged or truncated image ({error})") from error


def _open(source: ImageSource) -> Image.Image:
    if isinstance(source, Image.Image):
        return _upright_rgb(source)
    # Pillow leaves a damaged file open if it opened it itself, so we open it.
    with (
        io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file,
        Image.open(file) as image,
    ):
        return _upright_rgb(image)


class _Quiet:
    """Silences warnings while any thread decodes.

    `warnings.catch_warnings` alone is not thread-safe: the thread that leaves last restores the filters that it found,
    which may be the silent ones of another thread. Warnings would then stay off for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


_quiet = _Quiet()


def _upright_rgb(image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{image.width}x{image.height} pixels; at most {MAX_PIXELS} are read")
    image = ImageOps.exif_transpose(image) or image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # to convert RGB to RGB copies it


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scales gray levels to 8 bits. White is 65535 in integers; in floats 1, 255 or 65535, by the lightest pixel."""
    levels = np.nan_to_num(np.asarray(image, np.float64))
    lightest = levels.max(initial=0) if image.mode == "F" else math.inf
    full = 1 if lightest <= 1 else 255 if lightest <= 255 else 65535
    return Image.fromarray(np.clip(levels * (255 / full) + 0.5, 0, 255).astype(np.uint8))


def fit(image: Image.Image, size: Size, crop: float | None = None) -> Image.Image:
    """Cuts out the centre in the shape of `size` and resizes it.

    Args:
        image: RGB image of any size.
        size: (width, height) of the result.
        crop: Size of the cut. Up to 1, a fraction of the largest one that fits; above 1, its shorter side in pixels
            (the official code's `CenterCrop`). None cuts as much as fits.

    Returns:
        RGB image of exactly `size`, resized bilinearly with antialiasing, as in the official code.
    """
    width, height = size
    unit = min(image.width / width, image.height / height)
    if crop is not None:
        unit = unit * crop if crop <= 1 else min(unit, crop / min(size))
    cut_width, cut_height = max(1, round(width * unit)), max(1, round(height * unit))
    left, top = round((image.width - cut_width) / 2), round((image.height - cut_height) / 2)
    box = (left, top, left + cut_width, top + cut_height)
    return image.crop(box).resize(size, Image.Resampling.BILINEAR)


def scale(pixels: Any) -> Any:
    """Scales 0..255 to [-1, 1]; any framework's array, float out (the official `Normalize(0.5, 0.5)`)."""
    return pixels / 127.5 - 1.0


def to_array(images: Sequence[Image.Image] | np.ndarray) -> np.ndarray:
    """Makes model inputs, (N, 3, H, W) float32 in [-1, 1], of RGB images of one size or of (N, H, W, 3) uint8."""
    pixels = images if isinstance(images, np.ndarray) else np.stack([np.asarray(image, np.uint8) for image in images])
    return np.ascontiguousarray(scale(pixels.astype(np.float32)).transpose(0, 3, 1, 2))


def to_pixels(array: np.ndarray) -> np.ndarray:
    """Turns (N, 3, H, W) floats in [-1, 1] into (N, H, W, 3) uint8; values outside are clipped."""
    pixels = np.clip(np.asarray(array, np.float32) * 127.5 + 127.5, 0, 255)
    return np.ascontiguousarray(np.rint(pixels).astype(np.uint8).transpose(0, 2, 3, 1))


def to_images(array: np.ndarray) -> list[Image.Image]:
    """Turns (N, 3, H, W) floats in [-1, 1] into N RGB images."""
    return [Image.fromarray(pixels) for pixels in to_pixels(array)]


def grid(pixels: np.ndarray, columns: int, *, titles: Sequence[str] = (), captions: Sequence[str] = ()) -> Image.Image:
    """Arranges images in rows, with a title above each column and a caption below each image, if given.

    Args:
        pixels: (N, H, W, 3) uint8.
        columns: Number of images in a row.
        titles: One text for each column.
        captions: One text for each image.
    """
    count, height, width, _ = pixels.shape
    rows = math.ceil(count / columns)
    size = max(10, min(14, width // 8))
    font = ImageFont.load_default(size)
    line = size + 4
    head, foot, gap = (line if titles else 0), (line if captions else 0), 2
    sheet = Image.new("RGB", (columns * (width + gap) + gap, head + rows * (height + foot + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((gap + column * (width + gap), 2), shorten(title, font, width), "black", font)
    for index in range(count):
        x = gap + index % columns * (width + gap)
        y = head + gap + index // columns * (height + foot + gap)
        sheet.paste(Image.fromarray(pixels[index]), (x, y))
        if captions:
            draw.text((x, y + height + 1), shorten(captions[index], font, width), "black", font)
    return sheet


def shorten(text: str, font: Any, width: int) -> str:
    """Shortens a text to `width` pixels, ending in an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


# PNG: level 3 takes a third of the default's time and four per cent more bytes (measured on photographs).
_SETTINGS = {"JPEG": {"quality": 95}, "PNG": {"compress_level": 3}}


def kind(path: Path) -> str:
    """Pillow's name for the format that a file name's ending stands for.

    Raises:
        ImageError: Images cannot be written in a format of this ending.
    """
    Image.preinit()  # the usual formats; loading all the others takes a thirtieth of a second
    ending = path.suffix.lower()
    found = Image.EXTENSION.get(ending) or Image.registered_extensions().get(ending)
    if found is None or found not in Image.SAVE:
        raise ImageError(f"{path}: cannot write an image of this kind; use .png or .jpg")
    return found


def save(image: Image.Image, path: Path) -> None:
    """Writes an image atomically; the file name's ending chooses the format.

    Raises:
        ImageError: As `kind`.
    """
    format_name = kind(path)
    # Not synced: an fsync takes 13 ms, saving a 128-pixel PNG 4 ms, and a lost image can be made again.
    with atomic_write(path, sync=False) as temporary:
        image.save(temporary, format_name, **_SETTINGS.get(format_name, {}))
