"""Estimates of an image's labels, and how they are told to people."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stargan.domains import requests
from stargan.domains.labels import Group
from stargan.domains.requests import Request
from stargan.domains.space import Domains

UNCERTAIN = 0.75  # estimates of a lower probability are often wrong


class Estimate(NamedTuple):
    """What is most probable for one group of labels.

    Attributes:
        word: `Male=0`, `Black_Hair`; for a group of which no class is on, `other hair`.
        probability: In [0, 1].
    """

    word: str
    probability: float

    @property
    def uncertain(self) -> bool:
        """Whether the probability is below `UNCERTAIN`."""
        return self.probability < UNCERTAIN


def outcomes(domains: Domains, probabilities: np.ndarray) -> list[np.ndarray]:
    """The probability of each outcome of each group.

    The classes of a group that is not one-of-n are estimated independently, although at most one of them is on. Given
    that, a class is on with its odds p / (1 - p), relative to the outcome that none is. The most probable outcome is
    what `Domains.decide` decides.

    Args:
        domains: The labels of the model.
        probabilities: (N, C), as `Domains.probabilities` returns them.

    Returns:
        For each group (N, number of classes) float64 if it is one-of-n, else (N, 1 + number of classes), the outcome
        that no class is on first. Rows add up to 1.
    """
    found = []
    for _, columns, group in domains.groups():
        weights = np.clip(probabilities[:, columns].astype(np.float64), 1e-7, 1 - 1e-7)
        if not group.categorical:
            weights = np.concatenate([np.ones((len(weights), 1)), weights / (1 - weights)], axis=1)
        found.append(weights / weights.sum(axis=1, keepdims=True))
    return found


def estimates(domains: Domains, probabilities: np.ndarray) -> list[Estimate]:
    """The most probable outcome of each group, for people.

    Args:
        domains: The labels of the model.
        probabilities: (C,) of one image.

    Returns:
        One estimate for each group, in order.
    """
    found = []
    groups = zip(domains.groups(), outcomes(domains, np.asarray(probabilities)[None]), strict=True)
    for (_, columns, group), (chances,) in groups:
        best = int(chances.argmax())
        if group.categorical:
            word = domains.names[columns[best]]
        elif best:
            word = domains.names[columns[best - 1]]
        else:
            word = domains.word(columns[0], 0) if len(columns) == 1 else none_of(group)
        found.append(Estimate(word, float(chances[best])))
    return found


def with_known(domains: Domains, probabilities: np.ndarray, known: Request) -> np.ndarray:
    """Replaces the probabilities of groups whose labels are known.

    Args:
        domains: The labels of the model.
        probabilities: (N, C) estimates.
        known: Labels of all these images, as a request.

    Returns:
        (N, C) float32; 0 or 1 in the groups that `known` names.

    Raises:
        DomainError: `known` names something that the model does not know, or has strengths.
    """
    requests.check_plain(domains, known)
    named = requests.parse(domains, known).keys()
    replaced = np.array(probabilities, np.float32)
    values = [requests.apply(domains, row, known)[0] for row in domains.decide(replaced)]
    for _, columns, _ in domains.groups():
        if named & set(columns):
            replaced[:, columns] = np.reshape(values, replaced.shape)[:, columns]
    return replaced


def none_of(group: Group) -> str:
    """What people call none of a group's classes: `other hair` if they all are kinds of hair."""
    kinds = {_last_word(name) for name in group.names}
    return f"other {kinds.pop()}" if len(kinds) == 1 and kinds != {""} else f"none of {'/'.join(group.names)}"


def _last_word(name: str) -> str:
    words: Sequence[str] = name.replace("_", " ").replace("-", " ").split()
    return words[-1].lower() if len(words) > 1 else ""
