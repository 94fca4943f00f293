"""Opening images: of named formats only, with bounded memory, and with one line about what cannot be read."""

import contextlib
import functools
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, features

from stargan.errors import ImageError, ImageSizeError, MissingExtraError, require
from stargan.images.arrays import Size
from stargan.images.samples import DeepImage
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
ImageSource = str | Path | bytes | Image.Image | np.ndarray
"""An image: the path of a file, the bytes of a file, an opened image, or an array, (H, W) or (H, W, 3 or 4) uint8."""


_SIDEWAYS = (5, 6, 7, 8)
"""EXIF's numbers for orientations that swap width and height."""


@contextlib.contextmanager
def opened(source: ImageSource) -> Iterator[tuple[Image.Image, DeepImage | None]]:
    """Opens an image, and takes the memory for decoding it, for the duration of the context.

    Yields:
        The image, not yet decoded, and the same as a `DeepImage` if its samples are deep.

    Raises:
        ImageError: It cannot be read, here or inside the context; the line names the file.
    """
    name = name_of(source)
    with contextlib.ExitStack() as stack:
        with _one_line(name):
            image, reopen = _open(source, stack)
            pixel = _PIXEL_BYTES.get(image.format or "", MAX_BYTES // MAX_PIXELS)
            if image.width * image.height > MAX_BYTES // pixel:
                raise ImageSizeError(f"{image.width}x{image.height} pixels; at most {MAX_BYTES // pixel} are read")
            if not image.width * image.height:
                raise ImageError(f"{image.width}x{image.height} pixels; at least one is needed")
            _check_kind(image)
        stack.enter_context(_memory.take(image.width * image.height * pixel))
        stack.enter_context(_one_line(name))
        yield image, DeepImage.of(image, reopen)


def size_of(source: Path | bytes) -> Size | None:
    """(width, height) of an image, upright, as its file claims; None if it cannot be read. Only its head is read."""
    try:
        with _quiet, _file(source) as file, Image.open(file, formats=_formats()) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _SIDEWAYS
            return (image.height, image.width) if turned else image.size
    except Exception:  # its reader says why
        return None


def is_image(path: Path) -> bool:
    """Whether a file starts as an image of a known kind does, or may not be read. It may be damaged further on."""
    try:
        with _quiet, open_regular(path) as file:
            if _is_heif(file):
                return True
            with Image.open(file, formats=_formats()) as image:
                return image.format != "TGA"  # its first bytes can be nearly anything
    except PermissionError:
        return True  # its reader says why
    except Exception:  # Pillow raises nearly anything
        return False


def name_of(source: ImageSource) -> str:
    """What messages call an image."""
    return str(source) if isinstance(source, str | Path) else "image"


@contextlib.contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Turns everything that goes wrong with an image into one line."""
    try:
        with _quiet:  # Pillow warns of odd but readable files
            yield
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


Reopen = Callable[[], Image.Image]


def _open(source: ImageSource, stack: contextlib.ExitStack) -> tuple[Image.Image, Reopen | None]:
    """The image, and what opens its file once more; the stack closes both."""
    if isinstance(source, np.ndarray):
        return _from_array(source), None
    if isinstance(source, Image.Image):
        return source, None
    # Pillow leaves a damaged file open if it opened it itself, so we open it.
    file = stack.enter_context(_file(source))
    if file.seek(0, io.SEEK_END) > MAX_FILE:
        raise ImageSizeError(f"{file.tell()} bytes; at most {MAX_FILE} are read")
    file.seek(0)
    formats = _formats()
    if _is_heif(file):
        _learn_heif()
        formats = ("HEIF",)

    def open_again() -> Image.Image:
        file.seek(0)
        return stack.enter_context(Image.open(file, formats=formats))

    try:
        return open_again(), open_again
    except Image.UnidentifiedImageError:
        _check_tiff(file)
        raise


def _file(source: str | Path | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else open_regular(Path(source))


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(f"an array of {array.dtype}, shape {array.shape}; must be uint8, (H, W) or (H, W, 3 or 4)")
    return Image.fromarray(np.ascontiguousarray(array))


def _check_kind(image: Image.Image) -> None:
    """Refuses what could only be read in part, or as wrong colours."""
    if image.mode in ("LAB", "HSV"):
        raise ImageError(f"its colours are in {image.mode}; must be gray, RGB or CMYK")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if image.tag_v2.get(_PLANES) == _SEPARATE and len(image.getbands()) > 1 and _bits(image.tag_v2) > 8:
            raise ImageError("colours of 16 bits in separate planes, which are not read; save it with interleaved ones")
        if _is_stack(image):
            raise ImageError("a stack of several images; save each of them as a file of its own")


def _is_stack(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether a TIFF file has a second image that is neither a smaller copy of the first nor a mask."""
    try:
        for page in range(1, _PAGES):
            image.seek(page)
            if not int(image.tag_v2.get(_SUBFILE, 0)) & _COPY:
                return True
    except EOFError:
        pass
    except Exception:  # the first image can be read nevertheless
        return False
    finally:
        image.seek(0)
    return False


_PAGES = 16  # pages of a TIFF file that are looked at; pyramids have fewer
_SUBFILE, _COPY = 254, 0b101  # a TIFF tag, and its bits for smaller copies and masks
_BITS, _BANDS, _PLANES, _FORMAT = 258, 277, 284, 339  # TIFF tags
_SEPARATE = 2
_FORMATS = {1: "integers", 2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex numbers"}


def _check_tiff(file: IO[bytes]) -> None:
    """Says of a TIFF file that Pillow does not know what its samples are.

    Raises:
        ImageError: It is one.
    """
    file.seek(0)
    head = file.read(8)
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        bits, bands = _bits(tags), int(tags.get(_BANDS, 1))
        kinds = tags.get(_FORMAT, (1,))
        kind = _FORMATS.get(int(kinds[0] if isinstance(kinds, tuple) else kinds), "an unknown kind")
    except Exception:  # damaged
        return
    raise ImageError(
        f"a TIFF file with {bands} band{'s' * (bands != 1)} of {kind} of {bits} bits, which is not read; must be gray "
        "(integers of up to 32 bits or floats of 32), or RGB or CMYK of 8 or 16 bits"
    )


def _bits(tags: TiffImagePlugin.ImageFileDirectory_v2) -> int:
    """The bits of a sample of the first band."""
    bits = tags.get(_BITS, (1,))
    return int(bits[0] if isinstance(bits, tuple) else bits)


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
