"""Protocols: the targets of an image."""

import numpy as np
import pytest

from stargan.domains import Domains, Group, LabelSet
from stargan.domains.protocols import protocol
from stargan.errors import ConfigError, DomainError

HAIR = Group(("Black_Hair", "Blond_Hair", "Brown_Hair"))
CELEBA = Domains((LabelSet("celeba", (HAIR, Group(("Male",)), Group(("Young",)))),))
FACES = Domains((LabelSet("faces", (Group(("angry", "happy", "Neutral"), categorical=True, name="expression"),)),))


def targets(name: str, domains: Domains, values: list[int]) -> dict[str, list[int]]:
    return {task: target.astype(int).tolist() for task, target, _ in protocol(name, domains).targets(np.array(values))}


def test_celeba() -> None:
    assert targets("celeba", CELEBA, [0, 0, 1, 1, 0]) == {
        "H": [1, 0, 0, 1, 0],
        "G": [0, 0, 1, 0, 0],
        "A": [0, 0, 1, 1, 1],
        "H+G": [1, 0, 0, 0, 0],
        "H+A": [1, 0, 0, 1, 1],
        "G+A": [0, 0, 1, 0, 1],
        "H+G+A": [1, 0, 0, 0, 1],
    }
    assert targets("celeba", CELEBA, [0, 0, 0, 0, 1])["H"] == [1, 0, 0, 0, 1]  # a bald person gets the first colour


def test_expressions_start_from_neutral() -> None:
    assert targets("expressions", FACES, [0, 0, 1]) == {"angry": [1, 0, 0], "happy": [0, 1, 0]}
    assert targets("expressions", FACES, [1, 0, 0]) == {}


def test_single_is_every_change() -> None:
    assert targets("single", CELEBA, [1, 0, 0, 1, 0]) == {
        "Blond_Hair": [0, 1, 0, 1, 0],
        "Brown_Hair": [0, 0, 1, 1, 0],
        "Male=0": [1, 0, 0, 0, 0],
        "Young": [1, 0, 0, 1, 1],
    }


@pytest.mark.parametrize(("name", "domains"), [("celeba", CELEBA), ("expressions", FACES), ("single", CELEBA)])
def test_tasks_are_named_in_order(name: str, domains: Domains) -> None:
    plan = protocol(name, domains)
    for values in np.eye(domains.num_classes):
        order = [plan.tasks.index(task) for task, _, _ in plan.targets(values)]
        assert order == sorted(order)


def test_a_model_without_the_labels() -> None:
    with pytest.raises(ConfigError, match="--protocol celebb: unknown; did you mean celeba"):
        protocol("celebb", CELEBA)
    with pytest.raises(DomainError, match="does not know Blond_Hair, only angry, happy, Neutral"):
        protocol("celeba", FACES)
    with pytest.raises(DomainError, match="does not know neutral"):
        protocol("expressions", CELEBA)
    with pytest.raises(DomainError, match="neutral must be one of several"):
        protocol("expressions", Domains((LabelSet("x", (Group(("neutral",)),)),)))
