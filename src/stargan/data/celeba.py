"""CelebA's format: `list_attr*.txt` with a count, the names, and `file 1 -1 ...` lines; images beside it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from stargan.data import image_files, text
from stargan.data.columns import Columns
from stargan.data.label_columns import MISSING
from stargan.data.listed_files import PATH_NAMES, locate
from stargan.domains import UNKNOWN
from stargan.domains.names import key
from stargan.errors import DataError
from stargan.images import SUFFIXES
from stargan.progress import counted

PATTERN = "list_attr*.txt"
PARTITION = "list_eval_partition"
_FOLDERS = ("Anno", "anno", "Annotations", "annotations")  # where CelebA's own archive has the list
_PARTITION_FOLDERS = (".", "Eval", "../Eval", "eval", "../eval")
_ON, _OFF = {"1", "1.0"}, {"-1", "-1.0"}
_TEXTS = 20  # text files of a folder to look into; one with more has a file for each image
_START = 4000  # bytes of a text file that show whether it is such a list


def lists(folder: Path) -> list[Path]:
    """The attribute lists of a folder: those of the usual name, or else other text files of this format."""
    places = [folder, *(folder / name for name in _FOLDERS if (folder / name).is_dir())]
    named = sorted(
        {path.resolve(): path for place in places for path in place.glob(PATTERN) if path.is_file()}.values()
    )
    return named or [path for path in _texts(folder) if is_list(path)]


def _texts(folder: Path) -> list[Path]:
    found = (path for path in folder.glob("*.txt") if not image_files.hidden(path.name) and path.is_file())
    return sorted(islice(found, _TEXTS))


def is_list(path: Path) -> bool:
    """Whether a text file begins as such a list."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            lines = [line for line in islice(file, 4) if line.strip() and len(line) < _START]
        head, rows, _ = _head(path, [*enumerate(lines, 1)])
        for number, line in rows:
            _check_values(path, number, _row(path, number, line, head)[1], head.names)
        return bool(rows)
    except (DataError, FileNotFoundError, IsADirectoryError):
        return False


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
    names, files, values, notes = _parse(file)
    listed = locate(file.parent, files)
    if not listed.found:
        raise DataError(
            f"{file.parent}: none of the listed images ({files[0]}, ...) is there or in a folder beside the list"
        )
    return Columns(
        path=file,
        kind="celeba",
        root=listed.root,
        files=listed.files,
        binary={name: values[:, index] for index, name in enumerate(names) if (values[:, index] != UNKNOWN).any()},
        unusable={name: "it is empty" for index, name in enumerate(names) if (values[:, index] == UNKNOWN).all()},
        split=partition_beside(file, files),
        notes=notes,
    )


def _parse(file: Path) -> tuple[list[str], list[str], np.ndarray, list[str]]:
    content, notes = text.read(file)
    # Kept as text: the garbage collector would visit 200,000 lists of words again and again.
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    head, rows, more = _head(file, lines)
    names = head.names
    off = _off(rows)
    marks = {**dict.fromkeys(_ON, 1), **dict.fromkeys(_OFF | off, 0), **dict.fromkeys(MISSING, UNKNOWN)}
    marks = {**dict.fromkeys(("0", "0.0"), UNKNOWN), **marks}
    files: dict[str, None] = {}
    cells = bytearray()
    for number, line in rows:
        name, words = _row(file, number, line, head)
        if name in files:
            raise DataError(f"{file}: line {number}: {name} is listed twice")
        files[name] = None
        try:
            cells += bytes(map(marks.__getitem__, words))
        except KeyError:
            _check_values(file, number, words, names)
            cells += bytes(marks[word.lower()] for word in words)
    values = np.frombuffer(cells, np.uint8).reshape(len(rows), len(names))
    unknown = int((values == UNKNOWN).any(axis=1).sum())
    if unknown:
        more.append(f"{file.name}: a label is not known in {counted(unknown, 'image')}")
    return names, list(files), values, [*notes, *more]


Lines = Sequence[tuple[int, str]]
"""The lines of a file with their numbers."""


@dataclass(frozen=True)
class _Head:
    """What the line of names says: the attributes, and the separator of all lines (None for spaces)."""

    names: list[str]
    separator: str | None


def _head(file: Path, lines: Lines) -> tuple[_Head, Lines, list[str]]:
    """The line of names, the lines of images, and a note if the count of the first line is wrong."""
    count = int(lines[0][1]) if lines and re.fullmatch(r"\s*[0-9]+\s*", lines[0][1]) else None
    body = lines if count is None else lines[1:]
    if len(body) < 2 or any(Path(word).suffix.lower() in SUFFIXES for word in body[0][1].split()):
        raise DataError(f"{file}: line 1 must be the number of images, line 2 the names, then one line for each image")
    number, line = body[0]
    separator = _separator(line)
    names = _words(line, -1, separator)
    if len(names) > 1 and (key(names[0]) in PATH_NAMES or not names[0]):  # names of all columns, not only of attributes
        names = names[1:]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{file}: line {number} names {twice[0]} twice")
    wrong = count is not None and count != len(body) - 1
    notes = [f"{file.name}: line 1 gives {count} images, but {len(body) - 1} are listed"] if wrong else []
    return _Head(names, separator), body[1:], notes


def _separator(line: str) -> str | None:
    return next((mark for mark in ",;\t|" if mark in line.strip()), None)


def _words(line: str, count: int, separator: str | None) -> list[str]:
    """The last `count` words of a line, after what is before them, which may contain spaces."""
    if separator is None:
        return line.rsplit(None, count)
    return [word.strip() for word in line.strip().removesuffix(separator).rsplit(separator, count)]


def _row(file: Path, number: int, line: str, head: _Head) -> tuple[str, list[str]]:
    names = head.names
    name, *words = _words(line, len(names), head.separator)
    more = name.rpartition(head.separator or " ")[2]
    if more in _VALUES and more != name:
        words = [more, *words]
    if len(words) != len(names):
        raise DataError(f"{file}: line {number}: {counted(len(words), 'value')} for {counted(len(names), 'name')}")
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"{file}: line {number}: {name} lies outside the image folder")
    return name, words


def _check_values(file: Path, number: int, words: Sequence[str], names: Sequence[str]) -> None:
    for name, word in zip(names, words, strict=True):
        if word.lower() not in _VALUES:
            raise DataError(f"{file}: line {number}: {name} is {word!r}; must be 1 or -1")


_VALUES = frozenset({"1", "-1", "0", "1.0", "-1.0", "0.0", *MISSING})


def _off(rows: Lines) -> set[str]:
    """What means off beside -1: 0, unless there is a -1 somewhere; then 0 is a label that is not known."""
    minus = any(re.search(r"(?<![^\s,;|])-1(\.0)?(?![^\s,;|])", line) for _, line in rows)
    return set() if minus else {"0", "0.0"}


# ---------------------------------------------------------------- the split


def partition_beside(file: Path, files: Sequence[str]) -> np.ndarray | None:
    """The split in CelebA's `list_eval_partition` beside a list or table; None if there is none for these images."""
    for place in _PARTITION_FOLDERS:
        for ending in (".txt", ".csv"):
            path = file.parent / place / f"{PARTITION}{ending}"
            if path.is_file() and path != file:
                return _partition(path, files)
    return None


def _partition(file: Path, files: Sequence[str]) -> np.ndarray | None:
    """The split in the partition file; None if it names none of the images and so belongs to another list."""
    known: dict[str, int] = {}
    for number, (name, part) in _partition_lines(file):
        if part not in ("0", "1", "2"):
            raise DataError(f"{file}: line {number}: must be a file name and 0 (train), 1 (val) or 2 (test)")
        known[name] = int(part)
    found = [known.get(name, known.get(name.rpartition("/")[2])) for name in files]
    if all(part is None for part in found):
        return None
    if None in found:
        raise DataError(f"{file}: has no line for {files[found.index(None)]}; must name every image of the list")
    return np.array(found, np.uint8)


def _partition_lines(file: Path) -> Iterator[tuple[int, tuple[str, str]]]:
    lines = text.read(file)[0].splitlines()
    separator = _separator(lines[0]) if lines else None
    for number, line in enumerate(lines, 1):
        words = _words(line, 1, separator)
        if number == 1 and key(words[-1] if words else "") == "partition":
            continue
        if words:
            yield number, (words[0], words[1] if len(words) == 2 else "")
