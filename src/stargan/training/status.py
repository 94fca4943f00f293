"""Sentences about how a training stands."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from stargan.progress import about

EVERY = 60.0  # seconds between two sentences, at least
_LOGGER = logging.getLogger(__name__)


class Status:
    """Says after a validation how the training stands, unless it has just done so.

    Args:
        start: Where the schedules were when this part of the run began, in steps.
    """

    def __init__(self, start: int) -> None:
        self.start, self._began, self._said = start, time.monotonic(), float("-inf")

    def say(self, step: int, position: int, steps: int, figures: Mapping[str, float], samples: Path) -> None:
        """Logs one sentence.

        Args:
            step: The number of updates of D done.
            position: Where the schedules are, in steps, see `schedules.position`.
            steps: Where they end.
            figures: What `Validation.measure` has found.
            samples: The newest grid of samples.
        """
        now = time.monotonic()
        if now - self._said < EVERY and position < steps:
            return
        self._said = now
        left = (now - self._began) * (steps - position) / max(position - self.start, 1)
        when = f"{position / steps:.0%} done, {about(left)} left" if position < steps else "the last one"
        _LOGGER.info("step %s, %s: %s; samples: %s", f"{step:,}", when, _in_words(figures), samples)


def _in_words(figures: Mapping[str, float]) -> str:
    split = next(iter(figures)).partition("/")[0]
    images = "validation images" if split == "val" else "training images, for want of validation images"
    return (
        f"{figures[f'{split}/hit']:.0%} of the requests succeed on {images}, "
        f"{figures[f'{split}/kept']:.0%} of the other labels are kept"
    )
