"""Translations as steps: changes of an image with their strengths."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stargan.domains import Domains, requests
from stargan.domains.requests import Request
from stargan.errors import ConfigError

STRONGEST = 1.5
"""The greatest strength of a change; 1 is what the model makes."""


class Step(NamedTuple):
    """One change of an image.

    Attributes:
        strength: A factor for the change.
        labels: (L,), the target labels.
        source_values: (C,), the values of the image before the change.
    """

    strength: float
    labels: np.ndarray
    source_values: np.ndarray


Steps = Sequence[Step]
"""A translation: one or more changes, one after the other."""


def check_strength(strength: float) -> float:
    """Refuses a strength outside of 0 to `STRONGEST`.

    Raises:
        ConfigError: As it says.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= STRONGEST:
        raise ConfigError(f"strength {strength}: must be a number from 0 to {STRONGEST}")
    return float(strength)


def steps(domains: Domains, values: np.ndarray, request: Request, strength: float = 1.0) -> Steps:
    """The translation that a request stands for.

    Args:
        domains: The labels of the model.
        values: (C,) labels of the image, 0 or 1.
        request: See `requests.steps`.
        strength: A factor for all of it.

    Raises:
        DomainError: `request` names something that the model does not know.
    """
    requests.check_directions(domains, request)
    found = []
    for part, words in requests.steps(domains, request):
        target_values, dataset = requests.apply(domains, values, words)
        found.append(Step(strength * part, domains.labels(target_values[None], dataset)[0], values))
        values = target_values
    return found
