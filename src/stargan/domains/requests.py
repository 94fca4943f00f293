"""Requests: words such as `Blond_Hair` or `Male=0`, and the target labels they stand for."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from stargan.domains.names import key, suggest
from stargan.domains.space import Domains
from stargan.errors import DomainError

Request = Sequence[str] | Mapping[str, int]
"""What is wanted: `["Blond_Hair", "Male=0"]`, `["+Blond_Hair", "-Male"]` or `{"Blond_Hair": 1, "Male": 0}`."""


def parse(domains: Domains, words: Request) -> dict[int, int]:
    """Turns words into {class index: 0 or 1}; case, spaces and hyphens within a name do not matter.

    Args:
        words: `Blond_Hair`, `+Blond_Hair` and `Blond_Hair=1` turn on, `-Male` and `Male=0` turn off,
            `season=winter` picks a group's value, `celeba/Smiling` names the data set where two share a name.

    Raises:
        DomainError: A word is unknown (the nearest known one is suggested), or two words contradict.
    """
    words = [words] if isinstance(words, str) else words
    items = list(words.items()) if isinstance(words, Mapping) else [_split(word) for word in words]
    if not items:
        raise DomainError(f"nothing was asked for; say one or more of {', '.join(domains.names)}")
    request: dict[int, int] = {}
    for word, value in items:
        index, state = _find(domains, word, value)
        if request.setdefault(index, state) != state:
            raise DomainError(f"{domains.names[index]} is asked to be both on and off; say one of them")
    _check_groups(domains, request)
    return request


def target(domains: Domains, values: np.ndarray, words: Request) -> np.ndarray:
    """The labels that ask for `words` and keep everything else of a picture.

    Args:
        values: (C,) what the picture shows now, 0 or 1.
        words: What is asked for, see `parse`.

    Returns:
        (L,) float32.

    Raises:
        DomainError: As `parse`, and for words that belong to different data sets.
    """
    wanted, dataset = apply(domains, values, words)
    return domains.labels(wanted[None], dataset)[0]


def fully_specified(domains: Domains, words: Request) -> bool:
    """Whether `words`, see `parse`, name what a picture shows of each group, so that nothing is to be estimated."""
    request = parse(domains, words)
    said = [[request.get(index) for index in columns] for _, columns, _ in domains.groups()]
    return all(1 in states or None not in states for states in said)


def apply(domains: Domains, values: np.ndarray, words: Request) -> tuple[np.ndarray, int]:
    """The (C,) values of a picture after `words`, and the data set that `words` belong to."""
    request = parse(domains, words)
    wanted = np.array(values, np.float32)
    owners = set()
    for dataset, columns, group in domains.groups():
        asked = {index: request[index] for index in columns if index in request}
        if not asked:
            continue
        owners.add(dataset)
        if 1 in asked.values():
            wanted[columns] = 0
        for index, state in asked.items():
            wanted[index] = state
        if group.categorical and 1 not in asked.values():
            _turn_off(domains, wanted, columns, asked)
    if len(owners) > 1:
        told = ", ".join(domains.names[index] for index in sorted(request))
        raise DomainError(f"{told}: these come from different data sets; ask for those of one at a time")
    return wanted, owners.pop()


def every_target(domains: Domains, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """All domains of a picture: each attribute flipped, each group value set, all else kept.

    Args:
        values: (C,) what the picture shows now.

    Returns:
        Pairs of a word that `parse` understands and the labels, (L,) float32.
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
    """The single changes of `every_target` that change something, as (word, (C,) values afterwards, data set).

    Args:
        values: (C,) what the picture shows now.
        dataset: Only the changes that this data set's labels allow.
    """
    found = []
    for word, _ in every_target(domains, values):
        wanted, owner = apply(domains, values, [word])
        if (dataset is None or owner == dataset) and not np.array_equal(wanted, values):
            found.append((word, wanted, owner))
    return found


@cache
def _meanings(domains: Domains) -> dict[str, list[int]]:
    """The classes that a key can mean: `name` and, in a named group, `group=name`; each with `set/` or without."""
    found: dict[str, list[int]] = {}
    for dataset, columns, group in domains.groups():
        for index, name in zip(columns, group.names, strict=True):
            words = [name, f"{group.name}={name}"] if group.name else [name]
            for word in words:
                found.setdefault(key(word), []).append(index)
                found.setdefault(key(f"{domains.sets[dataset].name}/{word}"), []).append(index)
    return found


def _find(domains: Domains, word: str, value: int | str) -> tuple[int, int]:
    """The class and state that one word means; a class goes before a group of the same name."""
    if value in (0, 1, "0", "1") and key(word) in _meanings(domains):
        return _only(domains, word), int(value)
    if isinstance(value, str) and key(f"{word}={value}") in _meanings(domains):
        return _only(domains, f"{word}={value}"), 1
    if key(word) in _meanings(domains):
        raise DomainError(f"{word}={value}: a label is 1 (on) or 0 (off)")
    named = [(domains.sets[dataset].name, group) for dataset, _, group in domains.groups() if group.name]
    meant = [group for owner, group in named if key(word) in (key(group.name), key(f"{owner}/{group.name}"))]
    if not meant:
        raise DomainError(f"unknown domain {word!r}{suggest(word, [*domains.names, *(g.name for _, g in named)])}")
    if isinstance(value, str):
        choice = ", ".join(name for group in meant for name in group.names)
        raise DomainError(f"{word}={value}: {meant[0].name} is one of {choice}")
    raise DomainError(f"{word} is a group; say which value, for example {word}={meant[0].names[0]}")


def _only(domains: Domains, word: str) -> int:
    found = _meanings(domains)[key(word)]
    if len(found) > 1:
        choice = ", ".join(domains.names[index] for index in found)
        raise DomainError(f"{word} stands in several data sets; say one of {choice}")
    return found[0]


def _check_groups(domains: Domains, request: Mapping[int, int]) -> None:
    for _, columns, group in domains.groups():
        told = [domains.names[index] for index in columns if request.get(index) == 1]
        if len(told) > 1:
            raise DomainError(f"{' and '.join(told)} exclude each other; ask for one of them")
        if group.categorical and all(request.get(index) == 0 for index in columns):
            raise DomainError(f"one of {', '.join(group.names)} must stay on")


def _turn_off(domains: Domains, wanted: np.ndarray, columns: range, asked: Mapping[int, int]) -> None:
    """Fills a one-of-n group of which values were only turned off; just one may be left."""
    if any(wanted[index] for index in columns):
        return
    left = [index for index in columns if index not in asked]
    if len(left) > 1:
        off = next(iter(asked))
        choice = ", ".join(domains.names[index] for index in left)
        raise DomainError(f"{domains.names[off]}=0 leaves it open what comes instead; say one of {choice}")
    wanted[left[0]] = 1


def _split(word: str) -> tuple[str, int | str]:
    """One word of a request as (name, state): `-Male` is ("Male", 0), `season=winter` is ("season", "winter")."""
    text = word.strip()
    if text[:1] in ("+", "-"):
        return text[1:], int(text[0] == "+")
    name, equals, value = text.partition("=")
    return (name, value.strip()) if equals else (name, 1)
