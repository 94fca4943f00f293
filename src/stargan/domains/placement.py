"""Which columns of the values belong to which labels of which data set."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stargan.domains.labels import Group, LabelSet
from stargan.domains.names import key
from stargan.errors import DomainError


class Place(NamedTuple):
    """A group of a data set.

    Attributes:
        dataset: Its index.
        columns: The columns of the values, which a shared group has in common with one of an earlier set.
        group: The group.
        first: Whether no earlier set has these columns.
        own: The column of each class, in the order of the group.
    """

    dataset: int
    columns: range
    group: Group
    first: bool
    own: tuple[int, ...]


def place(sets: Sequence[LabelSet]) -> Iterator[Place]:
    """Places the groups of all data sets, one behind the other; shared ones are where they are already.

    Raises:
        DomainError: No earlier set has a shared label, with the same values.
    """
    start = 0
    known: dict[frozenset[str], tuple[range, Group]] = {}
    for dataset, label_set in enumerate(sets):
        shared = set(map(key, label_set.shared))
        for group in label_set.groups:
            names = [key(name) for name in group.names]
            if shared.isdisjoint(names):
                columns = range(start, start + len(names))
                start = columns.stop
                known.setdefault(frozenset(names), (columns, group))
                yield Place(dataset, columns, group, True, tuple(columns))
                continue
            columns, before = known.get(frozenset(names), (range(0), group))
            if not columns or before.categorical != group.categorical:
                raise DomainError(f"{label_set.name}: no earlier data set has its shared label {group.names[0]}")
            order = [key(name) for name in before.names]
            yield Place(dataset, columns, group, False, tuple(columns[order.index(name)] for name in names))
