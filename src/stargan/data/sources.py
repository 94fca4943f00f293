"""Finds the data set at a `--data` path: CelebA's format, a folder of folders, or a table."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from stargan.data import celeba, folders, homes, image_files, label_columns, remote, shards, tables, unpacked
from stargan.data.columns import Columns, grouped, listed
from stargan.data.label_columns import Bins
from stargan.data.splits import SPLITS
from stargan.data.text_tables import RawTable
from stargan.domains import UNKNOWN, Domains, LabelSet
from stargan.domains.names import clean
from stargan.domains.sharing import with_shared
from stargan.errors import DataError
from stargan.progress import counted
from stargan.storage import open_regular

_RULE = (
    "must be a folder with a list_attr*.txt, a folder with one folder of images for each domain, "
    "a table (.csv, .tsv, .jsonl, .parquet), shards (.tar), or a .zip of any of these"
)
_TABLE = "metadata"  # what errors call the table of a folder, if it has no file of its own
_TABLES = frozenset({".csv", ".tsv"})
_USUAL = frozenset({"labels", "metadata"})
"""What a table is called that tells the labels of the images in its folder, even if they are in several folders."""


@dataclass(frozen=True)
class Source:
    """A data set on disk.

    Attributes:
        name: Of the folder or table.
        kind: `celeba`, `folders` or `table`; `pairs` if the second half of the images translate the first half.
        root: The folder that file names are relative to.
        files: The N images, as the list names them.
        labels: (N, K) uint8 of 0 and 1, in the order of `label_set.names`.
        label_set: The labels and their groups.
        split: (N,) uint8, index into `SPLITS`.
        notes: What the user has to know: what was left out, and what was guessed.
        hashed: Whether the data set has no split of its own, so that `split` is `hashed_split`.
    """

    name: str
    kind: str
    root: Path
    files: tuple[str, ...]
    labels: np.ndarray
    label_set: LabelSet
    split: np.ndarray
    notes: tuple[str, ...] = ()
    hashed: bool = False

    def path(self, row: int) -> Path:
        """The file of one image."""
        return self.root / self.files[row]

    def rows(self, split: str) -> np.ndarray:
        """The rows of a split."""
        return np.flatnonzero(self.split == SPLITS.index(split))

    def partners(self, rows: np.ndarray) -> np.ndarray:
        """The rows of the other images of pairs."""
        return (rows + len(self.files) // 2) % len(self.files)

    def lacking(self, rows: np.ndarray) -> dict[str, str]:
        """The domains that none of some images is in, with the counts of all: `winter (train 0, val 1, test 2)`.

        Of a label that is on or off, both are domains: `Male` and `Male=0`.
        """
        found = {}
        for name, has in self._domains():
            if not has[rows].any():
                counts = ", ".join(f"{split} {int(has[self.rows(split)].sum())}" for split in SPLITS)
                found[name] = f"{name} ({counts})"
        return found

    def _domains(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each domain with the images in it, (N,) bool."""
        column = 0
        for group in self.label_set.groups:
            for name in group.names:
                yield name, self.labels[:, column] == 1
                if len(group.names) == 1:
                    yield f"{name}=0", self.labels[:, column] == 0
                column += 1


def find(
    path: Path | str, attributes: Sequence[str] = (), exclusive: Sequence[str] = (), bins: Sequence[str] = ()
) -> Source:
    """Reads the data set at a path.

    Args:
        path: A folder with a `list_attr*.txt`, a folder of folders, a table, shards or a pattern that means some, a
            .zip of any of these, or an address.
        attributes: Labels to learn, in this order; none means all that vary.
        exclusive: Groups of labels that exclude each other, each as `A,B,C`.
        bins: Columns of numbers to cut into groups, each as `age=0,20,40`.

    Raises:
        DataError: It is missing, in no known format, malformed, or has fewer than two domains.
    """
    path = _local(path)
    return of_columns(path, _read(path, attributes, label_columns.parse_bins(bins)), attributes, exclusive)


def find_all(
    paths: Sequence[Path | str],
    attributes: Sequence[str] = (),
    exclusive: Sequence[str] = (),
    bins: Sequence[str] = (),
    share: Sequence[str] = (),
) -> tuple[list[Source], Domains]:
    """Reads several data sets for joint training, and combines their domains.

    Each set learns those of the named attributes and groups that it has; a set that has none learns all its own.
    `share` is as in `with_shared`.

    Raises:
        DataError: As `find`; no set has an attribute; no single set has all members of a group.
    """
    if not paths:
        raise DataError("--data: no data set named; give a folder or a table")
    edges = label_columns.parse_bins(bins)
    read = [(path, _read(path, attributes, edges)) for path in map(_local, paths)]
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
    return found, Domains(with_shared([source.label_set for source in found], share))


def columns_of_table(path: Path, raw: RawTable, attributes: Sequence[str] = (), bins: Sequence[str] = ()) -> Columns:
    """What the columns of a table are whose cells are already read; the other arguments and errors are as in `find`."""
    return tables.from_raw(path / _TABLE if path.is_dir() else path, raw, attributes, label_columns.parse_bins(bins))


def of_columns(path: Path, columns: Columns, attributes: Sequence[str] = (), exclusive: Sequence[str] = ()) -> Source:
    """The data set at a path whose columns are already read; the other arguments and the errors are those of `find`."""
    _check_known([*attributes, *_members(exclusive)], [columns], path)
    return _source(path, columns, attributes, exclusive)


def is_there(path: str) -> bool:
    """Whether a data set is at a path; of addresses, nobody knows before they are read."""
    return remote.address(path) is not None or any(part.exists() for part in (Path(path), *shards.matching(Path(path))))


def _local(path: Path | str) -> Path:
    where = remote.address(path)
    return remote.local(where) if where else Path(path)


def _read(path: Path, attributes: Sequence[str], bins: Bins) -> Columns:
    try:
        columns = _read_existing(path, attributes, bins) if path.exists() else _read_pattern(path, attributes, bins)
    except OSError as error:  # a folder without permission, a disk that went away
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror or error})") from error
    if bins and columns.kind != "table":
        raise DataError(f"{path}: --bins cuts a column of a table; this is no table")
    return columns


def _read_pattern(path: Path, attributes: Sequence[str], bins: Bins) -> Columns:
    raw = homes.of_pattern(path)
    if raw is None:
        raise DataError(f"{path}: no such file or folder; {_RULE}")
    return tables.from_raw(path, raw, attributes, bins)


def _read_existing(path: Path, attributes: Sequence[str], bins: Bins) -> Columns:
    ending = path.suffix.lower()
    if path.is_dir():
        return _read_folder(path, attributes, bins)
    open_regular(path).close()  # a pipe would be waited for
    if ending == ".zip":
        return _read_zip(path, attributes, bins)
    if ending == ".txt" and (path.match(celeba.PATTERN) or celeba.is_list(path)):
        return celeba.read(path)
    if ending in homes.READERS:
        return tables.read(path, attributes, bins)
    kind = "one image" if image_files.is_image(path) else "not a data set"
    raise DataError(f"{path}: {kind}; {_RULE}")


def _read_zip(path: Path, attributes: Sequence[str], bins: Bins) -> Columns:
    folder = unpacked.unzip(path)
    try:
        return _read_folder(folder, attributes, bins)
    except DataError as error:  # the user knows nothing of that folder
        raise DataError(str(error).replace(str(folder), str(path))) from error


def _read_folder(path: Path, attributes: Sequence[str], bins: Bins) -> Columns:
    if celeba.lists(path):
        return celeba.read(path)
    raw = homes.find(path)
    if raw:
        return tables.from_raw(path / _TABLE, raw, attributes, bins)
    beside = [file for file in sorted(path.iterdir()) if file.suffix.lower() in _TABLES and file.is_file()]
    named = [file for file in beside if file.match("list_attr*") or file.stem.lower() in _USUAL]
    if len(named) == 1:
        return tables.read(named[0], attributes, bins)
    try:
        return folders.read(path, attributes)
    except DataError:
        if len(beside) != 1:
            raise
        return tables.read(beside[0], attributes, bins)


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
    single = path.is_file() and (columns.kind == "table" or path.suffix.lower() == ".zip")
    folder = path if path.is_dir() else path.parent
    name = clean(path.stem if single else folder.resolve().name) or columns.kind
    split = columns.split if columns.split is not None else hashed_split(_below(columns.root, columns.files))
    known = np.flatnonzero((labels != UNKNOWN).any(axis=1))
    notes = list(columns.notes)
    if len(known) < len(labels):
        notes.append(f"left out: {counted(len(labels) - len(known), 'image')} of which no label is known")
    files = tuple(columns.files[row] for row in known)
    label_set = LabelSet(name, groups)
    hashed = columns.split is None
    return Source(name, columns.kind, columns.root, files, labels[known], label_set, split[known], tuple(notes), hashed)


def _below(root: Path, files: Sequence[str]) -> list[str]:
    """The paths below the data set's folder; of absolute ones elsewhere, below the folder that they have in common."""
    absolute = [file for file in files if Path(file).is_absolute()]
    if not absolute:
        return list(files)
    common = (
        os.path.commonpath([root.resolve(), *absolute]) if len(absolute) < len(files) else os.path.commonpath(absolute)
    )
    return [os.path.relpath(root.resolve() / file, common).replace(os.sep, "/") for file in files]


def hashed_split(files: Sequence[str]) -> np.ndarray:
    """The split of a data set that has none: 90 % train, 5 % val, 5 % test, by the path below the data set's folder.

    It never changes: the first 8 bytes of the SHA-256 of the path's UTF-8 bytes, with `/` between folders, as a
    big-endian number, modulo 100; below 90 is train, below 95 is val. An image keeps its split when others come or go
    and when the whole data set moves.

    Returns:
        (N,) uint8, index into `SPLITS`.
    """
    names = [file.encode(errors="surrogateescape") for file in files]
    hashes = [int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % 100 for name in names]
    return np.digitize(hashes, (90, 95)).astype(np.uint8)


def split_by_name(source: Source) -> Source:
    """A data set as earlier versions split it: by the names of its files, without the folders they are in."""
    names = [PurePosixPath(file).name for file in source.files]
    return replace(source, split=hashed_split(names)) if source.hashed else source


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
