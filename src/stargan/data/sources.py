"""Finds the data set at a `--data` path: CelebA's format, a folder of folders, or a table."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from stargan.data import celeba, folders, tables
from stargan.data.columns import Columns, grouped, listed
from stargan.data.splits import SPLITS
from stargan.domains import Domains, LabelSet
from stargan.errors import DataError
from stargan.images import SUFFIXES

_RULE = (
    "must be a folder with a list_attr*.txt, a folder with one folder of images for each domain, "
    "or a .csv, .tsv or .parquet table"
)


@dataclass(frozen=True)
class Source:
    """A data set on disk.

    Attributes:
        name: Of the folder or table.
        kind: `celeba`, `folders` or `table`.
        root: The folder that file names are relative to.
        files: The N images, as the list names them.
        labels: (N, K) uint8 of 0 and 1, in the order of `label_set.names`.
        label_set: The labels and their groups.
        split: (N,) uint8, index into `SPLITS`.
        notes: What the user has to know: what was left out, and what was guessed.
    """

    name: str
    kind: str
    root: Path
    files: tuple[str, ...]
    labels: np.ndarray
    label_set: LabelSet
    split: np.ndarray
    notes: tuple[str, ...] = ()

    def path(self, row: int) -> Path:
        """The file of one image."""
        return self.root / self.files[row]

    def rows(self, split: str) -> np.ndarray:
        """The rows of a split."""
        return np.flatnonzero(self.split == SPLITS.index(split))


def find(path: Path | str, attributes: Sequence[str] = (), exclusive: Sequence[str] = ()) -> Source:
    """Reads the data set at a path.

    Args:
        path: A folder with a `list_attr*.txt`, a folder of folders, or a .csv, .tsv or .parquet table.
        attributes: Labels to learn, in this order; none means all that vary.
        exclusive: Groups of labels that exclude each other, each as `A,B,C`.

    Raises:
        DataError: It is missing, in no known format, malformed, or has fewer than two domains.
    """
    path = Path(path)
    columns = _read(path, attributes)
    _check_known([*attributes, *_members(exclusive)], [columns], path)
    return _source(path, columns, attributes, exclusive)


def find_all(
    paths: Sequence[Path | str], attributes: Sequence[str] = (), exclusive: Sequence[str] = ()
) -> tuple[list[Source], Domains]:
    """Reads several data sets for joint training, and combines their domains.

    Each set learns those of the named attributes and groups that it has; a set that has none learns all its own.

    Raises:
        DataError: As `find`; no set has an attribute; no single set has all members of a group.
    """
    if not paths:
        raise DataError("--data: no data set named; give a folder or a table")
    read = [(Path(path), _read(Path(path), attributes)) for path in paths]
    where = read[0][0] if len(read) == 1 else "--data"
    _check_known([*attributes, *_members(exclusive)], [columns for _, columns in read], where)
    for group in exclusive:
        if not any(all(columns.knows(name) for name in group.split(",")) for _, columns in read):
            raise DataError(f"--exclusive {group}: no single data set has all of these; a group belongs to one set")
    found = []
    for path, columns in read:
        taken = [name for name in attributes if columns.knows(name)]
        groups = [group for group in exclusive if all(columns.knows(name) for name in group.split(","))]
        found.append(_source(path, columns, taken, groups))
    found = _unique(found, [path for path, _ in read])
    return found, Domains(tuple(source.label_set for source in found))


def _read(path: Path, attributes: Sequence[str]) -> Columns:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; {_RULE}")
    try:
        if path.is_dir():
            return celeba.read(path) if celeba.lists(path) else folders.read(path, attributes)
        if path.suffix.lower() in tables.TABLES:
            return tables.read(path)
        if path.suffix.lower() == ".txt":
            return celeba.read(path)
    except OSError as error:  # a folder without permission, a disk that went away
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    kind = "one image" if path.suffix.lower() in SUFFIXES else "not a data set"
    raise DataError(f"{path}: {kind}; {_RULE}")


def _members(exclusive: Sequence[str]) -> list[str]:
    return [name for group in exclusive for name in group.split(",")]


def _check_known(names: Sequence[str], read: Sequence[Columns], where: object) -> None:
    """Refuses a name that no set has, and the name of a group's value: a group is learned as a whole."""
    known = [name for columns in read for name in columns.known]
    for name in names:
        if not any(columns.knows(name) for columns in read):
            for group, (values, _) in (item for columns in read for item in columns.groups.items()):
                if name.strip().casefold() in map(str.casefold, values):
                    raise DataError(f"{where}: {name} is one value of {group}; name {group}, which is learned whole")
        listed(name, known, where)


def _source(path: Path, columns: Columns, attributes: Sequence[str], exclusive: Sequence[str]) -> Source:
    groups, labels = grouped(columns, attributes, exclusive)
    folder = path if path.is_dir() else path.parent
    name = path.stem if columns.kind == "table" else folder.resolve().name or columns.kind
    split = columns.split if columns.split is not None else hashed_split(columns.files)
    return Source(
        name, columns.kind, columns.root, columns.files, labels, LabelSet(name, groups), split, tuple(columns.notes)
    )


def hashed_split(files: Sequence[str]) -> np.ndarray:
    """The split of a data set that has none: 90 % train, 5 % val, 5 % test, by file name without folders.

    It never changes: the first 8 bytes of the SHA-256 of the name's UTF-8 bytes, as a big-endian number, modulo 100;
    below 90 is train, below 95 is val. An image keeps its split when others come or go and in any folder.

    Returns:
        (N,) uint8, index into `SPLITS`.
    """
    names = [PurePosixPath(file).name.encode(errors="surrogateescape") for file in files]
    hashes = [int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % 100 for name in names]
    return np.digitize(hashes, (90, 95)).astype(np.uint8)


def _unique(found: Sequence[Source], paths: Sequence[Path]) -> list[Source]:
    """Gives sets of the same name different names: the parent folder's name in front, or a number behind."""
    names = [source.name for source in found]
    unique: list[str] = []
    for name, path in zip(names, paths, strict=True):
        above = path.resolve().parent if path.is_dir() else path.resolve().parent.parent
        wanted = f"{above.name}-{name}" if names.count(name) > 1 and above.name else name
        number, free = 2, wanted
        while free in unique:
            number, free = number + 1, f"{wanted}-{number}"
        unique.append(free)
    return [
        replace(source, name=name, label_set=replace(source.label_set, name=name))
        for source, name in zip(found, unique, strict=True)
    ]
