"""The labels of a later window, read as those of the first one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stargan.config import Config
from stargan.data import shards, sources
from stargan.data.columns import Columns
from stargan.data.label_columns import MISSING
from stargan.data.sources import Source
from stargan.data.text_tables import cell
from stargan.domains import Group
from stargan.domains.names import clean, key
from stargan.errors import DataError

Row = dict[str, Any]
"""What a shard says about an image, by column."""


def like_first(
    config: Config,
    path: Path,
    known: Sequence[Row],
    rows: Sequence[Row],
    images: Path,
    *,
    splits: bool,
    shard: Callable[[str], str],
) -> Source:
    """Reads the labels of images together with those of the first window, so that they mean the same.

    What a column is depends on all its values: 0 and 1 alone are on and off, with 2 they are three values of a group.

    Args:
        config: All settings.
        path: As in `sources.of_columns`.
        known: The rows of the first window.
        rows: Those of the images.
        images: The folder of the images.
        splits: As in `shards.table`.
        shard: Returns the path or address of the shard of an image.

    Raises:
        DataError: A shard lacks a label, or has a value that no image of the first window has.
    """
    first = sources.columns_of_table(
        path, shards.table(known, (), images, splits=splits), config.attributes, config.bins
    )
    learned = sources.of_columns(path, first, config.attributes, config.exclusive)
    groups = learned.label_set.groups
    columns = _columns(groups, first, known)
    _check_lacking(columns, rows, shard)
    marked = [{**row, shards.IMAGE: f"/{row[shards.IMAGE]}"} for row in known]  # as no name of an image in a shard
    raw = shards.table([*marked, *rows], (), images, splits=splits)
    new = _new_value(known, rows, [c for c in columns if clean(c) not in (*_binned(config), *first.several)], shard)
    names = tuple(name for group in groups for name in ([group.name] if group.name else group.names))
    try:
        both = sources.columns_of_table(path, raw, config.attributes, config.bins)
        _check_lists(config, first, both, groups, shard)
        source = sources.of_columns(path, both, config.attributes or names, config.exclusive)
    except DataError as error:
        raise new or error from error
    own = [row for row, file in enumerate(source.files) if not file.startswith("/")]
    files = tuple(source.files[row] for row in own)
    found = replace(source, root=images, files=files, labels=source.labels[own], split=source.split[own], notes=())
    if (source.label_set.groups, source.hashed) != (groups, learned.hashed):
        raise new or _unlike(found, groups, shard)
    return found


def _binned(config: Config) -> list[str]:
    return [text.partition("=")[0].strip() for text in config.bins]


def _columns(groups: Sequence[Group], first: Columns, rows: Sequence[Row]) -> list[str]:
    """The columns that have the labels of some groups, as the shards call them."""
    names = {name for group in groups for name in ([group.name] if group.name else group.names)}
    names |= {column for column, labels in first.several.items() if not names.isdisjoint(labels)}
    return [column for column in dict.fromkeys(column for row in rows for column in row) if clean(column) in names]


def _check_lacking(columns: Sequence[str], rows: Sequence[Row], shard: Callable[[str], str]) -> None:
    said: dict[str, set[str]] = {}
    for row in rows:
        said.setdefault(shard(row[shards.IMAGE]), set()).update(row)
    for name, own in said.items():
        lacking = [column for column in columns if column not in own]
        if lacking:
            raise DataError(f"{name}: none of its images has the label {lacking[0]}")


def _check_lists(
    config: Config, first: Columns, both: Columns, groups: Sequence[Group], shard: Callable[[str], str]
) -> None:
    """Refuses new labels in cells with several labels, unless the user has named the labels to learn."""
    learned, named = {name for group in groups for name in group.names}, [key(name) for name in config.attributes]
    for column, before in first.several.items():
        if learned.isdisjoint(before) or (named and key(column) not in named):
            continue
        if column not in both.several:
            where = ", ".join(dict.fromkeys(shard(file) for file in both.files if not file.startswith("/")))
            raise DataError(f"{where}: {column}: with the first window, {both.unusable.get(column, _OTHER)}")
        for label in both.several[column]:
            if label not in before:
                file = both.files[int((both.binary[label] == 1).argmax())]
                raise DataError(f"{shard(file)}: {column} {label!r} {_NEW}, and --attributes names labels to learn")


def _new_value(
    known: Sequence[Row], rows: Sequence[Row], columns: Sequence[str], shard: Callable[[str], str]
) -> DataError | None:
    """Names the first value of the images that no image of the first window has, though it may mean the same."""
    for column in columns:
        before = {key(value) for row in known for value in _values(row, column)}
        for row in rows:
            for value in _values(row, column):
                if key(value) not in before:
                    return DataError(f"{shard(row[shards.IMAGE])}: {column} {value!r} {_NEW}")
    return None


def _unlike(source: Source, groups: Sequence[Group], shard: Callable[[str], str]) -> DataError:
    """Says why the labels of images are not those of the first window."""
    names, column = {name for group in groups for name in group.names}, 0
    exclusive = [group.names for group in groups if group.categorical]
    for group in source.label_set.groups:
        labels = source.labels[:, column : column + len(group.names)] == 1
        for name, rows in zip(group.names, labels.T, strict=True):
            if name not in names and rows.any():
                return DataError(f"{shard(source.files[rows.argmax()])}: {group.name or name} {name!r} {_NEW}")
        others = labels.sum(axis=1) != 1
        if group.names in exclusive and not group.categorical and others.any():
            file, listed = source.files[others.argmax()], ", ".join(group.names)
            return DataError(f"{shard(file)}: {file}: {listed}: must be exactly one of them, as in the first window")
        column += len(group.names)
    where = ", ".join(dict.fromkeys(map(shard, source.files)))
    return DataError(f"{where}: {_OTHER}")


_OTHER = "the labels are of another kind than those of the first window"
_NEW = "is a value that no image of the first window has; a larger --window shows more of them"


def _values(row: Row, column: str) -> Iterator[str]:
    found = cell(row.get(column))
    for value in found if isinstance(found, tuple) else (found,):
        if value.lower() not in MISSING:
            yield value
