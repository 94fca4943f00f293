"""Decodes the images of a data set once, into one memory-mapped uint8 array on disk."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import faces, images
from stargan.data import cache_record
from stargan.data.cache_record import Record
from stargan.data.sources import Source
from stargan.errors import DataError, ImageError
from stargan.faces import FaceCrop
from stargan.storage import atomic_write, cache_folder, lock, remove_leftovers, reserve

VERSION = 1  # of the format; caches of other versions are ignored
CHUNK = 64  # images that each thread decodes between two reports of progress
ALIGNED_CHUNK = 4  # the same, where faces are looked for, which takes much longer
NAMED = 5  # unreadable images that an error names, and images without a face that a line names
NO_FACE = "no face"

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class CachedImages:
    """The decoded images of one data set.

    Attributes:
        pixels: (N, H, W, 3) uint8, memory-mapped, read-only; row i is file i of the source.
        bad: By row, why the image is left out: it cannot be read, or it shows no face to align (`NO_FACE`). Its pixels
            are zero.
        digests: By row, the digest of the file, see `cache_record`.
    """

    pixels: np.ndarray
    bad: dict[int, str]
    digests: list[int] = field(default_factory=list)

    @property
    def unreadable(self) -> dict[int, str]:
        """By row, why the image cannot be read."""
        return {row: why for row, why in self.bad.items() if why != NO_FACE}

    @property
    def faceless(self) -> list[int]:
        """Rows of the images that show no face to align."""
        return sorted(row for row, why in self.bad.items() if why == NO_FACE)

    def left_out(self, source: Source) -> list[str]:
        """One line for each image of `source` that cannot be read, and one for all that show no face."""
        lines = [f"{source.files[row]}: {why}" for row, why in sorted(self.unreadable.items())]
        lines += [self.without_faces(source)] if self.faceless else []
        return [f"left out: {line}" for line in lines]

    def without_faces(self, source: Source) -> str:
        """Says how many images of `source` show no face, and names the first."""
        named = ", ".join(source.files[row] for row in self.faceless[:NAMED])
        more = ", ..." if len(self.faceless) > NAMED else ""
        return f"no face in {len(self.faceless)} of {len(source.files)} images: {named}{more}"


def load(
    source: Source,
    size: images.Size,
    crop: float | None = None,
    *,
    align: FaceCrop | None = None,
    range: images.Range | None = None,
    max_bad: int = 10,
    folder: Path | None = None,
    report: Report | None = None,
) -> CachedImages:
    """Decodes, crops and resizes all images of a data set, or opens the cache of an earlier call.

    The cache is keyed by the names, byte sizes and modification times of the files, the size, the crop, the places that
    faces are aligned to and the range, so a changed image makes a new one. Its digests are checked, and a damaged cache
    is built again. If two processes need the same cache, one builds it and the other waits.

    Args:
        source: The data set.
        size: (width, height) of the result.
        crop: As `images.fit`.
        align: Instead of `crop`: where the largest face of each image is to lie. Images without a face are left out.
        range: What becomes black and white of deep samples, as in `images.decode`; None refuses images that have them.
        max_bad: How many unreadable images are allowed.
        folder: Where caches are kept; by default $STARGAN_CACHE, $XDG_CACHE_HOME/stargan or ~/.cache/stargan.
        report: Called with (done, total) from time to time.

    Raises:
        DataError: More than `max_bad` images (or all of them) cannot be read, or none shows a face to align, or the
            disk is full.
    """
    cut = _Cut(size, crop, align, range)
    folder = folder or default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        base = folder / f"{source.name[:40].replace(os.sep, '-')}-{_key(source, cut)}"
        remove_leftovers(folder)
        with lock(_beside(base, ".lock")):
            cached = _open(base, source, size)
            if cached is None:
                _build(source, cut, base, report)
                cached = _open(base, source, size)
    except OSError as error:
        raise DataError(f"{folder}: cannot keep decoded images there ({error}); set STARGAN_CACHE") from error
    if cached is None:
        raise DataError(f"{base}: cannot be read back after writing")
    _check_bad(source, cached, max_bad)
    return cached


@dataclass(frozen=True)
class _Cut:
    """How images are cut; the fields are those of `load`."""

    size: images.Size
    crop: float | None
    align: FaceCrop | None
    range: images.Range | None

    def read(self, path: Path) -> Image.Image | None:
        """The image of a file, cut and resized; None if it shows no face to align."""
        if self.align is None:
            return images.read(path, self.size, self.crop, self.range)
        photo = images.decode(path, self.range)
        largest = max(faces.find(photo), key=lambda face: face.size, default=None)
        return faces.align(photo, largest, self.align, self.size).image if largest else None

    def to_json(self) -> list[object]:
        """All fields, for the key of a cache."""
        align = [self.align.to_json()] if self.align else []
        return [self.size, self.crop, *align, *([{"range": self.range}] if self.range else [])]


def default_folder() -> Path:
    """The folder of all caches."""
    return cache_folder()


def _key(source: Source, cut: _Cut) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, str(source.root.resolve()), *cut.to_json()]).encode())
    for index, name in enumerate(source.files):
        try:
            state = source.path(index).stat()
            line = f"{name}\0{state.st_size}\0{state.st_mtime_ns}\n"
        except (OSError, ValueError):  # ValueError: a name with a NUL in it
            line = f"{name}\0missing\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:24]


def _open(base: Path, source: Source, size: images.Size) -> CachedImages | None:
    """The finished cache, or None where there is none or it is damaged."""
    try:
        record = cache_record.read(_beside(base, ".json"))
        pixels = np.load(_beside(base, ".npy"), mmap_mode="r")
        if pixels.shape != (len(source.files), size[1], size[0], 3) or pixels.dtype != np.uint8:
            return None
        if not isinstance(record, Record):  # an earlier version made the cache
            files = cache_record.of_files(map(source.path, range(len(source.files))))
            record = Record(record, files, cache_record.of_images(pixels))
            record.write(_beside(base, ".json"))
        return CachedImages(pixels, record.bad, record.files) if record.describes(pixels) else None
    except Exception:  # whatever JSON's and NumPy's readers raise on damage; the cache is built again
        return None


def _build(source: Source, cut: _Cut, base: Path, report: Report | None) -> None:
    total, (width, height) = len(source.files), cut.size
    needed = total * width * height * 3
    free = shutil.disk_usage(base.parent).free
    if needed > free:
        raise DataError(
            f"{base.parent}: {needed / 1e9:.1f} GB are needed for {total} decoded images, {free / 1e9:.1f} GB are "
            "free; set STARGAN_CACHE to a larger disk"
        )
    with atomic_write(_beside(base, ".npy")) as temporary:
        pixels = np.lib.format.open_memmap(temporary, "w+", np.uint8, (total, height, width, 3))
        reserve(temporary)  # or else a disk that fills up meanwhile would kill the process
        record = _decode_all(source, cut, pixels, report)
        pixels.flush()
        del pixels
        # The record comes first: a cache counts as complete once its pixels are there.
        record.write(_beside(base, ".json"))


def _decode_all(source: Source, cut: _Cut, pixels: np.ndarray, report: Report | None) -> Record:
    """Fills `pixels` on all cores: Pillow, ONNX Runtime and zlib work without the GIL."""
    bad: dict[int, str] = {}
    digests = [cache_record.MISSING] * len(source.files)

    def decode(row: int) -> None:
        digests[row] = cache_record.of_file(source.path(row))
        try:
            image = cut.read(source.path(row))
        except ImageError as error:
            bad[row] = str(error).removeprefix(f"{source.path(row)}: ")
        else:
            if image is None:
                bad[row] = NO_FACE
            else:
                pixels[row] = np.asarray(image)

    total = len(source.files)
    threads = os.cpu_count() or 1
    chunk = threads * (ALIGNED_CHUNK if cut.align else CHUNK)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, total, chunk):
            stop = min(start + chunk, total)
            for _ in pool.map(decode, range(start, stop)):
                pass
            if report:
                report(stop, total)
    return Record(bad, digests, cache_record.of_images(pixels))


def _check_bad(source: Source, cached: CachedImages, max_bad: int) -> None:
    total, bad = len(source.files), cached.unreadable
    if len(bad) > max_bad or len(bad) == total:
        named = "; ".join(f"{source.files[row]}: {why}" for row, why in sorted(bad.items())[:NAMED])
        more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        limit = "" if len(bad) == total else f" (at most --max-bad {max_bad} are left out)"
        raise DataError(f"{source.root}: {len(bad)} of {total} images cannot be read{limit}: {named}{more}")
    if len(cached.bad) == total:
        raise DataError(f"{source.root}: none of its {total} images shows a face; leave out --align faces")


def _beside(base: Path, ending: str) -> Path:
    return base.with_name(base.name + ending)
