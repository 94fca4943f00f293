"""The names of numbered labels: a file beside the table such as `classes.txt` or `id2label.json`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stargan.data import text
from stargan.errors import DataError

LISTS = ("classes.txt", "class_names.txt", "labels.txt", "label_names.txt")
MAPPINGS = ("legend.json", "classes.json", "class_names.json", "labels.json", "id2label.json", "label_map.json")
LABEL_COLUMNS = ("label", "labels", "class", "class_id", "label_id", "target", "category", "category_id")
"""The columns that a legend without names of columns belongs to."""


def beside(path: Path, columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """By column, the name of each number, from a file beside a table; empty if there is none.

    Raises:
        DataError: The file is malformed.
    """
    own = [name for name in columns if name.lower() in LABEL_COLUMNS]
    for name in MAPPINGS:
        if (path.parent / name).is_file():
            return _mapping(path.parent / name, columns, own)
    for name in LISTS:
        if (path.parent / name).is_file() and path.name != name and own:
            lines = text.read(path.parent / name)[0].splitlines()
            return {own[0]: names_of([line.strip() for line in lines if line.strip()])}
    return {}


def names_of(values: Sequence[str]) -> dict[str, str]:
    """A legend: the names of 0, 1, 2 and so on."""
    return {str(number): value for number, value in enumerate(values)}


def _mapping(path: Path, columns: Sequence[str], own: Sequence[str]) -> dict[str, dict[str, str]]:
    try:
        data = json.loads(text.read(path)[0])
        if isinstance(data, dict) and any(name in columns for name in data):
            return {name: _legend(data[name]) for name in columns if name in data}
        return {own[0]: _legend(data)} if own else {}
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: must be JSON such as {{'0': 'cat', '1': 'dog'}} ({error})") from error


def _legend(data: Any) -> dict[str, str]:
    if isinstance(data, list):
        return names_of([str(item) for item in data])
    if not isinstance(data, Mapping):
        raise TypeError(f"{type(data).__name__} in it")
    if all(isinstance(value, int) for value in data.values()):
        return {str(number): str(name) for name, number in data.items()}
    return {str(number): str(name) for number, name in data.items()}
