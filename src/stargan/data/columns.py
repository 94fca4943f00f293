"""Labels as a file format gives them, and the choice of those to learn."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stargan.domains import UNKNOWN, Group
from stargan.domains.names import key, suggest
from stargan.errors import DataError
from stargan.progress import counted

MAX_OVERLAP = 0.05  # share of images that may have two labels of an exclusive group (some in CelebA do)


@dataclass(frozen=True)
class Columns:
    """The labels of one data set, as read from its files.

    Attributes:
        path: The folder, list or table, for errors.
        kind: The format.
        root: The folder that file names are relative to.
        files: The N images.
        binary: Binary attributes by name: (N,) uint8 of 0, 1 and `UNKNOWN`.
        groups: One-of-n groups by name: the names of their values, and (N,) indices into them, -1 if not
            known.
        several: By column with several labels in a cell, the binary attributes made of it.
        unusable: By name, why a column cannot be learned; an error if the user requests it.
        split: (N,) uint8 index into `SPLITS`; None if the data set has no split of its own.
        notes: What the user has to know: what was left out, and what was guessed.
    """

    path: Path
    kind: str
    root: Path
    files: tuple[str, ...]
    binary: dict[str, np.ndarray] = field(default_factory=dict)
    groups: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    several: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    split: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def known(self) -> list[str]:
        """The names that `--attributes` accepts."""
        return [*self.binary, *self.groups, *self.several, *self.unusable]

    def knows(self, name: str) -> bool:
        """Whether `name` is one of them, in any case."""
        return name.strip().casefold() in (known.casefold() for known in self.known)


def listed(name: str, known: Sequence[str], where: object) -> str:
    """The name as `known` spells it; case does not matter.

    Raises:
        DataError: It is not in `known`; the line suggests the nearest name.
    """
    for candidate in known:
        if candidate.casefold() == name.strip().casefold():
            return candidate
    raise DataError(f"{where}: no attribute {name.strip()!r}{suggest(name, list(known))}")


def grouped(
    columns: Columns, attributes: Sequence[str], exclusive: Sequence[str]
) -> tuple[tuple[Group, ...], np.ndarray]:
    """The groups to learn and the labels in their order, (N, K) uint8 of 0, 1 and `UNKNOWN`.

    Args:
        columns: The labels of the data set. Columns that are not learned are added to its notes.
        attributes: Columns to learn, in this order; none means all that vary.
        exclusive: Groups of binary columns, each as `A,B,C`; a group takes the place of its first member.

    Raises:
        DataError: A name is unknown or cannot be learned, a label is the same in all images, or too many images have
            two labels of an exclusive group.
    """
    if not columns.files:
        raise DataError(f"{columns.path}: no images in it")
    joined = _exclusive_names(columns, exclusive)
    chosen = _chosen_names(columns, attributes)
    groups: list[Group] = []
    labels: list[np.ndarray] = []
    for name in chosen:
        members = next((group for group in joined if name in group), None)
        if members is None:
            group, part = _single(columns, name)
        elif name == next(member for member in chosen if member in members):
            group, part = _exclusive(columns, members)
        else:
            continue
        groups.append(group)
        labels.append(part)
    if not attributes:
        columns.notes.extend(f"left out: {line}" for line in _left_out(columns))
    return _distinct(groups), np.concatenate(labels, axis=1).astype(np.uint8)


def _distinct(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Puts the group's name before values that occur in two groups, such as `other`."""
    count = Counter(key(name) for group in groups for name in group.names)
    return tuple(
        replace(group, names=tuple(f"{group.name}_{n}" if group.name and count[key(n)] > 1 else n for n in group.names))
        for group in groups
    )


def _left_out(columns: Columns) -> list[str]:
    """Each column that is not learned, and why."""
    lines = [f"{name}: {why}" for name, why in columns.unusable.items()]
    constant = [name for name, values in columns.binary.items() if not _varies(values)]
    lines += [f"{name}: {int(_known(columns.binary[name])[0])} in all images" for name in constant]
    single = {name: values for name, (values, _) in columns.groups.items() if len(values) < 2}
    return lines + [f"{name}: {values[0]} in all images" for name, values in single.items()]


def _exclusive_names(columns: Columns, exclusive: Sequence[str]) -> list[list[str]]:
    """The members of each exclusive group, as the data set spells them."""
    joined = [[listed(name, columns.known, columns.path) for name in group.split(",")] for group in exclusive]
    members = [name for group in joined for name in group]
    for name in members:
        if members.count(name) > 1:
            raise DataError(f"--exclusive: {name} is named twice; an attribute can be in one group, once")
    return joined


def _chosen_names(columns: Columns, attributes: Sequence[str]) -> list[str]:
    """The columns to learn, as the data set spells them; all that vary if none are named."""
    named = [listed(name, columns.known, columns.path) for name in attributes]
    chosen = [part for name in named for part in columns.several.get(name, (name,))]
    if not chosen:
        chosen = [name for name in columns.binary if _varies(columns.binary[name])]
        chosen += [name for name, (values, _) in columns.groups.items() if len(values) > 1]
    if not chosen:
        raise DataError(f"{columns.path}: fewer than two domains: {_constants(columns)}")
    return list(dict.fromkeys(chosen))


def _single(columns: Columns, name: str) -> tuple[Group, np.ndarray]:
    if name in columns.unusable:
        raise DataError(f"{columns.path}: {name} cannot be learned: {columns.unusable[name]}")
    if name in columns.groups:
        values, indices = columns.groups[name]
        if len(values) < 2:
            raise DataError(f"{columns.path}: {name} is {values[0]} in all images: nothing to translate to")
        labels = np.eye(len(values), dtype=np.uint8)[indices]
        labels[indices < 0] = UNKNOWN
        return Group(values, categorical=True, name=name), labels
    return Group((name,)), _varying(columns, name)[:, None]


def _exclusive(columns: Columns, members: Sequence[str]) -> tuple[Group, np.ndarray]:
    for name in members:
        if name not in columns.binary:
            raise DataError(f"{columns.path}: --exclusive groups binary attributes; {name} is not one")
    labels = np.stack([_varying(columns, name) for name in members], axis=1)
    count = (labels == 1).sum(axis=1)
    labels[(count == 1)[:, None] & (labels == UNKNOWN)] = 0  # the others are off where one is on
    if (count > 1).mean() > MAX_OVERLAP:
        row = int(np.flatnonzero(count > 1)[0])
        both = [name for name, on in zip(members, labels[row], strict=True) if on == 1]
        raise DataError(
            f"{columns.path}: --exclusive {','.join(members)}: {columns.files[row]} has {' and '.join(both)}, and "
            f"{int((count > 1).sum()) - 1} other images have two of them"
        )
    known = (labels != UNKNOWN).all(axis=1)
    return Group(tuple(members), categorical=bool((count == 1)[known].all() and known.any())), labels


def _varying(columns: Columns, name: str) -> np.ndarray:
    if name in columns.unusable:
        raise DataError(f"{columns.path}: {name} cannot be learned: {columns.unusable[name]}")
    values = columns.binary[name]
    if not _varies(values):
        raise DataError(
            f"{columns.path}: {name} is {int(_known(values)[0])} in all {counted(len(_known(values)), 'image')}: "
            "nothing to translate to"
        )
    return values


def _varies(values: np.ndarray) -> bool:
    known = _known(values)
    return bool(known.min() != known.max())


def _known(values: np.ndarray) -> np.ndarray:
    return values[values != UNKNOWN]


def _constants(columns: Columns) -> str:
    if len(columns.groups) == 1 and not columns.binary:
        name, (values, _) = next(iter(columns.groups.items()))
        return f"{name} is {values[0]} in all {counted(len(columns.files), 'image')}"
    return "; ".join(_left_out(columns)) or "no labels"
