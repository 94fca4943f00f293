"""What to make of every image of a job."""

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What to make of every image.

    Attributes:
        targets: The targets, each some words.
        known: The labels of all images, as far as they are known.
        strength: The strength of the change.
        align: Whether faces are looked for.
        model: The digest of the model.
    """

    targets: tuple[tuple[str, ...], ...]
    known: tuple[str, ...] = ()
    strength: float = 1.0
    align: bool = True
    model: str = ""

    @property
    def digest(self) -> str:
        """Identifies it in markers."""
        return hashlib.sha256(json.dumps(list(vars(self).values())).encode()).hexdigest()[:16]
