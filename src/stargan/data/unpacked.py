"""Images that come inside another file: Parquet and zip. They are unpacked once, into the folder of caches."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from stargan.data import image_files
from stargan.errors import DataError
from stargan.images import SUFFIXES
from stargan.storage import atomic_write, cache_folder, open_regular

ENDINGS = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet"})
"""Files in a zip, besides images, that may have labels."""

MAX_FILES = 10_000_000


def once(files: Sequence[Path], unpack: Callable[[Path], None]) -> Path:
    """The folder with what is in some files; `unpack` fills it, unless that was done before.

    Raises:
        DataError: The disk is full, or the folder cannot be written.
    """
    digest = hashlib.sha256()
    for path in files:
        open_regular(path).close()  # one without permission is named as such
        status = path.stat()
        digest.update(os.fsencode(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    folder = cache_folder() / "unpacked" / digest.hexdigest()[:24]
    if not folder.is_dir():
        try:
            with atomic_write(folder, sync=False, folder=True) as temporary:
                unpack(temporary)
        except OSError as error:
            if folder.is_dir():  # another process was faster
                return folder
            raise DataError(f"{files[0]}: cannot be unpacked into {folder} ({error.strerror or error})") from error
    return folder


def unzip(path: Path) -> Path:
    """The folder with the images and tables of a zip file.

    Raises:
        DataError: It is damaged, encrypted, or larger than the disk has room for.
    """
    folder = once([path], lambda folder: _unzip(path, folder))
    inside = [entry for entry in folder.iterdir() if not image_files.hidden(entry.name)]
    wrapped = len(inside) == 1 and inside[0].is_dir() and not all(map(image_files.is_image, inside[0].iterdir()))
    return inside[0] if wrapped else folder


def _unzip(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if _is_wanted(item)]
            needed, free = sum(item.file_size for item in members), shutil.disk_usage(folder).free
            if needed > free or len(members) > MAX_FILES:
                raise DataError(
                    f"{path}: has {needed / 1e9:.1f} GB in {len(members)} files, {free / 1e9:.1f} GB are free; set "
                    "STARGAN_CACHE to a larger disk"
                )
            for item in members:
                archive.extract(item, folder)
    except (DataError, OSError):
        raise
    except Exception as error:  # of damaged files: zipfile's, of zlib, of lzma, and more
        raise DataError(f"{path}: not a zip file that can be read ({error})") from error


def _is_wanted(item: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(item.filename)
    if not item.filename or item.is_dir() or any(map(image_files.hidden, name.parts)) or ".." in name.parts:
        return False
    ending = name.suffix.lower()
    return ending in ENDINGS or ending in SUFFIXES or not image_files.ENDING.fullmatch(ending)
