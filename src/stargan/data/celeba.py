"""CelebA's format: `list_attr*.txt` with a count, the names, and `file 1 -1 ...` lines; images beside it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stargan.data.columns import Columns
from stargan.errors import DataError

PATTERN = "list_attr*.txt"
PARTITION = "list_eval_partition.txt"
LOOKED_FOR = 10  # listed files to look for when finding the image folder


def lists(folder: Path) -> list[Path]:
    """The attribute lists in a folder."""
    return sorted(path for path in folder.glob(PATTERN) if path.is_file())


def read(path: Path) -> Columns:
    """Reads a folder in this format, or the list in it.

    Raises:
        DataError: The list is malformed (file and line are named), or its images are not found.
    """
    found = [path] if path.is_file() else lists(path)
    if len(found) > 1:
        both = " and ".join(file.name for file in found)
        raise DataError(f"{path}: {both} in one folder; give one of the files as --data")
    file = found[0]
    names, files, values = _parse(file)
    root = _image_folder(file.parent, files)
    partition = file.parent / PARTITION
    return Columns(
        path=file,
        kind="celeba",
        root=root,
        files=tuple(files),
        binary={name: values[:, index] for index, name in enumerate(names)},
        split=_partition(partition, files) if partition.is_file() else None,
    )


def _parse(file: Path) -> tuple[list[str], list[str], np.ndarray]:
    lines = _lines(file)
    if len(lines) < 3 or not lines[0].strip().isdecimal():
        raise DataError(f"{file}: line 1 must be the number of images, line 2 the names, then one line for each image")
    names = lines[1].split()
    # Kept as text: the garbage collector would visit 200,000 lists of words again and again.
    rows = [(number, line) for number, line in enumerate(lines[2:], 3) if line.strip()]
    if int(lines[0]) != len(rows):
        raise DataError(f"{file}: line 1 gives {lines[0].strip()} images, but {len(rows)} are listed")
    if len(set(names)) < len(names):
        raise DataError(f"{file}: line 2 names {next(n for n in names if names.count(n) > 1)} twice")
    values = np.empty((len(rows), len(names)), np.uint8)
    files: dict[str, None] = {}
    for row, (number, line) in enumerate(rows):
        name, *words = line.split()
        _check_row(file, number, name, words, names)
        if name in files:
            raise DataError(f"{file}: line {number}: {name} is listed twice")
        files[name] = None
        values[row] = [word == "1" for word in words]
    return names, list(files), values


def _check_row(file: Path, number: int, name: str, words: list[str], names: list[str]) -> None:
    if len(words) != len(names):
        raise DataError(f"{file}: line {number}: {len(words)} values for {len(names)} names")
    if not {"1", "-1"}.issuperset(words):
        wrong, word = next((n, word) for n, word in zip(names, words, strict=True) if word not in ("1", "-1"))
        raise DataError(f"{file}: line {number}: {wrong} is {word!r}; must be 1 or -1")
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"{file}: line {number}: {name} lies outside the image folder")


def _image_folder(folder: Path, files: list[str]) -> Path:
    """The folder of the listed files: that of the list, or one or two levels below it."""
    for candidate in _candidates(folder):
        if any((candidate / name).is_file() for name in files[:LOOKED_FOR]):
            return candidate
    raise DataError(f"{folder}: none of the listed images ({files[0]}, ...) is there or in a folder beside the list")


def _candidates(folder: Path) -> Iterator[Path]:
    """Lazily, since searching 200,000 images for folders takes a while."""
    yield folder
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    yield from below
    for parent in below:
        yield from sorted(path for path in parent.iterdir() if path.is_dir())


def _partition(file: Path, files: list[str]) -> np.ndarray | None:
    """The split in the partition file; None if it names none of the images and so belongs to another list."""
    known: dict[str, int] = {}
    for number, line in enumerate(_lines(file), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise DataError(f"{file}: line {number}: must be a file name and 0 (train), 1 (val) or 2 (test)")
        known[words[0]] = int(words[1])
    unknown = [name for name in files if name not in known]
    if len(unknown) == len(files):
        return None
    if unknown:
        raise DataError(f"{file}: has no line for {unknown[0]}; must name every image of the list")
    return np.array([known[name] for name in files], np.uint8)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
