"""Decodes the images of a data set once, into one memory-mapped uint8 array on disk."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan import images
from stargan.data.sources import Source
from stargan.errors import DataError, ImageError
from stargan.storage import atomic_write, cache_folder, write_bytes

VERSION = 1  # of the format; caches of other versions are ignored
CHUNK = 64  # images that each thread decodes between two reports of progress
NAMED = 5  # unreadable images that an error names

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class CachedImages:
    """The decoded images of one data set.

    Attributes:
        pixels: (N, H, W, 3) uint8, memory-mapped, read-only; row i is file i of the source.
        bad: By row, why the image cannot be read; its pixels are zero.
    """

    pixels: np.ndarray
    bad: dict[int, str]


def load(
    source: Source,
    size: images.Size,
    crop: float | None = None,
    *,
    max_bad: int = 10,
    folder: Path | None = None,
    report: Report | None = None,
) -> CachedImages:
    """Decodes, crops and resizes all images of a data set, or opens the cache of an earlier call.

    The cache is keyed by the names, byte sizes and modification times of the files, the size and the crop, so a changed
    image makes a new one. If two processes need the same cache, one builds it and the other waits.

    Args:
        source: The data set.
        size: (width, height) of the result.
        crop: As `images.fit`.
        max_bad: How many unreadable images are allowed.
        folder: Where caches are kept; by default $STARGAN_CACHE, $XDG_CACHE_HOME/stargan or ~/.cache/stargan.
        report: Called with (done, total) from time to time.

    Raises:
        DataError: More than `max_bad` images (or all of them) cannot be read, or the disk is full.
    """
    folder = folder or default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        base = folder / f"{source.name[:40].replace(os.sep, '-')}-{_key(source, size, crop)}"
        with _lock(_beside(base, ".lock")):
            cached = _open(base, len(source.files), size)
            if cached is None:
                _build(source, size, crop, base, report)
                cached = _open(base, len(source.files), size)
    except OSError as error:
        raise DataError(f"{folder}: cannot keep decoded images there ({error}); set STARGAN_CACHE") from error
    if cached is None:
        raise DataError(f"{base}: cannot be read back after writing")
    _check_bad(source, cached.bad, max_bad)
    return cached


def default_folder() -> Path:
    """The folder of all caches."""
    return cache_folder()


def _key(source: Source, size: images.Size, crop: float | None) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, str(source.root.resolve()), size, crop]).encode())
    for index, name in enumerate(source.files):
        try:
            state = source.path(index).stat()
            line = f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n"
        except OSError:
            line = f"{name}\0missing\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:24]


def _open(base: Path, count: int, size: images.Size) -> CachedImages | None:
    """The finished cache, or None where there is none or it is damaged."""
    try:
        bad = {int(row): str(why) for row, why in json.loads(_beside(base, ".json").read_text("utf-8")).items()}
        pixels = np.load(_beside(base, ".npy"), mmap_mode="r")
    except (OSError, ValueError, AttributeError, EOFError):  # EOFError: an empty file
        return None
    fits = pixels.shape == (count, size[1], size[0], 3) and pixels.dtype == np.uint8
    return CachedImages(pixels, bad) if fits else None


def _build(source: Source, size: images.Size, crop: float | None, base: Path, report: Report | None) -> None:
    total = len(source.files)
    needed = total * size[0] * size[1] * 3
    free = shutil.disk_usage(base.parent).free
    if needed > free:
        raise DataError(
            f"{base.parent}: {needed / 1e9:.1f} GB are needed for {total} decoded images, {free / 1e9:.1f} GB are "
            "free; set STARGAN_CACHE to a larger disk"
        )
    with atomic_write(_beside(base, ".npy")) as temporary:
        pixels = np.lib.format.open_memmap(temporary, "w+", np.uint8, (total, size[1], size[0], 3))
        bad = _decode_all(source, size, crop, pixels, report)
        pixels.flush()
        del pixels
        # The list of unreadable images comes first: a cache counts as complete once its pixels are there.
        write_bytes(_beside(base, ".json"), json.dumps(bad).encode())


def _decode_all(
    source: Source, size: images.Size, crop: float | None, pixels: np.ndarray, report: Report | None
) -> dict[int, str]:
    """Fills `pixels` on all cores (Pillow decodes without the GIL); returns the unreadable rows."""
    bad: dict[int, str] = {}

    def decode(row: int) -> None:
        try:
            pixels[row] = np.asarray(images.read(source.path(row), size, crop))
        except ImageError as error:
            bad[row] = str(error).removeprefix(f"{source.path(row)}: ")

    total = len(source.files)
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, total, CHUNK * threads):
            stop = min(start + CHUNK * threads, total)
            for _ in pool.map(decode, range(start, stop)):
                pass
            if report:
                report(stop, total)
    return bad


def _check_bad(source: Source, bad: dict[int, str], max_bad: int) -> None:
    total = len(source.files)
    if len(bad) <= max_bad and len(bad) < total:
        return
    named = "; ".join(f"{source.files[row]}: {why}" for row, why in sorted(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    limit = "" if len(bad) == total else f" (at most --max-bad {max_bad} are left out)"
    raise DataError(f"{source.root}: {len(bad)} of {total} images cannot be read{limit}: {named}{more}")


def _beside(base: Path, ending: str) -> Path:
    return base.with_name(base.name + ending)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lets one process at a time build one cache; without POSIX locks both build, and the last rename wins."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
