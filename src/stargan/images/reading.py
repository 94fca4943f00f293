"""Decoding images: of named formats only, with bounded memory; upright RGB, and what the file says beside it."""

import contextlib
import functools
import io
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin, features

from stargan.errors import ImageError, ImageSizeError, MissingExtraError, require
from stargan.images.arrays import Size, fit
from stargan.storage import open_regular

SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".avif",
    ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".jpf", ".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".ico",
})  # fmt: skip
"""Endings of the files that count as images when a folder is searched. How a file is decoded depends on its content."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000", "ICO", "TGA")
"""What is decoded, by Pillow's names, the usual ones first; HEIC too, if its library is installed. All of these are
decoded inside this process: Pillow would start Ghostscript for PostScript, and it tells formats by content, not by
name."""

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded: a small hostile file can claim any size."""

MAX_BYTES = 17 * MAX_PIXELS
"""Memory for decoding, which threads that decode at the same time share. A format that needs more for each pixel is
limited to fewer pixels."""

MAX_FILE = 2**29
"""Bytes of an image file, at most; WebP and AVIF files are read into memory as a whole."""

_PIXEL_BYTES = {
    "WEBP": 24,
    "AVIF": 24,
    "HEIF": 24,
    "JPEG2000": 24,
}
# Measured: WebP takes 21, AVIF with 8 bits 15, the worst JPEG 16.
_BAND = 2**22  # pixels that are converted at a time

ImageSource = str | Path | bytes | Image.Image | np.ndarray
"""An image: the path of a file, the bytes of a file, an opened image, or an array, (H, W) or (H, W, 3 or 4) uint8."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded image and what its file says about it, so that a changed version can be written the same way.

    Attributes:
        image: RGB, upright, alpha over white.
        alpha: Mode L of the same size, for an image with transparency.
        format: Pillow's name of the file's format, for example `JPEG`; empty for an array or a new image.
        exif: EXIF data without the orientation, which is applied to `image`; may be empty.
        icc_profile: The colour profile, of an RGB space; may be empty.
        dpi: Pixels per inch, horizontally and vertically.
        subsampling: Of the chroma in a JPEG file, as Pillow counts it; -1 if unknown.
    """

    image: Image.Image
    alpha: Image.Image | None = None
    format: str = ""
    exif: bytes = b""
    icc_profile: bytes = b""
    dpi: tuple[float, float] | None = None
    subsampling: int = -1


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
    with _decoded(source) as photo:
        return fit(photo.image, size, crop)


def decode(source: ImageSource) -> Image.Image:
    """Decodes an image: RGB, upright (EXIF), the first frame, alpha over white, 16 bits to 8.

    This takes at most `MAX_BYTES` of memory, also in several threads at the same time: if necessary, they wait for each
    other. The result takes 4 bytes for each pixel.

    Args:
        source: The path of a file, the bytes of a file, an opened image or an array.

    Raises:
        ImageError: The file is missing, not a regular file, not an image of one of `FORMATS`, truncated or too large;
            the line names the file.
    """
    with _decoded(source) as photo:
        return photo.image


def read_photo(source: ImageSource) -> Photo:
    """Decodes an image as `decode`, and keeps what its file says about it.

    Raises:
        ImageError: As `decode`.
    """
    with _decoded(source, whole=True) as photo:
        return photo


def size_of(source: Path | bytes) -> Size | None:
    """(width, height) of an image, upright, as its file claims; None if it cannot be read. Only its head is read."""
    try:
        with _quiet, _file(source) as file, Image.open(file, formats=_formats()) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _SIDEWAYS
            return (image.height, image.width) if turned else image.size
    except Exception:  # its reader says why
        return None


def is_image(path: Path) -> bool:
    """Whether a file starts as an image of a known kind does; it may be damaged further on."""
    try:
        with _quiet, open_regular(path) as file:
            if _is_heif(file):
                return True
            with Image.open(file, formats=_formats()) as image:
                return image.format != "TGA"  # its first bytes can be nearly anything
    except Exception:  # Pillow raises nearly anything
        return False


def name_of(source: ImageSource) -> str:
    """What messages call an image."""
    return str(source) if isinstance(source, str | Path) else "image"


@contextlib.contextmanager
def _decoded(source: ImageSource, *, whole: bool = False) -> Iterator[Photo]:
    """Yields a photo, with transparency only if `whole`; its memory counts as taken until the end of the context."""
    name = name_of(source)
    with contextlib.ExitStack() as taken:
        try:
            with _quiet:  # Pillow warns of odd but readable files
                photo = _open(source, taken, whole=whole)
        except FileNotFoundError as error:
            raise ImageError(f"{name}: no such file") from error
        except IsADirectoryError as error:
            raise ImageError(f"{name}: a folder, not an image") from error
        except Image.UnidentifiedImageError as error:
            kinds = f"must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, and not damaged"
            raise ImageError(f"{name}: not an image that can be read; {kinds}") from error
        except ImageError as error:
            raise type(error)(f"{name}: {error}") from error
        except Image.DecompressionBombError as error:  # Pillow checks its own limit before we check ours
            raise ImageSizeError(f"{name}: far too large; at most {MAX_PIXELS} pixels are read") from error
        except Exception as error:  # on damaged files, Pillow's decoders raise nearly anything
            if isinstance(error, OSError) and error.strerror:  # from the operating system
                raise ImageError(f"{name}: cannot be read ({error.strerror})") from error
            raise ImageError(f"{name}: damaged or truncated image ({error})") from error
        yield photo


def _open(source: ImageSource, taken: contextlib.ExitStack, *, whole: bool) -> Photo:
    if isinstance(source, np.ndarray):
        return _photo(_from_array(source), taken, whole=whole)
    if isinstance(source, Image.Image):
        return _photo(source, taken, whole=whole)
    # Pillow leaves a damaged file open if it opened it itself, so we open it.
    with _file(source) as file:
        if file.seek(0, io.SEEK_END) > MAX_FILE:
            raise ImageSizeError(f"{file.tell()} bytes; at most {MAX_FILE} are read")
        file.seek(0)
        formats = _formats()
        if _is_heif(file):
            _learn_heif()
            formats = ("HEIF",)
        with Image.open(file, formats=formats) as image:
            return _photo(image, taken, whole=whole)


def _file(source: str | Path | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else open_regular(Path(source))


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(f"an array of {array.dtype}, shape {array.shape}; must be uint8, (H, W) or (H, W, 3 or 4)")
    return Image.fromarray(np.ascontiguousarray(array))


_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def _is_heif(file: IO[bytes]) -> bool:
    start = file.read(12)
    file.seek(0)
    return start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS


def _learn_heif() -> None:
    """Makes Pillow read HEIC images.

    Raises:
        ImageError: The library for it is not installed.
    """
    try:
        require("pillow_heif", "heic", "read HEIC images").register_heif_opener()
    except MissingExtraError as error:
        raise ImageError(str(error)) from error


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


def _photo(image: Image.Image, taken: contextlib.ExitStack, *, whole: bool) -> Photo:
    pixel = _PIXEL_BYTES.get(image.format or "", MAX_BYTES // MAX_PIXELS)
    if image.width * image.height > MAX_BYTES // pixel:
        raise ImageSizeError(f"{image.width}x{image.height} pixels; at most {MAX_BYTES // pixel} are read")
    if not image.width * image.height:
        raise ImageError(f"{image.width}x{image.height} pixels; at least one is needed")
    taken.enter_context(_memory.take(image.width * image.height * pixel))
    white = _white_level(image)
    alpha = Image.new("L", image.size) if whole and _transparent(image) else None
    rgb = (
        _rgb(image, white) if image.width * image.height <= _BAND and alpha is None else _in_bands(image, white, alpha)
    )
    exif = image.getexif()
    turn = _TURNS.get(exif.get(ExifTags.Base.Orientation, 1))
    if turn is not None:
        rgb, alpha = rgb.transpose(turn), alpha and alpha.transpose(turn)
    return Photo(rgb, alpha, *_said(image, exif))


def _in_bands(image: Image.Image, white: float | None, alpha: Image.Image | None) -> Image.Image:
    """Converts an image in parts: as a whole, that takes up to five times the memory of its result."""
    rgb = Image.new("RGB", image.size)
    for top, band in _bands(image):
        rgb.paste(_rgb(band, white), (0, top))
        if alpha is not None:
            alpha.paste(band.convert("RGBA").getchannel("A"), (0, top))
    return rgb


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

_SIDEWAYS = (5, 6, 7, 8)  # of these, those that swap width and height


def _rgb(image: Image.Image, white: float | None) -> Image.Image:
    """Converts an image of any mode; `white` is `_white_level` of the whole."""
    if white is not None:
        levels = np.nan_to_num(np.asarray(image, np.float64))
        image = Image.fromarray(np.clip(levels * (255 / white) + 0.5, 0, 255).astype(np.uint8))
    if _transparent(image):
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


def _transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
