"""A table: one column of images, the others labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stargan.data import celeba, label_columns, legends, text_tables
from stargan.data.columns import Columns
from stargan.data.homes import READERS
from stargan.data.label_columns import OFF, ON, Bins
from stargan.data.listed_files import PATH_NAMES, ListedFiles, locate
from stargan.data.splits import COLUMN_NAMES, SPLITS, indices, split_of
from stargan.data.text_tables import Cell, RawTable
from stargan.domains.names import key
from stargan.errors import DataError
from stargan.images import SUFFIXES
from stargan.progress import counted


def read(path: Path, attributes: Sequence[str] = (), bins: Bins | None = None) -> Columns:
    """Reads a table file, see `from_raw`."""
    return from_raw(path, READERS[path.suffix.lower()](path), attributes, bins)


def from_raw(path: Path, raw: RawTable, attributes: Sequence[str] = (), bins: Bins | None = None) -> Columns:
    """Finds out what the columns of a table are.

    Args:
        path: The table.
        raw: Its cells.
        attributes: What the user wants to learn; a column that looks like a split is one unless it is named here.
        bins: By column, the numbers at which to cut it into groups.

    Raises:
        DataError: It has no column of images, or a column is not what it has to be.
    """
    cells = dict(raw.columns)
    _check_rows(path, cells)
    if raw.images and raw.folder:
        files = tuple(map(str, cells[raw.images]))
        name, listed = raw.images, ListedFiles(raw.folder, files, len(files))
    else:
        name, listed = _images(path, cells)
    if not _looks(str(cells[name][0])) and _is_headless(path, name, listed):
        return from_raw(path, text_tables.read(path, named=False), attributes, bins)
    names = [str(cell) for cell in cells.pop(name)]
    kept = _check_names(path, name, names, listed, cells)
    cells = {column: [values[row] for row in kept] for column, values in cells.items()}
    files = tuple(listed.files[row] for row in kept)
    columns = Columns(
        path=path, kind="table", root=listed.root, files=files, split=_split(path, cells, attributes, files),
        notes=list(raw.notes),
    )  # fmt: skip
    if len(kept) < len(names):
        columns.notes.append(f"left out: {counted(len(names) - len(kept), 'row')}, repeating others")
    _add_labels(columns, cells, {**legends.beside(path, list(cells)), **raw.legends}, bins or {})
    return columns


def _check_rows(path: Path, cells: Mapping[str, Sequence[Cell]]) -> None:
    counts = {len(values) for values in cells.values()}
    if counts in (set(), {0}):
        raise DataError(f"{path}: no rows in it")
    if len(counts) > 1:
        raise DataError(f"{path}: damaged, since its columns have from {min(counts):,} to {max(counts):,} rows")


def _add_labels(
    columns: Columns, cells: Mapping[str, list[Cell]], names: Mapping[str, Mapping[str, str]], bins: Bins
) -> None:
    unknown = [name for name in bins if key(name) not in map(key, cells)]
    if unknown:
        raise DataError(f"{columns.path}: --bins {unknown[0]}: no such column; must be one of {', '.join(cells)}")
    edges = {key(name): numbers for name, numbers in bins.items()}
    texts = [{cell for cell in values if isinstance(cell, str)} for values in cells.values()]
    zero_missing = any({"1", "-1"} <= found and "0" not in found for found in texts)
    for name, values in cells.items():
        if not any(values) and name.startswith(text_tables.UNNAMED):
            continue
        if key(name) in edges:
            label_columns.add_binned(columns, name, values, edges[key(name)])
        elif key(name) == "fold":
            columns.unusable[name] = "it numbers folds of cross-validation"
        else:
            label_columns.add(columns, name, values, names.get(name, {}), zero_missing=zero_missing)
    _leave_out_numbers_of_groups(columns)


def _leave_out_numbers_of_groups(columns: Columns) -> None:
    """Leaves out a column such as `class_id` that only numbers the values of another one, such as `class`."""
    texts = {name: own for name, (values, own) in columns.groups.items() if not all(map(str.isdigit, values))}
    numbers = {name: own for name, (_, own) in columns.groups.items() if name not in texts}
    numbers |= {name: values for name, values in columns.binary.items() if len(np.unique(values)) == 2}
    for name, values in numbers.items():
        for other, own in texts.items():
            pairs = len(set(zip(values.tolist(), own.tolist(), strict=True)))
            related = key(name).split("_")[0] == key(other).split("_")[0]
            if related and pairs == len(np.unique(values)) == len(np.unique(own)):
                columns.groups.pop(name, None)
                columns.binary.pop(name, None)
                columns.unusable[name] = f"it only numbers the values of {other}"
                break


# ---------------------------------------------------------------- images


def _images(path: Path, cells: Mapping[str, Sequence[Cell]]) -> tuple[str, ListedFiles]:
    """The column of images and where they are."""
    texts = {name: [str(cell) for cell in values] for name, values in cells.items()}
    named = [name for name in texts if key(name) in PATH_NAMES]
    looks = [name for name, values in texts.items() if np.mean([_looks(value) for value in values]) > 0.9]
    both = [name for name in named if name in looks]
    others = [] if looks or named else [name for name in texts if len(set(texts[name])) == len(texts[name])]
    for candidates in (both, looks, named, others):
        located = {name: locate(path.parent, texts[name]) for name in candidates}
        found = {name: listed for name, listed in located.items() if listed.found}
        best = max((listed.found for listed in found.values()), default=0)
        found = {name: listed for name, listed in found.items() if listed.found == best}
        if len(found) > 1:
            raise DataError(f"{path}: {' and '.join(found)} could both be the image files; call one column 'path'")
        if found:
            return next(iter(found.items()))
    if not (looks or named):
        raise DataError(f"{path}: no column of image files among {_some(list(texts))}; call it 'path'")
    column = (both or looks or named)[0]
    raise DataError(
        f"{path}: column {column}: {_some(texts[column][:1])} and the next are not found in {path.parent.resolve()}, "
        "nor in folders below or beside it"
    )


def _looks(text: str) -> bool:
    return Path(text).suffix.lower() in SUFFIXES


def _some(texts: Sequence[str]) -> str:
    """Texts for an error line, which may be damaged or very long."""
    return ", ".join(text[:40] + ("..." if len(text) > 40 else "") for text in texts[:10])


def _is_headless(path: Path, name: str, listed: ListedFiles) -> bool:
    """Whether the first line names an image as all others do: `1` above `2` and `3`."""
    text = READERS.get(path.suffix.lower()) is text_tables.read
    return text and not name.startswith(text_tables.UNNAMED) and locate(listed.root, [name]).found == 1


def _check_names(
    path: Path, column: str, names: Sequence[str], listed: ListedFiles, cells: Mapping[str, Sequence[Cell]]
) -> list[int]:
    """The rows to keep: all but repetitions of another row."""
    if "" in names:
        raise DataError(f"{path}: row {names.index('') + 1} below the names: {column} is empty; must name an image")
    rows: dict[str, int] = {}
    for row, file in enumerate(listed.files):
        first = rows.setdefault(file, row)
        if first != row and any(values[first] != values[row] for values in cells.values()):
            raise DataError(f"{path}: column {column}: {names[row]} is listed twice, with different labels")
    return list(rows.values())


# ---------------------------------------------------------------- split


def _split(
    path: Path, cells: dict[str, list[Cell]], attributes: Sequence[str], files: Sequence[str]
) -> np.ndarray | None:
    """Takes the column with the split out of the cells; or reads CelebA's file of it beside the table."""
    learned = {key(name) for name in attributes}
    others = [name for name in cells if key(name) not in learned]
    found = {name: split for name in others if (split := _as_split(path, name, cells[name]))}
    named = [name for name in found if key(name) in COLUMN_NAMES] or list(found)
    if len(named) > 1:
        raise DataError(
            f"{path}: {' and '.join(named)} could both be the split; call one column 'split', or name the labels to "
            "learn with --attributes"
        )
    if named:
        del cells[named[0]]
        index = indices(found[named[0]])
        return np.array([index[split] for split in found[named[0]]], np.uint8)
    return celeba.partition_beside(path, files)


def _as_split(path: Path, name: str, cells: Sequence[Cell]) -> list[str] | None:
    """The split of each row, if this is a column with splits."""
    texts = [str(cell) for cell in cells]
    splits = [split_of(text) for text in texts]
    if all(splits) and ("train" in splits or key(name) in COLUMN_NAMES):
        return [str(split) for split in splits]
    if key(name) in ("split", "splits", "partition"):
        if set(texts) <= {"0", "1", "2"}:
            return [SPLITS[int(text)] for text in texts]
        wrong = next(text for text, split in zip(texts, splits, strict=True) if not split)
        raise DataError(f"{path}: column {name}: {wrong!r} is none of {', '.join(SPLITS)}")
    own = split_of(name)
    lowered = {text.lower() for text in texts}
    if own is None or not lowered <= ON | OFF or len(lowered) < 2:
        return None
    if key(name).startswith(("is_", "in_", "is", "for_")):
        other = "test" if own == "train" else "train"
        return [own if text.lower() in ON else other for text in texts]
    raise DataError(
        f"{path}: column {name} may be a split; call it is_{key(name)}, or name the labels to learn with --attributes"
    )
