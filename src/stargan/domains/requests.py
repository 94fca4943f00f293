"""Requests: words such as `Blond_Hair` or `Male=0`, and the target labels that they stand for."""

from collections.abc import Mapping, Sequence

import numpy as np

from stargan.domains.changes import Change, split, understand
from stargan.domains.space import Domains
from stargan.errors import DomainError

Request = Sequence[str] | Mapping[str, float]
"""A request: `["Blond_Hair", "Male=0"]`, `["+Blond_Hair", "-Male"]`, `{"Blond_Hair": 1, "Male": 0}`, `"no glasses"`, or
with strengths `{"Blond_Hair": 0.6, "Male": -0.6}`."""

word = Domains.word
"""`word(domains, index, state)`: the request that turns a class on (1) or off (0), `Male` or `Male=0`."""


def parse(domains: Domains, words: Request) -> dict[int, int]:
    """Turns words into {class index: 0 or 1}; case, spaces and hyphens within a name do not matter.

    Args:
        domains: The labels of the model.
        words: `Blond_Hair`, `+Blond_Hair` and `Blond_Hair=1` turn on, `-Male`, `Male=0` and `no glasses` turn off,
            `season=winter` picks a value of a group, `celeba/Smiling` names the data set if two share a name. Synonyms
            stand for labels: `female` for `Male=0`. A number up to 1.5 is a strength, see `steps`: `Blond_Hair=0.6`
            turns on, `Male=-0.6` turns off.

    Raises:
        DomainError: A word is unknown (the line suggests the nearest known one), or two words contradict each other.
    """
    return {index: change.state for index, change in _understood(domains, words).items()}


def steps(domains: Domains, words: Request) -> list[tuple[float, dict[str, int]]]:
    """Splits a request into parts of equal strength.

    Args:
        domains: The labels of the model.
        words: The request, see `parse`.

    Returns:
        The strength of each part and the part itself, a request of names and states 0 or 1 within one data set; the
        strongest part first. All changes of one group are in the same part.

    Raises:
        DomainError: As `parse`.
    """
    request = _understood(domains, words)
    parts: list[tuple[float, set[int], dict[str, int]]] = []
    for group, (_, columns, _) in enumerate(domains.groups()):
        changes = [request[index] for index in columns if index in request]
        if not changes:
            continue
        strength = next((change.strength for change in changes if change.strength is not None), 1.0)
        owners = set(np.flatnonzero(domains.owners[:, group]).tolist())
        found = next((part for part in parts if part[0] == strength and part[1] & owners), None)
        if found is None:
            parts.append(found := (strength, set(owners), {}))
        found[1].intersection_update(owners)
        found[2].update({domains.names[change.index]: change.state for change in changes})
    return [(strength, names) for strength, _, names in sorted(parts, key=lambda part: -part[0])]


def check_plain(domains: Domains, words: Request) -> None:
    """Checks that words, see `parse`, have no strengths: those of an image's labels, for example.

    Raises:
        DomainError: As `parse`, and if a word has a strength other than 1.
    """
    for strength, part in steps(domains, words):
        for name, state in part.items() if strength != 1 else ():
            raise DomainError(f"{name}={strength if state else -strength:g}: must be 0 or 1 here, without a strength")


def check_directions(domains: Domains, words: Request) -> None:
    """Checks that a request, see `parse`, has no translation that the model does not make.

    Raises:
        DomainError: As `parse`, and if a word turns off what translations only turn on.
    """
    request = parse(domains, words)
    for _, columns, group in domains.groups():
        if group.one_way and request.get(columns.start) == 0:
            name = domains.names[columns.start]
            raise DomainError(f"{name}=0: the model translates in one direction, to {name}")


def target(domains: Domains, values: np.ndarray, words: Request) -> np.ndarray:
    """The target labels of a request; everything that it does not name stays as in the image.

    Args:
        domains: The labels of the model.
        values: (C,) values of the image, 0 or 1.
        words: The request, see `parse`.

    Returns:
        (L,) float32.

    Raises:
        DomainError: As `parse`, and if the words belong to different data sets.
    """
    check_directions(domains, words)
    target_values, dataset = apply(domains, values, words)
    return domains.labels(target_values[None], dataset)[0]


def fully_specified(domains: Domains, words: Request) -> bool:
    """Whether a request, see `parse`, determines every group, so that nothing needs to be estimated."""
    return len(settled(domains, words)) == len(domains.group_names)


def settled(domains: Domains, words: Request, *, edit: bool = False) -> frozenset[int]:
    """The groups whose labels in the image do not affect its translation, by their indices.

    Those that the request, see `parse`, determines; or, with `edit`, those that it leaves alone: an edit generator
    takes the change from the image's labels to the requested ones.
    """
    request = parse(domains, words)
    states = [[request.get(index) for index in columns] for _, columns, _ in domains.groups()]
    if edit:
        return frozenset(index for index, group in enumerate(states) if group.count(None) == len(group))
    return frozenset(index for index, group in enumerate(states) if 1 in group or None not in group)


def apply(domains: Domains, values: np.ndarray, words: Request, dataset: int | None = None) -> tuple[np.ndarray, int]:
    """The target values, (C,), of an image with `values` and a request, and the data set that the request belongs to.

    If all its labels are shared by several data sets, that is `dataset`, or else the first of them.

    Raises:
        DomainError: As `target`.
    """
    request = parse(domains, words)
    target_values = np.array(values, np.float32)
    datasets = set(range(len(domains.sets)))
    for index, (_, columns, group) in enumerate(domains.groups()):
        changes = {index: request[index] for index in columns if index in request}
        if not changes:
            continue
        datasets &= set(np.flatnonzero(domains.owners[:, index]).tolist())
        if 1 in changes.values():
            target_values[columns] = 0
        for column, state in changes.items():
            target_values[column] = state
        if group.categorical and 1 not in changes.values():
            _turn_on_the_rest(domains, target_values, columns, changes)
    if not datasets:
        names = ", ".join(domains.names[index] for index in sorted(request))
        raise DomainError(f"{names}: these come from different data sets; request labels of one at a time")
    return target_values, dataset if dataset in datasets else min(datasets)


def every_word(domains: Domains) -> tuple[str, ...]:
    """All words that `every_target` returns for any image, in order: `Male` and `Male=0`, each value of a group."""
    words: list[str] = []
    for _, columns, group in domains.groups():
        words += [domains.names[index] for index in columns]
        words += [domains.word(columns.start, 0)] if len(group.names) == 1 and not group.one_way else []
    return tuple(words)


def every_target(domains: Domains, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The targets of an image in all domains: each attribute flipped, each value of a group set, all else kept.

    Args:
        domains: The labels of the model.
        values: (C,) values of the image.

    Returns:
        Pairs of a word that `parse` understands and the target labels, (L,) float32.
    """
    words = []
    for _, columns, group in domains.groups():
        if len(group.names) == 1:
            words.append(domains.word(columns.start, int(group.one_way or values[columns.start] <= 0.5)))
        else:
            words.extend(domains.names[index] for index in columns)
    return [(word, target(domains, values, [word])) for word in words]


def single_changes(
    domains: Domains, values: np.ndarray, dataset: int | None = None
) -> list[tuple[str, np.ndarray, int]]:
    """The targets of `every_target` that change a known group of the image, as (word, target values (C,), data set).

    Args:
        domains: The labels of the model.
        values: (C,) values of the image.
        dataset: Only changes of this data set's labels.
    """
    found = []
    known = domains.known(values[None])[0]
    for word, _ in every_target(domains, values):
        target_values, owner = apply(domains, values, [word], dataset)
        changed = ~domains.agree(target_values[None], values[None])[0]
        if (dataset is None or owner == dataset) and changed.any() and known[changed].all():
            found.append((word, target_values, owner))
    return found


def _understood(domains: Domains, words: Request) -> dict[int, Change]:
    """By class, the changes that the words of a request stand for."""
    words = [words] if isinstance(words, str) else words
    items = list(words.items()) if isinstance(words, Mapping) else [split(word) for word in words]
    if not items:
        raise DomainError(f"the request is empty; name one or more of {', '.join(domains.names)}")
    request: dict[int, Change] = {}
    for word, value in items:
        change = understand(domains, word, value)
        other = request.setdefault(change.index, change)
        if other != change:
            twice = "both on and off" if other.state != change.state else "at two strengths"
            raise DomainError(f"{domains.names[change.index]} is requested {twice}; choose one of them")
    _check_groups(domains, request)
    return request


def _check_groups(domains: Domains, request: Mapping[int, Change]) -> None:
    for _, columns, group in domains.groups():
        changes = [request[index] for index in columns if index in request]
        on = [domains.names[change.index] for change in changes if change.state]
        if len(on) > 1:
            raise DomainError(f"{' and '.join(on)} exclude each other; request one of them")
        if group.categorical and len(changes) == len(columns) and not on:
            raise DomainError(f"one of {', '.join(group.names)} must stay on")
        if len({change.strength for change in changes} - {None}) > 1:
            names = " and ".join(domains.names[change.index] for change in changes)
            raise DomainError(f"{names} exclude each other; request them at the same strength")


def _turn_on_the_rest(domains: Domains, target_values: np.ndarray, columns: range, changes: Mapping[int, int]) -> None:
    """Completes a one-of-n group of which a request only turned values off; exactly one other may remain."""
    if any(target_values[index] for index in columns):
        return
    left = [index for index in columns if index not in changes]
    if len(left) > 1:
        off = next(iter(changes))
        choice = ", ".join(domains.names[index] for index in left)
        raise DomainError(f"{domains.names[off]}=0 does not say which value comes instead; name one of {choice}")
    target_values[left[0]] = 1
