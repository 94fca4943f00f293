"""Which translations are asked of a picture: the paper's protocols, and every single change.

The paper judges CelebA by seven tasks (section 5.3, table 1): hair colour (H), gender (G), age (A) and their
combinations; RaFD by the expressions that are made from neutral faces (section 5.4).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stargan.domains import Domains, Group, requests
from stargan.domains.names import key, suggest
from stargan.errors import ConfigError, DomainError

Target = tuple[str, np.ndarray, int]
"""The name of a task, the (C,) values that the translation shall show, and the data set that they belong to."""


@dataclass(frozen=True)
class Protocol:
    """What is asked of each picture.

    Attributes:
        name: For `--protocol`.
        tasks: The names of all tasks, in order.
        targets: From the (C,) values that a picture shows to what is asked of it, in the order of the tasks; fewer
            or none where the protocol does not ask this picture.
    """

    name: str
    tasks: tuple[str, ...]
    targets: Callable[[np.ndarray], list[Target]]


def protocol(name: str, domains: Domains) -> Protocol:
    """The protocol of a name, for a model's domains.

    Args:
        name: `single`: every attribute flipped and every other value of a group set, one at a time. `celeba`: H the
            next hair colour, G `Male` flipped, A `Young` flipped, and H+G, H+A, G+A, H+G+A. `expressions`: from
            `neutral` to each other value of its one-of-n group.
        domains: What the model can be asked for.

    Raises:
        ConfigError: There is no such protocol.
        DomainError: The domains lack what it asks for.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"--protocol {name}: unknown{suggest(name, list(PROTOCOLS))}")
    return PROTOCOLS[name](domains)


def _single(domains: Domains) -> Protocol:
    shown = (np.zeros(domains.num_classes, np.float32), np.ones(domains.num_classes, np.float32))
    words = [[word for word, _ in requests.every_target(domains, values)] for values in shown]
    tasks = dict.fromkeys(word for pair in zip(*words, strict=True) for word in pair)  # Male beside Male=0
    return Protocol("single", tuple(tasks), lambda values: requests.single_changes(domains, values))


def _celeba(domains: Domains) -> Protocol:
    hair = _owner(domains, "Blond_Hair", "celeba")
    for name in ("Male", "Young"):
        _owner(domains, name, "celeba")
    flipped = {"G": "Male", "A": "Young"}
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
    group = _owner(domains, "neutral", "expressions")
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


def _owner(domains: Domains, name: str, what: str) -> Group:
    """The group that a class belongs to."""
    for _, _, group in domains.groups():
        if key(name) in map(key, group.names):
            return group
    raise DomainError(f"--protocol {what}: the model does not know {name}, only {', '.join(domains.names)}")


def _index(domains: Domains, name: str) -> int:
    (index,) = requests.parse(domains, [name])
    return index


def _next(domains: Domains, group: Group, values: np.ndarray) -> str:
    """The value of a group that comes after the one that is on, round and round; the first where none is."""
    on = [i for i, name in enumerate(group.names) if values[_index(domains, name)] > 0.5]
    return group.names[(on[0] + 1) % len(group.names) if on else 0]
