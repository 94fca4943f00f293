"""Writing images."""

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from stargan.errors import ImageError
from stargan.images.reading import Photo, read_photo
from stargan.images.samples import parts
from stargan.storage import atomic_write

# PNG: with run lengths only, photographs take a quarter of the default's time and three per cent more bytes. Level 3
# takes half as much time again for as many bytes; it makes drawings up to a seventh smaller.
_SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {"compress_level": 1, "compress_type": zlib.Z_RLE},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_BAND = 2**20  # pixels that are computed at a time


def kind(path: Path) -> str:
    """Pillow's name for the format that a file name's ending stands for.

    Raises:
        ImageError: Images cannot be written in a format of this ending.
    """
    Image.preinit()  # the usual formats; loading all the others takes a thirtieth of a second
    ending = path.suffix.lower()
    found = Image.EXTENSION.get(ending) or Image.registered_extensions().get(ending)
    if found is None or not _can_write(found):
        raise ImageError(f"{path}: cannot write an image of this kind; use .png or .jpg")
    return found


def save(image: Image.Image, path: Path, like: Photo | None = None) -> None:
    """Writes an image atomically; the file name's ending chooses the format.

    Args:
        image: RGB.
        path: Where.
        like: The photo that it was made of, whose EXIF data, colour profile, resolution and transparency are kept, as
            far as the format can.

    Raises:
        ImageError: As `kind`.
    """
    format_name = kind(path)
    encoded = io.BytesIO()  # Pillow does not notice that a disk is full where it writes to a file itself
    write(image, encoded, format_name, like)
    # Not synced: an fsync takes 13 ms, saving a 128-pixel PNG 4 ms, and a lost image can be made again.
    with atomic_write(path, sync=False) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def write(image: Image.Image, stream: io.BytesIO, format_name: str, like: Photo | None = None) -> None:
    """Writes an image into memory, see `save`; as PNG if Pillow cannot write the format."""
    if not _can_write(format_name):
        format_name = "PNG"
    settings = dict(_SETTINGS.get(format_name, {}))
    if like is not None:
        if like.rgba is not None and format_name in ("PNG", "WEBP", "TIFF", "AVIF") and like.rgba.size == image.size:
            image = _with_change(like.rgba, like.image, image)
        kept = {"exif": like.exif, "icc_profile": like.icc_profile, "dpi": like.dpi}
        settings |= {name: value for name, value in kept.items() if value}
        if format_name == "JPEG" and like.subsampling >= 0:
            settings["subsampling"] = like.subsampling
    image.save(stream, format_name, **settings)


def _with_change(rgba: Image.Image, before: Image.Image, image: Image.Image) -> Image.Image:
    """The pixels of a photo, plus what changed from `before`, the photo over white, to `image`.

    Colours get the whole change; of a half-transparent place, half of it is seen.
    """
    result = rgba.copy()
    for box in parts(image, _BAND):
        there, old, new = (np.asarray(each.crop(box), np.int16) for each in (rgba, before, image))
        colours = np.clip(there[..., :3] + new - old, 0, 255)
        result.paste(Image.fromarray(np.dstack((colours, there[..., 3])).astype(np.uint8)), box)
    return result


def _can_write(format_name: str) -> bool:
    """Never HEIC: Pillow writes it once any library has asked for it, and names of results may not depend on that."""
    return format_name in Image.SAVE and format_name != "HEIF"


def save_as_made_by(command: str, image: Image.Image, path: Path) -> None:
    """Writes an image that says which command made it, so that the command may replace it; see `save`."""
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = command
    save(image, path, Photo(image, exif=exif.tobytes()))


def may_replace(command: str, path: Path) -> bool:
    """Whether there is no such file, or an image that this command has made."""
    try:
        return not path.exists() or command.encode() in read_photo(path).exif
    except ImageError:
        return False
