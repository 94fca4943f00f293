"""Protocols: which translations of an image are evaluated; those of the paper, and every single change.

The paper evaluates seven tasks on CelebA (section 5.3, table 1): hair colour (H), gender (G), age (A) and their
combinations. On RaFD it translates neutral faces to every other expression (section 5.4).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains, Group, requests
from stargan.domains.names import key, suggest
from stargan.domains.presets import CELEBA_AGE, CELEBA_GENDER, CELEBA_HAIR
from stargan.errors import ConfigError, DomainError

Target = tuple[str, np.ndarray, int]
"""The name of a task, the target values, (C,), and the data set that they belong to."""


@dataclass(frozen=True)
class Protocol:
    """The tasks of an evaluation, and their targets for each image.

    Attributes:
        name: For `--protocol`.
        tasks: The names of all tasks, in order.
        targets: From the values of an image, (C,), to its targets in the order of the tasks; fewer or none if the
            protocol does not translate such an image.
    """

    name: str
    tasks: tuple[str, ...]
    targets: Callable[[np.ndarray], list[Target]]


def protocol(name: str, domains: Domains) -> Protocol:
    """A protocol by name, for a model's domains.

    Args:
        name: `single`: each attribute flipped, and each other value of a group set, one at a time. `celeba`: H sets the
            next hair colour, G flips `Male`, A flips `Young`; and H+G, H+A, G+A, H+G+A. `expressions`: from `neutral`
            to each other value of its one-of-n group.
        domains: The labels of the model.

    Raises:
        ConfigError: There is no such protocol.
        DomainError: The model has not the labels that the protocol needs.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"--protocol {name}: unknown{suggest(name, list(PROTOCOLS))}")
    return PROTOCOLS[name](domains)


def _single(domains: Domains) -> Protocol:
    return Protocol("single", requests.every_word(domains), lambda values: requests.single_changes(domains, values))


def _celeba(domains: Domains) -> Protocol:
    _, blond, _ = CELEBA_HAIR
    hair = _group(domains, blond, "celeba")
    flipped = {"G": CELEBA_GENDER, "A": CELEBA_AGE}
    for name in flipped.values():
        _group(domains, name, "celeba")
    tasks = ("H", "G", "A", "H+G", "H+A", "G+A", "H+G+A")

    def targets(values: np.ndarray) -> list[Target]:
        def word(letter: str) -> str:
            if letter == "H":
                return _next(domains, hair, values)
            return f"{flipped[letter]}={int(values[_index(domains, flipped[letter])] < 0.5)}"

        return [
            (task, *requests.apply(domains, values, [word(letter) for letter in task.split("+")])) for task in tasks
        ]

    return Protocol("celeba", tasks, targets)


def _expressions(domains: Domains) -> Protocol:
    group = _group(domains, "neutral", "expressions")
    if not group.categorical:
        raise DomainError("--protocol expressions: neutral must be one of several values that exclude each other")
    neutral = next(name for name in group.names if key(name) == "neutral")
    tasks = tuple(name for name in group.names if name != neutral)

    def targets(values: np.ndarray) -> list[Target]:
        if values[_index(domains, neutral)] < 0.5:
            return []
        return [(task, *requests.apply(domains, values, [task])) for task in tasks]

    return Protocol("expressions", tasks, targets)


PROTOCOLS: dict[str, Callable[[Domains], Protocol]] = {
    "single": _single,
    "celeba": _celeba,
    "expressions": _expressions,
}


def _group(domains: Domains, name: str, protocol_name: str) -> Group:
    """The group of a class."""
    for _, _, group in domains.groups():
        if key(name) in map(key, group.names):
            return group
    raise DomainError(f"--protocol {protocol_name}: the model does not know {name}, only {', '.join(domains.names)}")


def _index(domains: Domains, name: str) -> int:
    (index,) = requests.parse(domains, [name])
    return index


def _next(domains: Domains, group: Group, values: np.ndarray) -> str:
    """The value of a group after the one that is on, the last being followed by the first; the first if none is on."""
    on = [i for i, name in enumerate(group.names) if values[_index(domains, name)] > 0.5]
    return group.names[(on[0] + 1) % len(group.names) if on else 0]
