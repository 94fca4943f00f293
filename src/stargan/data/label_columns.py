"""What a table's column says about images: an attribute, a group, several labels at once, or nothing to learn."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from stargan.data.columns import UNKNOWN, Columns
from stargan.data.text_tables import Cell
from stargan.domains.names import check_name, clean, key
from stargan.errors import DataError, DomainError
from stargan.progress import counted

MAX_VALUES = 64  # different texts in a group, at most; a column with more holds ids or free text
ON = frozenset({"1", "true", "yes", "t", "y", "on"})
OFF = frozenset({"0", "-1", "false", "no", "f", "n", "off"})
MISSING = frozenset({
    "", "nan", "na", "n/a", "n.a.", "<na>", "#n/a", "#na", "null", "<null>", "none", "nil", "?", "-", "--", ".",
    "unknown", "unk", "undefined", "missing", "not available", "unlabeled", "unlabelled",
})  # fmt: skip
"""Texts that stand for a label that is not known, in small letters."""

_CODES = frozenset({sign * int(digit * length) for sign in (1, -1) for digit in "89" for length in (1, 2, 3, 4)})
"""Numbers that stand for a missing one, if they are far from the others."""

Bins = Mapping[str, Sequence[float]]
"""By column, the numbers at which to cut it into groups."""


def parse_bins(texts: Sequence[str]) -> dict[str, list[float]]:
    """Reads `age=0,20,40`.

    Raises:
        DataError: It is not of that form, or the numbers do not rise.
    """
    found = {}
    for text in texts:
        name, _, numbers = text.partition("=")
        try:
            edges = [float(number) for number in numbers.split(",")]
        except ValueError:
            edges = []
        if not name.strip() or len(edges) < 2 or edges != sorted(set(edges)) or not all(map(math.isfinite, edges)):
            raise DataError(f"--bins {text}: must be a column and rising numbers, for example age=0,20,40,60")
        found[name.strip()] = edges
    return found


def add(columns: Columns, name: str, cells: Sequence[Cell], legend: Mapping[str, str], *, zero_missing: bool) -> None:
    """Adds a column of a table as what it is.

    Args:
        columns: Where to add it.
        name: The column.
        cells: Its cells.
        legend: The names of its values, if it has any.
        zero_missing: Whether 0 is the missing value of a column of -1, 0 and 1; otherwise -1 is.
    """
    name = clean(name)
    try:
        check_name(name)
        if any(isinstance(cell, tuple) for cell in cells) or any(map(_is_list, cells)):
            _add_several(columns, name, [_items(cell) for cell in cells])
        else:
            _add_texts(columns, name, [_plain(str(cell)) for cell in cells], legend, zero_missing)
    except DomainError as error:
        columns.unusable[name] = str(error)


def _add_texts(columns: Columns, name: str, texts: list[str], legend: Mapping[str, str], zero_missing: bool) -> None:
    texts = [legend.get(text, text) for text in texts]
    if not legend:
        texts = _without_codes(columns, name, texts, zero_missing)
    lowered = [text.lower() for text in texts]
    marks = sorted({text for text, low in zip(texts, lowered, strict=True) if low in MISSING})
    known = set(lowered) - MISSING
    if not known:
        columns.unusable[name] = "it is empty"
    elif known <= ON | OFF and len(known) < 3:
        columns.binary[name] = np.array([UNKNOWN if low in MISSING else low in ON for low in lowered], np.uint8)
    elif not legend and _numbers(known):
        _add_numbers(columns, name, lowered)
    elif separator := next((mark for mark in ";|," if any(mark in text for text in known)), None):
        split = [None if t.lower() in MISSING else tuple(filter(None, map(clean, t.split(separator)))) for t in texts]
        _add_several(columns, name, split)
    else:
        _add_group(columns, name, texts)
    if marks and name in columns.known and name not in columns.unusable:
        count = sum(low in MISSING for low in lowered)
        said = ", ".join(repr(mark) if mark else "empty" for mark in marks)
        columns.notes.append(f"{name}: not known in {counted(count, 'image')} ({said})")


def _plain(text: str) -> str:
    """A text without unseen characters, and a whole number as such: pandas writes 1.0 in a column with gaps."""
    text = clean(text)
    return text[:-2] if re.fullmatch(r"-?\d+\.0", text) else text


def _without_codes(columns: Columns, name: str, texts: list[str], zero_missing: bool) -> list[str]:
    """Replaces numbers that stand for a missing label, such as 99, and -1 beside 0 and 1."""
    known = {text for text in texts if text.lower() not in MISSING}
    if not all(re.fullmatch(r"-?\d+", text) for text in known):
        return texts
    numbers = {int(text) for text in known}
    if numbers == {-1, 0, 1}:
        codes = {0 if zero_missing else -1}
    else:
        codes = _far_codes(numbers)
        rest = numbers - codes - {-1}
        codes = codes if _counts(rest) or numbers - codes == {-1, 1} else set()
        codes |= {-1} if -1 in numbers and 0 in rest and _counts(rest) else set()
    if not codes:
        return texts
    marked = [code in codes for code in (int(text) if text in known else 0 for text in texts)]
    marked = [mark and text in known for mark, text in zip(marked, texts, strict=True)]
    written = " and ".join(map(str, sorted(codes)))
    columns.notes.append(f"{name}: {written} in {counted(sum(marked), 'image')} taken for not known")
    return ["" if mark else text for mark, text in zip(marked, texts, strict=True)]


def _far_codes(numbers: set[int]) -> set[int]:
    """The numbers at both ends that stand for a missing one and are far from the others."""
    found: set[int] = set()
    for end in (max, min):
        rest = numbers - found
        while len(rest) > 1 and end(rest) in _CODES and abs(end(rest) - end(rest - {end(rest)})) > 1:
            found.add(end(rest))
            rest = numbers - found
    return found


def _counts(numbers: set[int]) -> bool:
    """Whether the numbers are 0 to n or 1 to n."""
    return bool(numbers) and min(numbers) in (0, 1) and len(numbers) == max(numbers) - min(numbers) + 1


def _numbers(texts: set[str]) -> bool:
    try:
        return all(math.isfinite(float(text)) for text in texts)
    except ValueError:
        return False


# ---------------------------------------------------------------- groups


def _add_numbers(columns: Columns, name: str, texts: Sequence[str]) -> None:
    known = [text for text in texts if text not in MISSING]
    whole = {int(text) for text in known} if all(re.fullmatch(r"-?\d+", text) for text in known) else set()
    if whole and len(set(known)) == len(known) > 2:
        columns.unusable[name] = "it is different for every image, like a name or a number"
    elif _counts(whole) and len(whole) <= MAX_VALUES:
        _add_group(columns, name, texts, sorted(map(str, whole), key=int))
    else:
        low, high = min(map(float, known)), max(map(float, known))
        columns.unusable[name] = (
            f"it holds numbers other than 0 and 1, from {low:g} to {high:g}; "
            f"--bins {name}={low:g},{(low + high) / 2:g},{high:g} would make groups of them"
        )


def _add_group(columns: Columns, name: str, texts: Sequence[str], values: Sequence[str] = ()) -> None:
    spelled: dict[str, str] = {}
    for text in texts:
        if text.lower() not in MISSING:
            spelled.setdefault(key(text), text)
    texts = [spelled.get(key(text), "") for text in texts]
    values = tuple(values) or tuple(sorted(spelled.values()))
    if len(values) > MAX_VALUES:
        columns.unusable[name] = f"it holds {len(values)} different texts; at most {MAX_VALUES} make a group"
    elif len(values) == len(texts) > 2:
        columns.unusable[name] = "it is different for every image, like a name or a number"
    else:
        for value in values:
            check_name(value)
        index = {value: place for place, value in enumerate(values)}
        columns.groups[name] = (tuple(values), np.array([index.get(text, -1) for text in texts]))


def add_binned(columns: Columns, name: str, cells: Sequence[Cell], edges: Sequence[float]) -> None:
    """Adds a column of numbers as a group: one value for each part between two edges, and for what is beyond them.

    Raises:
        DataError: A cell is not a number.
    """
    numbers = np.array([_number(columns, name, cell) for cell in cells])
    between = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges)]
    names = [f"under {edges[0]:g}", *between, f"{edges[-1]:g}+"]
    parts = np.where(np.isnan(numbers), -1, np.digitize(numbers, edges))
    used = [part for part in range(len(names)) if (parts == part).any()]
    index = {part: place for place, part in enumerate(used)}
    values = tuple(re.sub(r"^-", "minus ", names[part]) for part in used)
    columns.groups[name] = (values, np.array([index.get(part, -1) for part in parts.tolist()]))


def _number(columns: Columns, name: str, cell: Cell) -> float:
    text = "" if isinstance(cell, tuple) else clean(cell)
    if text.lower() in MISSING:
        return math.nan
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise DataError(f"{columns.path}: --bins {name}: {text!r} is not a number") from error


# ---------------------------------------------------------------- several labels in a cell


def _is_list(cell: Cell) -> bool:
    return isinstance(cell, str) and cell.startswith("[") and cell.endswith("]")


def _items(cell: Cell) -> tuple[str, ...] | None:
    """The labels in a cell; None if they are not known."""
    if isinstance(cell, str):
        if cell.lower() in MISSING:
            return None
        found = re.findall(r"'([^']*)'|\"([^\"]*)\"|([^\s,\[\]'\"]+)", cell) if _is_list(cell) else [(cell,)]
        cell = tuple("".join(parts) for parts in found)
    return tuple(filter(None, map(clean, cell)))


def _add_several(columns: Columns, name: str, cells: Sequence[tuple[str, ...] | None]) -> None:
    """Adds an attribute for each label that occurs."""
    values = sorted({label for cell in cells if cell for label in cell})
    if len(values) > MAX_VALUES or len(values) == sum(len(cell) for cell in cells if cell) > 2:
        columns.unusable[name] = f"it holds {len(values)} different texts; at most {MAX_VALUES} make labels"
        return
    for value in values:
        check_name(value)
    names = {value: value if value not in columns.known else f"{name}_{value}" for value in values}
    columns.several[name] = tuple(names.values())
    for value, own in names.items():
        columns.binary[own] = np.array([UNKNOWN if cell is None else value in cell for cell in cells], np.uint8)
