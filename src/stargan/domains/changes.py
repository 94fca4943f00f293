"""One word of a request, such as `Male=0`, `no glasses` or `Blond_Hair=0.6`: the change that it stands for."""

import math
import re
from dataclasses import dataclass
from functools import cache

from stargan.domains.names import key, suggest
from stargan.domains.space import Domains
from stargan.errors import DomainError

MAX_STRENGTH = 1.5
Meaning = tuple[int, int]
"""A class, by its index, and 1 for on or 0 for off."""


@dataclass(frozen=True)
class Change:
    """A change of one class.

    Attributes:
        index: The class.
        state: 1 turns it on, 0 off.
        strength: From 0 to `MAX_STRENGTH`; None for a class that is only turned off, without a number: then the other
            changes of its group decide.
    """

    index: int
    state: int
    strength: float | None


def split(word: str) -> tuple[str, int | str]:
    """Splits a word into a name and a value: `-Male` into ("Male", 0), `season=winter` into ("season", "winter")."""
    text = word.strip()
    if text[:1] in ("+", "-"):
        return text[1:], int(text[0] == "+")
    name, equals, value = text.rpartition("=")
    return (name, value.strip()) if equals else (value, 1)


def understand(domains: Domains, word: str, value: float | str) -> Change:
    """Finds the change that a word with a value stands for; a class takes precedence over a group of the same name.

    Raises:
        DomainError: The word is unknown or ambiguous, or the value is not a state, a strength or a value of the group.
    """
    found = _meanings(domains, word)
    picked = _meanings(domains, f"{word}={value}") if isinstance(value, str) else []
    if picked and not (found and value in ("0", "1")):
        index, state = _only(domains, f"{word}={value}", picked)
        return Change(index, state, 1.0 if state else None)
    if found:
        return _change(*_only(domains, word, found), _strength(word, value))
    named = [(domains.sets[dataset].name, group) for dataset, _, group in domains.groups() if group.name]
    matches = [group for owner, group in named if key(word) in (key(group.name), key(f"{owner}/{group.name}"))]
    if not matches:
        known = [*domains.names, *(group.name for _, group in named)]
        also = [synonym for label_set in domains.sets for synonym, _ in label_set.synonyms]
        raise DomainError(f"unknown domain {word!r}{suggest(word, known, also)}")
    if isinstance(value, str):
        choice = ", ".join(name for group in matches for name in group.names)
        raise DomainError(f"{word}={value}: {matches[0].name} is one of {choice}")
    raise DomainError(f"{word} is a group; name one of its values, for example {word}={matches[0].names[0]}")


# ---------------------------------------------------------------- words


def _meanings(domains: Domains, word: str) -> list[Meaning]:
    """The meanings of a word, one for each data set that knows it. Names go before synonyms, and these before `no`."""
    names, synonyms = _dictionaries(domains, tuple(label_set.synonyms for label_set in domains.sets))
    wanted = key(word)
    found = names.get(wanted) or synonyms.get(wanted)
    if found:
        return found
    negated = re.fullmatch(r"(.*/)?(?:no|not|without)_(.+)", wanted)
    if not negated:
        return []
    wanted = f"{negated[1] or ''}{negated[2]}"
    return [(index, 1 - state) for index, state in names.get(wanted) or synonyms.get(wanted, [])]


@cache
def _dictionaries(domains: Domains, synonyms: object) -> tuple[dict[str, list[Meaning]], dict[str, list[Meaning]]]:
    """By `key`, the meanings of names and of synonyms, each also with its data set: `set/name`.

    Args:
        domains: The labels of the model.
        synonyms: Those of `domains`. They do not affect its equality, by which results are cached.
    """
    dictionaries: tuple[dict[str, list[Meaning]], ...] = ({}, {})
    for dataset, label_set in enumerate(domains.sets):
        columns = domains.columns(dataset)
        names = {word: (column, 1) for word, column in label_set.own_words.items()}
        for dictionary, words in zip(dictionaries, (names, label_set.meanings), strict=True):
            for word, (column, state) in words.items():
                for spelled in (word, f"{key(label_set.name)}/{word}"):
                    meanings, meaning = dictionary.setdefault(spelled, []), (int(columns[column]), state)
                    meanings += [meaning] if meaning not in meanings else []  # of a shared label, there is one
    return dictionaries[0], dictionaries[1]


def _only(domains: Domains, word: str, found: list[Meaning]) -> Meaning:
    if len(found) > 1:
        choice = ", ".join(domains.word(*meaning) for meaning in found)
        raise DomainError(f"{word} is in several data sets; name one of {choice}")
    return found[0]


# ---------------------------------------------------------------- strengths


def _change(index: int, state: int, strength: float) -> Change:
    """A word's change at a strength: 0 and negative strengths mean the opposite of the word."""
    state = state if strength > 0 else 1 - state
    plain = strength in (-1, 0, 1)
    return Change(index, state, (1.0 if state else None) if plain else abs(strength))


def _strength(word: str, value: float | str) -> float:
    try:
        strength = float(value)
    except (TypeError, ValueError, OverflowError):
        strength = math.nan
    if not abs(strength) <= MAX_STRENGTH:  # also refuses NaN
        raise DomainError(
            f"{word}={value}: must be 1 (on), 0 (off) or a strength from -{MAX_STRENGTH} to {MAX_STRENGTH}; "
            "negative ones turn off"
        )
    return strength
