"""Requests: words such as `Blond_Hair` or `Male=0`, and the target labels that they stand for."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from stargan.domains.names import key, suggest
from stargan.domains.space import Domains
from stargan.errors import DomainError

Request = Sequence[str] | Mapping[str, int]
"""A request in words: `["Blond_Hair", "Male=0"]`, `["+Blond_Hair", "-Male"]` or `{"Blond_Hair": 1, "Male": 0}`."""


def parse(domains: Domains, words: Request) -> dict[int, int]:
    """Turns words into {class index: 0 or 1}; case, spaces and hyphens within a name do not matter.

    Args:
        domains: The labels of the model.
        words: `Blond_Hair`, `+Blond_Hair` and `Blond_Hair=1` turn on, `-Male` and `Male=0` turn off, `season=winter`
            picks a value of a group, `celeba/Smiling` names the data set if two share a name.

    Raises:
        DomainError: A word is unknown (the line suggests the nearest known one), or two words contradict each other.
    """
    words = [words] if isinstance(words, str) else words
    items = list(words.items()) if isinstance(words, Mapping) else [_split(word) for word in words]
    if not items:
        raise DomainError(f"the request is empty; name one or more of {', '.join(domains.names)}")
    request: dict[int, int] = {}
    for word, value in items:
        index, state = _find(domains, word, value)
        if request.setdefault(index, state) != state:
            raise DomainError(f"{domains.names[index]} is requested both on and off; choose one of them")
    _check_groups(domains, request)
    return request


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
    target_values, dataset = apply(domains, values, words)
    return domains.labels(target_values[None], dataset)[0]


def fully_specified(domains: Domains, words: Request) -> bool:
    """Whether a request, see `parse`, determines every group, so that nothing needs to be estimated."""
    request = parse(domains, words)
    states = [[request.get(index) for index in columns] for _, columns, _ in domains.groups()]
    return all(1 in group or None not in group for group in states)


def apply(domains: Domains, values: np.ndarray, words: Request) -> tuple[np.ndarray, int]:
    """The target values, (C,), of an image with `values` and a request, and the data set that the request belongs to.

    Raises:
        DomainError: As `target`.
    """
    request = parse(domains, words)
    target_values = np.array(values, np.float32)
    datasets = set()
    for dataset, columns, group in domains.groups():
        changes = {index: request[index] for index in columns if index in request}
        if not changes:
            continue
        datasets.add(dataset)
        if 1 in changes.values():
            target_values[columns] = 0
        for index, state in changes.items():
            target_values[index] = state
        if group.categorical and 1 not in changes.values():
            _turn_on_the_rest(domains, target_values, columns, changes)
    if len(datasets) > 1:
        names = ", ".join(domains.names[index] for index in sorted(request))
        raise DomainError(f"{names}: these come from different data sets; request labels of one at a time")
    return target_values, datasets.pop()


def every_word(domains: Domains) -> tuple[str, ...]:
    """All words that `every_target` returns for any image, in order: `Male` and `Male=0`, each value of a group."""
    words: list[str] = []
    for _, columns, group in domains.groups():
        names = [domains.names[index] for index in columns]
        words += [names[0], f"{names[0]}=0"] if len(group.names) == 1 else names
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
            words.append(domains.names[columns.start] + ("=0" if values[columns.start] > 0.5 else ""))
        else:
            words.extend(domains.names[index] for index in columns)
    return [(word, target(domains, values, [word])) for word in words]


def single_changes(
    domains: Domains, values: np.ndarray, dataset: int | None = None
) -> list[tuple[str, np.ndarray, int]]:
    """The targets of `every_target` that differ from the image, as (word, target values (C,), data set).

    Args:
        domains: The labels of the model.
        values: (C,) values of the image.
        dataset: Only changes of this data set's labels.
    """
    found = []
    for word, _ in every_target(domains, values):
        target_values, owner = apply(domains, values, [word])
        if (dataset is None or owner == dataset) and not np.array_equal(target_values, values):
            found.append((word, target_values, owner))
    return found


@cache
def _meanings(domains: Domains) -> dict[str, list[int]]:
    """The classes that each key can stand for: `name` and, in a named group, `group=name`; with or without `set/`."""
    found: dict[str, list[int]] = {}
    for dataset, columns, group in domains.groups():
        for index, name in zip(columns, group.names, strict=True):
            words = [name, f"{group.name}={name}"] if group.name else [name]
            for word in words:
                found.setdefault(key(word), []).append(index)
                found.setdefault(key(f"{domains.sets[dataset].name}/{word}"), []).append(index)
    return found


def _find(domains: Domains, word: str, value: int | str) -> tuple[int, int]:
    """The class and state that one word stands for; a class takes precedence over a group of the same name."""
    if value in (0, 1, "0", "1") and key(word) in _meanings(domains):
        return _only(domains, word), int(value)
    if isinstance(value, str) and key(f"{word}={value}") in _meanings(domains):
        return _only(domains, f"{word}={value}"), 1
    if key(word) in _meanings(domains):
        raise DomainError(f"{word}={value}: a label is 1 (on) or 0 (off)")
    named = [(domains.sets[dataset].name, group) for dataset, _, group in domains.groups() if group.name]
    matches = [group for owner, group in named if key(word) in (key(group.name), key(f"{owner}/{group.name}"))]
    if not matches:
        raise DomainError(f"unknown domain {word!r}{suggest(word, [*domains.names, *(g.name for _, g in named)])}")
    if isinstance(value, str):
        choice = ", ".join(name for group in matches for name in group.names)
        raise DomainError(f"{word}={value}: {matches[0].name} is one of {choice}")
    raise DomainError(f"{word} is a group; name one of its values, for example {word}={matches[0].names[0]}")


def _only(domains: Domains, word: str) -> int:
    found = _meanings(domains)[key(word)]
    if len(found) > 1:
        choice = ", ".join(domains.names[index] for index in found)
        raise DomainError(f"{word} is in several data sets; name one of {choice}")
    return found[0]


def _check_groups(domains: Domains, request: Mapping[int, int]) -> None:
    for _, columns, group in domains.groups():
        on = [domains.names[index] for index in columns if request.get(index) == 1]
        if len(on) > 1:
            raise DomainError(f"{' and '.join(on)} exclude each other; request one of them")
        if group.categorical and all(request.get(index) == 0 for index in columns):
            raise DomainError(f"one of {', '.join(group.names)} must stay on")


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


def _split(word: str) -> tuple[str, int | str]:
    """One word of a request as (name, state): `-Male` is ("Male", 0), `season=winter` is ("season", "winter")."""
    text = word.strip()
    if text[:1] in ("+", "-"):
        return text[1:], int(text[0] == "+")
    name, equals, value = text.partition("=")
    return (name, value.strip()) if equals else (name, 1)


def steps(domains: Domains, words: Request) -> list[tuple[float, Request]]:
    """Placeholder."""
    parse(domains, words)
    return [(1.0, words)]


def described(domains: Domains, probabilities: np.ndarray) -> dict[str, float]:
    """Placeholder."""
    found = {}
    for _, columns, group in domains.groups():
        p = probabilities[list(columns)]
        if len(columns) == 1:
            name = domains.names[columns[0]]
            found[name if p[0] > 0.5 else f"{name}=0"] = float(max(p[0], 1 - p[0]))
        elif p.max() > 0.5 or group.categorical:
            found[domains.names[columns[int(p.argmax())]]] = float(p.max())
    return found
