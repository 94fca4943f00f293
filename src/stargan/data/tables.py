"""A .csv, .tsv or .parquet table: one column of paths, the others labels."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stargan.data.columns import Columns
from stargan.domains.names import check_name
from stargan.errors import DataError, DomainError, require
from stargan.images import SUFFIXES

TABLES = frozenset({".csv", ".tsv", ".parquet"})
SPLIT_FOLDERS = {"train": 0, "val": 1}
PATH_NAMES = ("path", "file", "filename", "file_name", "image", "image_path", "filepath")
SPLIT_NAME = "split"
MAX_VALUES = 64  # different texts in a group, at most; a column with more holds ids or free text
ON, OFF = ("1", "1.0", "true", "yes"), ("0", "0.0", "-1", "-1.0", "false", "no")


def read(path: Path) -> Columns:
    """Reads a table. Paths are relative to its folder, or absolute.

    Raises:
        DataError: It cannot be read, has no column of paths, or an empty cell (row and column are named).
    """
    header, rows = _parquet(path) if path.suffix.lower() == ".parquet" else _text(path)
    if not rows:
        raise DataError(f"{path}: no rows in it")
    table = {name: [row[index] for row in rows] for index, name in enumerate(header)}
    paths = _path_column(path, table)
    columns = Columns(
        path=path,
        kind="table",
        root=path.parent,
        files=tuple(table.pop(paths)),
        split=_split(path, table.pop(_split_column(table), None)),
    )
    for name, cells in table.items():
        _add(columns, name, cells)
    _check_files(path, paths, columns.files)
    return columns


def _add(columns: Columns, name: str, cells: Sequence[str]) -> None:
    """Adds a column as a binary attribute, a group or an unusable column."""
    lowered = [cell.strip().lower() for cell in cells]
    values = tuple(sorted({cell.strip() for cell in cells}))
    try:
        check_name(name)
        if {"-1", "-1.0"} & set(lowered) and {"0", "0.0"} & set(lowered):
            columns.unusable[name] = "it holds -1, 0 and perhaps 1; write each label as 1/0 or 1/-1"
        elif set(lowered) <= {*ON, *OFF}:
            columns.binary[name] = np.array([cell in ON for cell in lowered], np.uint8)
        elif _numbers(lowered):
            columns.unusable[name] = "it holds numbers other than 0 and 1"
        elif len(values) > MAX_VALUES:
            columns.unusable[name] = f"it holds {len(values)} different texts; at most {MAX_VALUES} make a group"
        elif len(values) == len(cells) > 2:
            columns.unusable[name] = "it is different for every image, like a name or a number"
        else:
            for value in values:
                check_name(value)
            columns.groups[name] = (values, np.array([values.index(cell.strip()) for cell in cells]))
    except DomainError as error:
        columns.unusable[name] = str(error)


def _numbers(cells: Sequence[str]) -> bool:
    try:
        for cell in cells:
            float(cell)
    except ValueError:
        return False
    return True


def _path_column(path: Path, table: dict[str, list[str]]) -> str:
    named = [name for name in table if name.strip().lower() in PATH_NAMES]
    looks = [name for name, cells in table.items() if all(Path(cell).suffix.lower() in SUFFIXES for cell in cells)]
    candidates = [name for name in named if name in looks] or named or looks
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise DataError(f"{path}: {' and '.join(candidates)} could both be the image files; call one column 'path'")
    raise DataError(f"{path}: no column of image files among {', '.join(table)}; call it 'path'")


def _split_column(table: dict[str, list[str]]) -> str:
    return next((name for name in table if name.strip().lower() == SPLIT_NAME), SPLIT_NAME)


def _split(path: Path, cells: list[str] | None) -> np.ndarray | None:
    if cells is None:
        return None
    unknown = [cell for cell in cells if cell.strip().lower() not in SPLIT_FOLDERS]
    if unknown:
        raise DataError(f"{path}: column {SPLIT_NAME}: {unknown[0]!r} is none of {', '.join(SPLIT_FOLDERS)}")
    return np.array([SPLIT_FOLDERS[cell.strip().lower()] for cell in cells], np.uint8)


def _check_files(path: Path, column: str, files: Sequence[str]) -> None:
    if len(set(files)) < len(files):
        seen: set[str] = set()
        twice = next(file for file in files if file in seen or seen.add(file))  # type: ignore[func-returns-value]
        raise DataError(f"{path}: column {column}: {twice} is listed twice")
    if not any((path.parent / file).is_file() for file in files[:10]):
        raise DataError(f"{path}: column {column}: {files[0]} and the next are not found in {path.parent.resolve()}")


# ---------------------------------------------------------------- files


def _text(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            tab = path.suffix.lower() == ".tsv"
            delimiter = "\t" if tab else ";" if "," not in first and ";" in first else ","
            reader = csv.reader(file, delimiter=delimiter)
            lines = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(f"{path}: not a table in UTF-8 text ({error})") from error
    if not lines:
        raise DataError(f"{path}: empty")
    header = [name.strip() for name in lines[0][1]]
    if len(set(header)) < len(header):
        raise DataError(f"{path}: line 1: two columns have the same name")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise DataError(f"{path}: line {number}: {len(row)} cells, line 1 has {len(header)}")
        for name, cell in zip(header, row, strict=True):
            if not cell.strip():
                raise DataError(f"{path}: line {number}: {name} is empty; every image needs every label")
    return header, [row for _, row in lines[1:]]


def _parquet(path: Path) -> tuple[list[str], list[list[str]]]:
    library = require("pyarrow.parquet", "parquet", "read .parquet tables")
    try:
        table: dict[str, list[Any]] = library.read_table(path).to_pydict()
    except Exception as error:  # pyarrow's errors share no base class
        raise DataError(f"{path}: not a parquet table ({str(error).splitlines()[0]})") from error
    for name, cells in table.items():
        if None in cells:
            raise DataError(f"{path}: row {cells.index(None) + 1}: {name} is empty; every image needs every label")
    return list(table), [[str(cell) for cell in row] for row in zip(*table.values(), strict=True)]
