"""Labels that two data sets or two models have in common."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from stargan.domains.labels import Group, LabelSet
from stargan.domains.names import key, suggest
from stargan.domains.space import Domains
from stargan.errors import DomainError

APART = "none"
"""What `--share` takes to share nothing."""


def with_shared(sets: Sequence[LabelSet], share: Sequence[str]) -> tuple[LabelSet, ...]:
    """Makes labels that several data sets have one label.

    Args:
        sets: The labels of each data set.
        share: Names of labels or groups; none means all that have the same names and are of the same kind, `none` means
            that all stay apart.

    Raises:
        DomainError: A name is not a label that two data sets have.
    """
    result: list[LabelSet] = []
    common: list[str] = []
    for label_set in sets:
        earlier = {_form(group) for other in result for group in other.groups}
        groups = [group for group in label_set.groups if _form(group) in earlier]
        common += [name for group in groups for name in (*group.names, group.name) if name]
        chosen = [group for group in groups if _is_chosen(group, share)]
        result.append(replace(label_set, shared=tuple(name for group in chosen for name in group.names)))
    for name in share:
        if key(name) not in (APART, *map(key, common)):
            known = suggest(name, common) if common else "; the data sets have no label in common"
            raise DomainError(f"--share {name}: not a label that two data sets have with the same values{known}")
    return tuple(result)


def _form(group: Group) -> tuple[frozenset[str], bool]:
    return frozenset(map(key, group.names)), group.categorical


def _is_chosen(group: Group, share: Sequence[str]) -> bool:
    return not share or bool({key(name) for name in (*group.names, group.name) if name} & set(map(key, share)))


def common_columns(own: Domains, other: Domains) -> dict[int, int]:
    """The columns of the generator's labels, (L,), that have the same meaning in `other`, with its columns.

    Classes are the same if they have the same name, with or without that of their data set; a data set's column of the
    domain mask, if it has the same name.
    """
    theirs = {key(name): column for column, name in enumerate(other.names)}
    plain = Counter(key(name.rpartition("/")[2]) for name in other.names)
    short = {key(name.rpartition("/")[2]): column for column, name in enumerate(other.names)}
    found: dict[int, int] = {}
    for column, name in enumerate(own.names):
        last = key(name.rpartition("/")[2])
        source = theirs.get(key(name), short.get(last) if plain[last] == 1 else None)
        if source is not None and source not in found.values():
            found[column] = source
    masks = {key(s.name): other.num_classes + index for index, s in enumerate(other.sets) if len(other.sets) > 1}
    for index, label_set in enumerate(own.sets if len(own.sets) > 1 else ()):
        if key(label_set.name) in masks:
            found[own.num_classes + index] = masks[key(label_set.name)]
    return found
