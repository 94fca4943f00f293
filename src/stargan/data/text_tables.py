"""Tables in text: `.csv` with any usual separator, `.tsv`, lists separated by spaces, JSON lines."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stargan.data import text
from stargan.errors import DataError
from stargan.images import SUFFIXES
from stargan.progress import counted

_SEPARATORS = ",;\t|"
_SAMPLE = 200  # rows by which the separator is chosen

Cell = str | tuple[str, ...]
"""A text, empty where it is missing, or a list of texts."""


@dataclass(frozen=True)
class RawTable:
    """A table as it is in a file.

    Attributes:
        columns: The cells of each column.
        legends: By column, the names of the values 0, 1, ... of a column of numbers.
        notes: What the user has to know.
        images: The column with the names of images, if the file tells.
        folder: The folder that they are in, if the file tells.
    """

    columns: dict[str, list[Cell]]
    legends: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    images: str | None = None
    folder: Path | None = None

    @property
    def count(self) -> int:
        """The number of rows."""
        return max(map(len, self.columns.values()), default=0)


Row = tuple[int, list[str]]
"""The number of a line and its cells."""


def read(path: Path, *, named: bool = True) -> RawTable:
    """Reads a table in text.

    Args:
        path: The file.
        named: Whether the first line has the names of the columns, unless it has the name of an image.

    Raises:
        DataError: It is malformed; the line is named.
    """
    content, notes = text.read(path)
    rows = _rows(path, content)
    if not rows:
        raise DataError(f"{path}: empty")
    names, body, more = _header(path, rows, named)
    if not body:
        raise DataError(f"{path}: no rows in it")
    width = len(names)
    for number, row in body:
        del row[_length(row, width) :]
        if len(row) != width:
            raise DataError(f"{path}: line {number}: {counted(len(row), 'cell')}, but {counted(width, 'column')}")
    columns: dict[str, list[Cell]] = {name: [row[i] for _, row in body] for i, name in enumerate(names)}
    return RawTable(columns, notes=[*notes, *more])


# ---------------------------------------------------------------- separators


def _rows(path: Path, content: str) -> list[Row]:
    """The rows that are not empty, with the numbers of their lines."""
    first, _, rest = content.partition("\n")
    separators, skipped = _SEPARATORS, 0
    if first.strip().lower().startswith("sep=") and len(first.strip()) in (4, 5):  # for Excel
        separators, content, skipped = first.strip()[4:] or "\t", rest, 1
    lines = content.splitlines(keepends=True)
    while lines and lines[0].startswith("#") and len(lines) > 1 and not _similar(lines[0], lines[1]):
        lines, skipped = lines[1:], skipped + 1
    chosen = _separator(path, lines[:_SAMPLE], separators)
    try:
        reader = csv.reader(lines, delimiter=chosen, skipinitialspace=True)
        found = [(reader.line_num + skipped, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num + skipped}: {error}") from error
    return [(number, row) for number, row in found if any(row)]


def _similar(first: str, second: str) -> bool:
    """Whether a line that begins with # has as many separators as the next, and so is the header."""
    return any(0 < first.count(separator) == second.count(separator) for separator in _SEPARATORS)


def _separator(path: Path, lines: Sequence[str], separators: str) -> str:
    """The separator that cuts the lines into equally many cells, some column of which has names of images."""

    def score(separator: str) -> tuple[bool, bool, int]:
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if any(row)]
        except csv.Error:
            return False, False, 0
        widths = {_length(row, len(rows[0])) for row in rows} if rows else {0}
        body = rows[1:] if len(rows) > 1 else rows
        images = any(all(len(row) > i and _looks(row[i]) for row in body) for i in range(max(widths)))
        several = len(widths) == 1 and max(widths) > 1
        return images and several, several, max(widths) if several else 0

    choices = separators if len(separators) > 1 else separators + separators
    best = max(dict.fromkeys(choices), key=score)
    if score(best)[1] or path.suffix.lower() in (".csv", ".tsv"):
        return "\t" if path.suffix.lower() == ".tsv" and not score(best)[1] else best
    return " "


def _length(row: Sequence[str], width: int) -> int:
    """The length of a row without empty cells behind the last column."""
    length = len(row)
    while length > width and not row[length - 1].strip():
        length -= 1
    return length


def _looks(cell: str) -> bool:
    return Path(cell.strip().replace("\\", "/")).suffix.lower() in SUFFIXES


# ---------------------------------------------------------------- header

UNNAMED = "column "
"""How a column without a name is called, before its number."""


def _header(path: Path, rows: Sequence[Row], named: bool) -> tuple[list[str], Sequence[Row], list[str]]:
    """The names of the columns, the rows below them, and a note if there is no line of names."""
    number, first = rows[0]
    images = [i for i, cell in enumerate(first) if _looks(cell)]
    if images or not named:
        names = ["path", "label"] if len(first) == 2 else [f"{UNNAMED}{i + 1}" for i in range(len(first))]
        if len(first) == 2 and images == [1]:
            names.reverse()
        return names, rows, [f"{path.name}: no line with names; the columns are called {', '.join(names)}"]
    body = max((_length(row, 0) for _, row in rows[1:]), default=0)
    first = first[: max(_length(first, 0), min(body, len(first)))]
    names = [name.lstrip("#").strip() or f"{UNNAMED}{i + 1}" for i, name in enumerate(first)]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: line {number}: two columns have the same name")
    return names, rows[1:], []


# ---------------------------------------------------------------- JSON lines


def read_json_lines(path: Path) -> RawTable:
    """Reads one JSON object a line, as in `metadata.jsonl`.

    Raises:
        DataError: A line is no object; it is named.
    """
    content, notes = text.read(path)
    records = []
    for number, line in enumerate(io.StringIO(content), 1):
        if line.strip():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise DataError(f"{path}: line {number}: not JSON ({error.msg})") from error
            if not isinstance(records[-1], dict):
                raise DataError(f"{path}: line {number}: must be an object such as {{'file_name': '1.jpg'}}")
    if not records:
        raise DataError(f"{path}: no rows in it")
    return of_records(records, notes)


def of_records(records: Sequence[dict[str, Any]], notes: Sequence[str] = ()) -> RawTable:
    """A table of objects, one for each row; what an object does not have is missing."""
    names = dict.fromkeys(name for record in records for name in record)
    return RawTable({name: [cell(record.get(name)) for record in records] for name in names}, notes=list(notes))


def cell(value: Any) -> Cell:
    """A cell of a value from JSON or Parquet."""
    if value is None or value != value:  # a NaN differs from itself
        return ""
    if isinstance(value, list | tuple):
        return tuple(str(item).strip() for item in value if item is not None)
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).strip()
