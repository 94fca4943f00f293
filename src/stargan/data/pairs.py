"""Paired data: two folders with equal names, files with both images side by side, or a table of two paths."""

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from stargan import images
from stargan.data import image_files, unpacked
from stargan.data.sources import Source, hashed_split
from stargan.data.splits import SPLITS, indices, split_and_rest, split_of
from stargan.domains import Domains, Group, LabelSet
from stargan.domains.names import clean
from stargan.errors import DataError, ImageError

Direction = Literal["AtoB", "BtoA"]
KIND = "pairs"
DELIMITERS = {".csv": ",", ".tsv": "\t"}

CUT = "; each file is cut into A, its left half, and B"

_RULE = (
    "must be a folder with two folders of images with equal names, a folder of files that have both images side by "
    "side, or a table (.csv, .tsv) with two columns of files"
)
_Found = tuple[tuple[str, str], list[tuple[str, str]], list[str | None]]
"""The names of both domains, the two files of each pair, and the split of each."""


def find(paths: Sequence[str], direction: Direction) -> tuple[Source, Domains]:
    """Reads a paired data set.

    Args:
        paths: The path of one data set.
        direction: Which of the two domains, in order, is translated to which.

    Returns:
        The data set, and its label: off in the images to translate, which come first, and on in their translations,
        which follow in the same order.

    Raises:
        DataError: There are several paths, the data are missing, in none of the forms, or an image has no partner.
    """
    if len(paths) != 1:
        raise DataError("--method pix2pix: trains on one data set; say --data once")
    path = Path(paths[0])
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; {_RULE}")
    try:
        root, (names, pairs, splits) = _read(path)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from error
    if not pairs:
        raise DataError(f"{path}: no pairs of images; {_RULE}")
    if direction == "BtoA":
        names, pairs = names[::-1], [pair[::-1] for pair in pairs]
    files = [pair[side] for side in (0, 1) for pair in pairs]
    name = clean(path.resolve().stem if path.is_file() else path.resolve().name) or KIND
    label_set = LabelSet(name, (Group((clean(names[1]),), one_way=True),))
    labels = np.repeat(np.array([[0], [1]], np.uint8), len(pairs), axis=0)
    split = np.tile(_split(pairs, splits), 2)
    notes = (f"{len(pairs)} pairs, {names[0]} to {names[1]}{CUT if root not in (path, path.parent) else ''}",)
    return Source(name, KIND, root, tuple(files), labels, label_set, split, notes), Domains((label_set,))


def _split(pairs: Sequence[tuple[str, str]], splits: Sequence[str | None]) -> np.ndarray:
    known = indices(split for split in splits if split)
    if not known:
        return hashed_split([first for first, _ in pairs])
    return np.array([known[split] if split else SPLITS.index("train") for split in splits], np.uint8)


def _read(path: Path) -> tuple[Path, _Found]:
    if path.is_file():
        if path.suffix.lower() not in DELIMITERS:
            raise DataError(f"{path}: not a data set; {_RULE}")
        return path.parent, _table(path)
    files = image_files.find(path).files
    placed = [_place(file) for file in files]
    domains = sorted({domain for domain, _, _ in placed if domain})
    if not domains and files:
        folder, halves = _side_by_side(path, files)
        return folder, (("A", "B"), halves, [split for _, split, _ in placed])
    if len(domains) != 2 or any(domain is None for domain, _, _ in placed):
        raise DataError(f"{path}: {_found(domains, files)}; {_RULE}")
    return path, _folders(path, (domains[0], domains[1]), files, placed)


def _found(domains: Sequence[str], files: Sequence[str]) -> str:
    return f"found the folders {', '.join(domains)}" if domains and files else "no images"


def _place(file: str) -> tuple[str | None, str | None, str]:
    """The domain, the split and the name of a file: `a`, `train` and `7` of `train/a/7.png`, also of `trainA/7.png`."""
    *folders, name = PurePosixPath(file).parts
    domain = split = None
    rest: list[str] = []
    for folder in folders:
        both = split_and_rest(folder)
        if split is None and split_of(folder):
            split = split_of(folder)
        elif domain is None and split is None and both and len(both[1]) == 1:
            split, domain = both
        elif domain is None:
            domain = folder
        else:
            rest.append(folder)
    return domain, split, "/".join([*rest, PurePosixPath(name).stem])


def _folders(
    path: Path, names: tuple[str, str], files: Sequence[str], placed: Sequence[tuple[str | None, str | None, str]]
) -> _Found:
    sides: dict[str, dict[tuple[str | None, str], str]] = {name: {} for name in names}
    for file, (domain, split, name) in zip(files, placed, strict=True):
        assert domain is not None
        other = sides[domain].setdefault((split, name), file)
        if other != file:
            raise DataError(f"{path / file}: has the name of {other}; names within a domain must differ")
    for one, other in (names, names[::-1]):
        lone = next((file for key, file in sides[one].items() if key not in sides[other]), None)
        if lone:
            raise DataError(f"{path / lone}: has no partner in {other}; both must have the same name")
    keys = sorted(sides[names[0]], key=lambda key: (key[0] or "", key[1]))
    return names, [(sides[names[0]][key], sides[names[1]][key]) for key in keys], [split for split, _ in keys]


def _table(path: Path) -> _Found:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter=DELIMITERS[path.suffix.lower()]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table in UTF-8 ({error})") from error
    head, *lines = rows or [[]]
    if len(head) not in (2, 3) or (len(head) == 3 and split_column(head) is None):
        raise DataError(f"{path}: must have two columns with files, and optionally a third one, split")
    at = split_column(head) if len(head) == 3 else None
    columns = [column for column in range(len(head)) if column != at]
    pairs, splits = [], []
    for number, line in enumerate(lines, 2):
        if len(line) != len(head) or not all(cell.strip() for cell in line):
            raise DataError(f"{path}: line {number} must have {len(head)} cells, none of them empty")
        if at is not None and split_of(line[at]) is None:
            raise DataError(f"{path}: line {number}: the split {line[at]!r} must be train, val or test")
        pairs.append((line[columns[0]].strip(), line[columns[1]].strip()))
        splits.append(None if at is None else split_of(line[at]))
    return (head[columns[0]].strip() or "A", head[columns[1]].strip() or "B"), pairs, splits


def split_column(head: Sequence[str]) -> int | None:
    """The column of a table with the splits, by its name."""
    return next((index for index, name in enumerate(head) if name.strip().lower() == "split"), None)


def _side_by_side(path: Path, files: Sequence[str]) -> tuple[Path, list[tuple[str, str]]]:
    """Cuts files into halves, once, into the folder of caches; returns that folder and the two files of each."""
    folder = unpacked.once([path / file for file in files], lambda folder: _cut(path, files, folder))
    return folder, [(f"A/{index:07}.png", f"B/{index:07}.png") for index in range(len(files))]


def _cut(path: Path, files: Sequence[str], folder: Path) -> None:
    for side in "AB":
        (folder / side).mkdir()
    for index, file in enumerate(files):
        try:
            whole = images.read_photo(path / file).image
        except ImageError as error:
            raise DataError(str(error)) from error
        if whole.width % 2 or whole.width < whole.height:
            raise DataError(f"{path / file}: is {whole.width}x{whole.height}; must have two images side by side")
        for side, left in (("A", 0), ("B", whole.width // 2)):
            half = whole.crop((left, 0, left + whole.width // 2, whole.height))
            half.save(folder / side / f"{index:07}.png", compress_level=1)
