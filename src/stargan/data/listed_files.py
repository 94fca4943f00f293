"""Finds the images that a list or table names."""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from stargan.data import image_files

PATH_NAMES = frozenset({
    "path", "paths", "file", "files", "filename", "file_name", "filenames", "filepath", "file_path", "image", "images",
    "img", "image_path", "img_path", "image_name", "img_name", "imagename", "image_file", "image_filename", "image_id",
    "imageid", "img_id", "id", "name", "photo", "picture", "fname", "uri",
})  # fmt: skip
"""What a column of images may be called, by `key`."""

_IMAGES = frozenset({
    "img", "imgs", "image", "images", "jpegimages", "photo", "photos", "picture", "pictures", "jpg", "jpeg", "png",
})  # fmt: skip
"""One of these words is in the name of a folder for images; others beside a list belong to other data sets."""

_SAMPLE = 10  # names to look for in each folder
_FOLDERS = 1000  # folders to look into


@dataclass(frozen=True)
class ListedFiles:
    """Where listed images are.

    Attributes:
        root: A folder.
        files: For each name, the file relative to `root`; a name that is not found stays as it is.
        found: How many are found.
    """

    root: Path
    files: tuple[str, ...]
    found: int


def locate(folder: Path, names: Sequence[str]) -> ListedFiles:
    """Finds listed images.

    They may be beside the list, in folders below it or beside it (`Anno/list.txt`, `Img/...`), anywhere below it if
    their names differ, and elsewhere if paths are absolute. Names may lack their ending, have backslashes or another
    form of accents, and begin with folders of another machine.

    Args:
        folder: The folder of the list.
        names: As the list has them.
    """
    names = _relative(folder.resolve(), [_with_slashes(name) for name in names])
    sample = [names[row] for row in np.linspace(0, len(names) - 1, min(_SAMPLE, len(names))).astype(int)]
    root = max(_candidates(folder, sample), key=lambda root: _count(root, sample), default=folder)
    missing = _missing(root, names)
    if not missing:
        return ListedFiles(root, tuple(names), len(names))
    elsewhere = _elsewhere(folder, [names[row] for row in missing])
    files = list(names)
    if elsewhere and len(missing) < len(names):
        # One folder above all of them, unless the names lead there already.
        prefix = os.path.relpath(root, folder)
        files = [name if prefix == "." or name.startswith("/") else f"{prefix}/{name}" for name in names]
    if elsewhere:
        root = folder
    for row in missing:
        files[row] = elsewhere.get(names[row], files[row])
    return ListedFiles(root, tuple(files), len(names) - len(missing) + sum(names[row] in elsewhere for row in missing))


def _with_slashes(name: str) -> str:
    name = name.strip()
    if "\\" in name:
        name = PureWindowsPath(name).as_posix()
    return str(PurePosixPath(name)) if name.startswith("./") else name


def _relative(folder: Path, names: Sequence[str]) -> list[str]:
    """Makes absolute paths to images below or beside the list relative, so that all of it can be moved."""
    beside = f"{folder.parent.as_posix().rstrip('/')}/"
    return [os.path.relpath(name, folder) if name.startswith(beside) else name for name in names]


def _count(root: Path, names: Sequence[str]) -> int:
    return sum((root / name).is_file() for name in names)


def _candidates(folder: Path, sample: Sequence[str]) -> Iterator[Path]:
    """Yields the folders in which a name of the sample is found, up to one in which all are."""
    for number, candidate in enumerate(_nearby(folder)):
        try:
            count = _count(candidate, sample)
        except PermissionError:
            if folder.resolve() in candidate.resolve().parents:
                raise
            continue  # beside the data there may be folders of others
        if count:
            yield candidate
        if count == len(sample) or number > _FOLDERS:
            return


def _nearby(folder: Path) -> Iterator[Path]:
    """Yields the folder, those one and two levels below it, and folders for images beside it, also one level below.

    Lazily, since searching 200,000 images for folders takes a while.
    """
    yield folder
    beside = [inner for inner in _folders(folder.resolve().parent) if _IMAGES & set(_words(inner.name))]
    for tops in (_folders(folder), beside):
        yield from tops
        for top in tops:
            yield from _folders(top)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name.lower())


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not image_files.hidden(entry.name) and entry.is_dir())
    except OSError:  # beside the data there may be folders of others
        return []
    return [folder / name for name in names]


def _missing(root: Path, names: Sequence[str]) -> list[int]:
    """The rows whose file does not exist; each folder is listed once."""
    listed: dict[str, frozenset[str]] = {}
    rows = []
    for row, name in enumerate(names):
        parent, _, last = name.rpartition("/")
        if name.startswith("/"):
            parent = parent or "/"
        if parent not in listed:
            listed[parent] = _files(root / parent)
        if last not in listed[parent]:
            rows.append(row)
    return rows


def _files(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if not entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _elsewhere(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Finds names by their last parts, with or without an ending, where only one file comes into question."""
    index: dict[str, list[str]] = {}
    for file in _images(folder):
        last = _form(file.rpartition("/")[2])
        for name in dict.fromkeys((last, last.rpartition(".")[0] or last)):
            index.setdefault(name, []).append(file)
    found = {}
    for name in names:
        scores = {file: _score(file, name) for file in index.get(_form(name.rpartition("/")[2]), [])}
        best = [file for file, score in scores.items() if score and score == max(scores.values())]
        if len(best) == 1:
            found[name] = best[0]
    return found


def _score(file: str, name: str) -> int:
    """How many of the last parts of both are equal; 0 if the name says that the file is another one."""
    parts, wanted = _form(file).split("/"), _form(name).split("/")
    if parts[-1] != wanted[-1]:
        parts[-1] = parts[-1].rpartition(".")[0]
    pairs = list(zip(reversed(parts), reversed(wanted), strict=False))
    equal = next((depth for depth, (part, other) in enumerate(pairs) if part != other), len(pairs))
    absolute = name.startswith("/") or name[1:3] == ":/"  # of another machine: its folders say little
    return equal if absolute or equal == len(pairs) else 0


def _images(folder: Path) -> list[str]:
    """The images below a folder; if there are none, those in folders beside it."""
    below = list(image_files.find(folder).files)
    if below:
        return below
    beside = [inner for number, inner in enumerate(_nearby(folder)) if number < _FOLDERS and inner != folder]
    return [os.path.relpath(inner / name, folder) for inner in beside for name in sorted(_files(inner))]


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
