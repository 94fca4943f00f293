"""Finds the image files in a folder, and counts what is left out."""

import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from stargan import images
from stargan.images import SUFFIXES
from stargan.progress import counted

_HIDDEN = frozenset({"__macosx", "@eadir", "__pycache__", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"})
ENDING = re.compile(r"\.[a-z][a-z0-9]{0,4}")  # others, as in `photo.2020` and `photo.jpg_large`, say nothing


@dataclass(frozen=True)
class ImageFiles:
    """The images in a folder and below it.

    Attributes:
        files: Their paths relative to the folder, with `/`, in order.
        left_out: How many other files there are, by kind: `.txt file`, `broken link`.
    """

    files: tuple[str, ...]
    left_out: Counter[str] = field(default_factory=Counter)

    def notes(self) -> list[str]:
        """One line about what is left out, if anything is."""
        kinds = ", ".join(
            counted(count, kind) for kind, count in sorted(self.left_out.items(), key=lambda item: (-item[1], item[0]))
        )
        return [f"left out: {kinds}"] if kinds else []


def find(root: Path) -> ImageFiles:
    """Finds all images below a folder. Hidden files and what systems leave in folders are never looked at.

    A linked folder is followed once: not if it is above, and not if it has been searched already. An ending decides
    whether a file counts as an image; where there is none, its content does.

    Raises:
        OSError: A folder cannot be read.
    """
    found: list[str] = []
    left_out: Counter[str] = Counter()
    for relative, entry in _entries(root, left_out):
        if not entry.is_file():
            left_out["broken link" if entry.is_symlink() else "special file"] += 1
        elif is_image(Path(entry.path)):
            found.append(relative)
        else:
            left_out[f"{Path(entry.name).suffix.lower() or 'other'} file"] += 1
    return ImageFiles(tuple(sorted(found, key=lambda name: name.split("/"))), left_out)


def hidden(name: str) -> bool:
    """Whether a file or folder of this name is never looked at."""
    return name.startswith(".") or name.lower() in _HIDDEN


def has_image_ending(name: str) -> bool:
    """Whether a file of this name counts as an image where its content is not looked at, and none above it is hidden.

    Args:
        name: A path with `/`.
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(map(hidden, path.parts))


def is_image(path: Path) -> bool:
    """Whether a file counts as an image."""
    ending = path.suffix.lower()
    return ending in SUFFIXES or (not ENDING.fullmatch(ending) and images.is_image(path))


def _entries(root: Path, left_out: Counter[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yields all files with their relative paths; links to folders are followed last, so that nothing comes twice."""
    seen = {_identity(folder) for folder in root.resolve().parents}
    folders, links = deque([(root, "")]), deque[tuple[Path, str]]()
    while folders or links:
        folder, prefix = (folders or links).popleft()
        if _identity(folder) in seen:
            left_out["repeated link"] += 1
            continue
        seen.add(_identity(folder))
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if not hidden(entry.name)), key=lambda entry: entry.name)
            if prefix and not shown:
                left_out["empty folder"] += 1
            for entry in shown:
                relative = prefix + entry.name
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append((Path(entry.path), relative + "/"))
                else:
                    yield relative, entry


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
