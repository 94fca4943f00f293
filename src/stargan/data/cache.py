"""Pictures decoded once, into one memory-mapped uint8 array on disk."""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan import images
from stargan.data.sources import Source
from stargan.errors import DataError, ImageError

VERSION = 1  # of what is written; another one is never mistaken for it
AHEAD = 64  # pictures handed to each thread at a time
SHOWN = 5  # bad pictures named in an error

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Pictures:
    """The decoded pictures of one data set.

    Attributes:
        pixels: (N, H, W, 3) uint8, memory-mapped, read only; row i is the source's file i.
        bad: Why a row could not be read; its pixels are zero.
    """

    pixels: np.ndarray
    bad: dict[int, str]


def load(
    source: Source,
    size: images.Size,
    crop: int | None = None,
    *,
    max_bad: int = 10,
    folder: Path | None = None,
    report: Report | None = None,
) -> Pictures:
    """Decodes, crops and scales all pictures of a data set, or finds that this was done before.

    The cache is keyed by the files' names, byte sizes and times, the size and the crop, so a changed picture makes a
    new one. Two processes may ask at once: the second waits for the first.

    Args:
        source: The data set.
        size: (width, height) of the result.
        crop: As `images.fit`.
        max_bad: How many unreadable pictures are tolerated.
        folder: Where caches lie; by default $STARGAN_CACHE, $XDG_CACHE_HOME/stargan or ~/.cache/stargan.
        report: Called with (done, total) now and then.

    Raises:
        DataError: More than `max_bad` pictures (or all of them) cannot be read, or the disk is full.
    """
    folder = folder or default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        base = folder / f"{source.name[:40].replace(os.sep, '-')}-{_key(source, size, crop)}"
        with _lock(_beside(base, ".lock")):
            pictures = _open(base, len(source.files), size)
            if pictures is None:
                _build(source, size, crop, base, report)
                pictures = _open(base, len(source.files), size)
    except OSError as error:
        raise DataError(f"{folder}: cannot keep decoded pictures there ({error}); set STARGAN_CACHE") from error
    if pictures is None:
        raise DataError(f"{base}: cannot be read back after writing")
    _check_bad(source, pictures.bad, max_bad)
    return pictures


def default_folder() -> Path:
    """Where caches lie."""
    if os.environ.get("STARGAN_CACHE"):
        return Path(os.environ["STARGAN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stargan"


def _key(source: Source, size: images.Size, crop: int | None) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, str(source.root.resolve()), size, crop]).encode())
    for index, name in enumerate(source.files):
        try:
            state = source.path(index).stat()
            digest.update(f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{name}\0missing\n".encode())
    return digest.hexdigest()[:24]


def _open(base: Path, count: int, size: images.Size) -> Pictures | None:
    """The finished cache, or None where there is none or it is damaged."""
    try:
        bad = {int(row): str(why) for row, why in json.loads(_beside(base, ".json").read_text("utf-8")).items()}
        pixels = np.load(_beside(base, ".npy"), mmap_mode="r")
    except (OSError, ValueError, AttributeError, EOFError):  # EOFError: numpy's word for an empty file
        return None
    right = pixels.shape == (count, size[1], size[0], 3) and pixels.dtype == np.uint8
    return Pictures(pixels, bad) if right else None


def _build(source: Source, size: images.Size, crop: int | None, base: Path, report: Report | None) -> None:
    total = len(source.files)
    needed = total * size[0] * size[1] * 3
    free = shutil.disk_usage(base.parent).free
    if needed > free:
        raise DataError(
            f"{base.parent}: {needed / 1e9:.1f} GB are needed for {total} decoded pictures, {free / 1e9:.1f} GB are "
            "free; set STARGAN_CACHE to a larger disk"
        )
    temporary = _beside(base, f".{uuid.uuid4().hex}.partial")
    listing = _beside(base, f".{uuid.uuid4().hex}.partial-json")
    try:
        pixels = np.lib.format.open_memmap(temporary, "w+", np.uint8, (total, size[1], size[0], 3))
        bad = _decode_all(source, size, crop, pixels, report)
        pixels.flush()
        del pixels
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        # The list of bad pictures first: a cache counts as finished when the pixels are there.
        listing.write_text(json.dumps(bad), "utf-8")
        listing.replace(_beside(base, ".json"))
        temporary.replace(_beside(base, ".npy"))
    finally:
        temporary.unlink(missing_ok=True)
        listing.unlink(missing_ok=True)


def _decode_all(
    source: Source, size: images.Size, crop: int | None, pixels: np.ndarray, report: Report | None
) -> dict[int, str]:
    """Fills `pixels` on all cores (Pillow decodes outside the interpreter lock); returns the bad rows."""
    bad: dict[int, str] = {}

    def decode(row: int) -> None:
        try:
            pixels[row] = np.asarray(images.fit(images.decode(source.path(row)), size, crop))
        except ImageError as error:
            bad[row] = str(error).removeprefix(f"{source.path(row)}: ")

    total = len(source.files)
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, total, AHEAD * threads):
            stop = min(start + AHEAD * threads, total)
            for _ in pool.map(decode, range(start, stop)):
                pass
            if report:
                report(stop, total)
    return bad


def _check_bad(source: Source, bad: dict[int, str], max_bad: int) -> None:
    total = len(source.files)
    if len(bad) <= max_bad and len(bad) < total:
        return
    named = "; ".join(f"{source.files[row]}: {why}" for row, why in sorted(bad.items())[:SHOWN])
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    limit = "" if len(bad) == total else f" (at most --max-bad {max_bad} are left out)"
    raise DataError(f"{source.root}: {len(bad)} of {total} pictures cannot be read{limit}: {named}{more}")


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
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
