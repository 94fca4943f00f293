"""Images in and out: decode, turn upright, crop, resize, scale to [-1, 1] and back, grids, files."""

import contextlib
import functools
import io
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageFont, features

from stargan.errors import ImageError
from stargan.storage import atomic_write, open_regular

Size = tuple[int, int]
"""(width, height) in pixels."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})
"""Endings of the files that count as images when a folder is searched. How a file is decoded depends on its content."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF")
"""What is decoded, by Pillow's names, the usual ones first. All of these are decoded inside this process: Pillow would
start Ghostscript for PostScript, and it tells formats by content, not by name."""

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded: a small hostile file can claim any size."""

MAX_BYTES = 17 * MAX_PIXELS
"""Memory for decoding, which threads that decode at the same time share. A format that needs more for each pixel is
limited to fewer pixels."""

MAX_FILE = 2**29
"""Bytes of an image file, at most; WebP and AVIF files are read into memory as a whole."""

_PIXEL_BYTES = {"WEBP": 24, "AVIF": 24}  # measured: WebP 21, AVIF 15 with 8 bits; the worst JPEG takes 16
_BAND = 2**22  # pixels that are converted at a time

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
    with _decoded(source) as image:
        return fit(image, size, crop)


def decode(source: ImageSource) -> Image.Image:
    """Decodes an image: RGB, upright (EXIF), the first frame, alpha over white, 16 bits to 8.

    This takes at most `MAX_BYTES` of memory, also in several threads at the same time: if necessary, they wait for each
    other. The result takes 4 bytes for each pixel.

    Args:
        source: The path of a file, the bytes of a file, or an opened image.

    Raises:
        ImageError: The file is missing, not a regular file, not an image of one of `FORMATS`, truncated or too large;
            the line names the file.
    """
    with _decoded(source) as image:
        return image


@contextlib.contextmanager
def _decoded(source: ImageSource) -> Iterator[Image.Image]:
    """Yields what `decode` returns; its memory counts as taken until the end of the context."""
    name = str(source) if isinstance(source, str | Path) else "image"
    with contextlib.ExitStack() as taken:
        try:
            with _quiet:  # Pillow warns of odd but readable files
                image = _open(source, taken)
        except FileNotFoundError as error:
            raise ImageError(f"{name}: no such file") from error
        except IsADirectoryError as error:
            raise ImageError(f"{name}: a folder, not an image") from error
        except Image.UnidentifiedImageError as error:
            kinds = f"must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, and not damaged"
            raise ImageError(f"{name}: not an image that can be read; {kinds}") from error
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        except Image.DecompressionBombError as error:  # Pillow checks its own limit before we check ours
            raise ImageError(f"{name}: far too large; at most {MAX_PIXELS} pixels are read") from error
        except Exception as error:  # on damaged files, Pillow's decoders raise nearly anything
            if isinstance(error, OSError) and error.strerror:  # from the operating system
                raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
            raise ImageError(f"{name}: damaged or truncated image ({error})") from error
        yield image


def _open(source: ImageSource, taken: contextlib.ExitStack) -> Image.Image:
    if isinstance(source, Image.Image):
        return _upright_rgb(source, taken)
    # Pillow leaves a damaged file open if it opened it itself, so we open it.
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(Path(source)) as file:
        if file.seek(0, io.SEEK_END) > MAX_FILE:
            raise ImageError(f"{file.tell()} bytes; at most {MAX_FILE} are read")
        with Image.open(file, formats=_formats()) as image:
            return _upright_rgb(image, taken)


@functools.cache
def _formats() -> tuple[str, ...]:
    """`FORMATS` without what this Pillow was built without."""
    return tuple(kind for kind in FORMATS if kind not in ("WEBP", "AVIF") or features.check(kind.lower()))


class _Memory:
    """Bounds the memory that threads take together."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Waits until that much is free, and takes it for the duration of the context."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


_memory = _Memory(MAX_BYTES)


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


def _upright_rgb(image: Image.Image, taken: contextlib.ExitStack) -> Image.Image:
    pixel = _PIXEL_BYTES.get(image.format or "", MAX_BYTES // MAX_PIXELS)
    if image.width * image.height > MAX_BYTES // pixel:
        raise ImageError(f"{image.width}x{image.height} pixels; at most {MAX_BYTES // pixel} are read")
    taken.enter_context(_memory.take(image.width * image.height * pixel))
    white = _white_level(image)
    if image.width * image.height <= _BAND:
        rgb = _rgb(image, white)
    else:  # a conversion as a whole takes up to five times the memory of its result
        rgb = Image.new("RGB", image.size)
        for top, band in _bands(image):
            rgb.paste(_rgb(band, white), (0, top))
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return rgb if turn is None else rgb.transpose(turn)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yields parts of an image from top to bottom, each with its first row."""
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


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


def _rgb(image: Image.Image, white: float | None) -> Image.Image:
    """Converts an image of any mode; `white` is `_white_level` of the whole."""
    if white is not None:
        levels = np.nan_to_num(np.asarray(image, np.float64))
        image = Image.fromarray(np.clip(levels * (255 / white) + 0.5, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _white_level(image: Image.Image) -> float | None:
    """White in gray levels of more than 8 bits: 65535 in integers; in floats 1, 255 or 65535, by the lightest pixel."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        return 65535
    if image.mode != "F":
        return None
    lightest = max(np.nan_to_num(np.asarray(band, np.float64)).max(initial=0) for _, band in _bands(image))
    return 1 if lightest <= 1 else 255 if lightest <= 255 else 65535


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
