"""Pictures in and out: decode, orient, crop, resize, scale to [-1, 1] and back, grids."""

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

Size = tuple[int, int]
"""(width, height) in pixels."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})
"""File names that are taken for pictures when a folder is searched; the content decides how they are read."""

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded: a small hostile file can claim any size."""


def decode(source: str | Path | bytes | Image.Image) -> Image.Image:
    """Reads one picture whatever its kind: RGB, upright (EXIF), first frame, alpha over white, 16 bit to 8.

    Args:
        source: A path, the bytes of a file, or a picture already opened.

    Raises:
        ImageError: It is missing, not a picture, truncated or larger than `MAX_PIXELS`; the line names the file.
    """
    name = str(source) if isinstance(source, str | Path) else "picture"
    try:
        with _quiet:  # Pillow's remarks on odd but readable files
            return _read(source)
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: a folder, not a picture") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name}: not a picture that can be read (of no known kind, or damaged)") from error
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:  # Pillow's own limit, which comes before ours
        raise ImageError(f"{name}: far too large; at most {MAX_PIXELS} pixels are read") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        if isinstance(error, OSError) and error.strerror:  # but the system's own errors, they have a number
            raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
        raise ImageError(f"{name}: damaged or truncated picture ({error})") from error


def _read(source: str | Path | bytes | Image.Image) -> Image.Image:
    if isinstance(source, Image.Image):
        return _upright_rgb(source)
    # Pillow, given a path, leaves a damaged file open; a file of our own is closed whatever happens.
    with (
        io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file,
        Image.open(file) as image,
    ):
        return _upright_rgb(image)


class _Quiet:
    """Silences warnings while any thread decodes.

    `warnings.catch_warnings` by itself is not for threads: the one that leaves last puts back what it found, which
    may be its neighbour's silence, for good.
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
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep gray levels as 8 bits: integers have 16; floats go to 1, 255 or 65535, told by the lightest."""
    levels = np.nan_to_num(np.asarray(image, np.float64))
    lightest = levels.max(initial=0) if image.mode == "F" else math.inf
    full = 1 if lightest <= 1 else 255 if lightest <= 255 else 65535
    return Image.fromarray(np.clip(levels * (255 / full) + 0.5, 0, 255).astype(np.uint8))


def fit(image: Image.Image, size: Size, crop: int | None = None) -> Image.Image:
    """Cuts the centre with the shape of `size` and resizes it.

    Args:
        image: RGB picture of any size.
        size: (width, height) wanted.
        crop: Width and height, in pixels of the picture, of the cut's shorter side (the official code's
            `CenterCrop`; 178 for CelebA). None cuts as much as fits, which for CelebA is the same.

    Returns:
        RGB picture of exactly `size`, resized bilinearly with antialiasing, as the official code does.
    """
    width, height = size
    unit = min(image.width / width, image.height / height)
    if crop is not None:
        unit = min(unit, crop / min(size))
    cut_width, cut_height = max(1, round(width * unit)), max(1, round(height * unit))
    left, top = round((image.width - cut_width) / 2), round((image.height - cut_height) / 2)
    box = (left, top, left + cut_width, top + cut_height)
    return image.crop(box).resize(size, Image.Resampling.BILINEAR)


def scale(pixels: Any) -> Any:
    """Scales 0..255 to [-1, 1]; any framework's array, float out (the official `Normalize(0.5, 0.5)`)."""
    return pixels / 127.5 - 1.0


def to_array(images: Sequence[Image.Image]) -> np.ndarray:
    """Stacks RGB pictures of one size to (N, 3, H, W) float32 in [-1, 1]."""
    pixels = np.stack([np.asarray(image, np.uint8) for image in images])
    return np.ascontiguousarray(scale(pixels.astype(np.float32)).transpose(0, 3, 1, 2))


def to_pixels(array: np.ndarray) -> np.ndarray:
    """Turns (N, 3, H, W) floats in [-1, 1] into (N, H, W, 3) uint8; values outside are clipped."""
    pixels = np.clip(np.asarray(array, np.float32) * 127.5 + 127.5, 0, 255)
    return np.ascontiguousarray(np.rint(pixels).astype(np.uint8).transpose(0, 2, 3, 1))


def to_pictures(array: np.ndarray) -> list[Image.Image]:
    """Turns (N, 3, H, W) floats in [-1, 1] into N RGB pictures."""
    return [Image.fromarray(pixels) for pixels in to_pixels(array)]


def grid(pixels: np.ndarray, columns: int, *, titles: Sequence[str] = (), captions: Sequence[str] = ()) -> Image.Image:
    """Lays pictures out in rows, with a title over each column and a caption under each picture, if given.

    Args:
        pixels: (N, H, W, 3) uint8.
        columns: How many pictures stand in a row.
        titles: One text a column.
        captions: One text a picture.
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
    """Cuts a text to what fits in `width` pixels, with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


# PNG: a third of the default's time for four per cent more bytes (measured on photographs).
_SETTINGS = {"JPEG": {"quality": 95}, "PNG": {"compress_level": 3}}


def kind(path: Path) -> str:
    """Pillow's name for the kind of picture that a file name stands for.

    Raises:
        ImageError: The name's ending is no kind of picture that can be written.
    """
    Image.preinit()  # the usual kinds; all others take a thirtieth of a second to load
    ending = path.suffix.lower()
    found = Image.EXTENSION.get(ending) or Image.registered_extensions().get(ending)
    if found is None or found not in Image.SAVE:
        raise ImageError(f"{path}: cannot write a picture of this kind; use .png or .jpg")
    return found


def save(image: Image.Image, path: Path) -> None:
    """Writes a picture whole or not at all; the kind follows the file name.

    Raises:
        ImageError: As `kind`.
    """
    wanted = kind(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        image.save(temporary, wanted, **_SETTINGS.get(wanted, {}))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
