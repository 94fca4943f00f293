"""What a cache of decoded images says beside its pixels: which images are left out, and the digests of all.

Digests are CRC-32 numbers. Those of the decoded images show damage of the cache. Those of the files show whether the
images are still the same, wherever they are and whenever they were written.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan.images import MAX_FILE
from stargan.storage import open_regular, write_bytes

_CHUNK = 2**20
MISSING = 0
"""Stands for the digest of a file that cannot be read."""


@dataclass(frozen=True)
class Record:
    """What a cache says about its images.

    Attributes:
        bad: By row, why the image is left out.
        files: The digest of each file.
        images: The digest of each decoded image.
    """

    bad: dict[int, str]
    files: list[int]
    images: list[int]

    def write(self, path: Path) -> None:
        """Writes the record as JSON."""
        plain = {"bad": {str(row): why for row, why in self.bad.items()}, "files": self.files, "images": self.images}
        write_bytes(path, json.dumps({**plain, "digest": _of_json(plain)}).encode())

    def describes(self, pixels: np.ndarray) -> bool:
        """Whether all pixels, (N, H, W, 3) uint8, have the digests of this record."""
        return self.images == of_images(pixels) and all(0 <= row < len(pixels) for row in self.bad)


def read(path: Path) -> Record | dict[int, str]:
    """Reads a record; of a cache that an earlier version made, only which images are left out.

    Raises:
        OSError, ValueError, TypeError, ...: There is none, or it is damaged.
    """
    plain = json.loads(path.read_text("utf-8"))
    digest = plain.pop("digest", None)
    if digest is None:
        return {int(row): str(why) for row, why in plain.items()}
    if digest != _of_json(plain):
        raise ValueError("damaged")
    return Record({int(row): why for row, why in plain["bad"].items()}, plain["files"], plain["images"])


def of_images(pixels: np.ndarray) -> list[int]:
    """The digest of each of some decoded images, (N, H, W, 3) uint8."""
    return _in_threads(lambda row: zlib.crc32(pixels[row]), len(pixels))


def of_files(paths: Iterable[Path]) -> list[int]:
    """The digest of each of some files, see `of_file`."""
    found = list(paths)
    return _in_threads(lambda row: of_file(found[row]), len(found))


def of_file(path: Path) -> int:
    """The digest of a file; `MISSING` if it cannot be read."""
    digest = 0
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE:  # it is not decoded either
                return MISSING
            while part := file.read(_CHUNK):
                digest = zlib.crc32(part, digest)
    except (OSError, ValueError):  # ValueError: a name with a NUL in it
        return MISSING
    return digest


def _in_threads(digest: Callable[[int], int], count: int) -> list[int]:
    rows = np.array_split(np.arange(count), max(1, count // 64))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # zlib works without the GIL
        parts = pool.map(lambda part: [digest(row) for row in part], rows)
        return [number for part in parts for number in part]


def _of_json(plain: Mapping[str, object]) -> int:
    return zlib.crc32(json.dumps(plain).encode())
