"""Training: preparation of a run, one loop for one or many data sets, validation, checkpoints and the log."""

import logging
from collections.abc import Callable
from pathlib import Path

from stargan.config import Config
from stargan.errors import one_line
from stargan.model import run_folder
from stargan.training import loop
from stargan.training.loop import Result
from stargan.training.prepare import check_new
from stargan.training.prepare import prepare as _prepare

__all__ = ["Result", "train"]

_LOGGER = logging.getLogger(__name__)


def train(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    start_from: Path | None = None,
    allow_changes: bool = False,
    measure: bool = False,
    say: Callable[[str], None] = _LOGGER.info,
) -> Result:
    """Trains in a run folder, from the beginning or from its newest checkpoint.

    On the same CPU, a resumed run gives exactly the weights of an uninterrupted one. The seed and the step determine
    all random numbers, and a checkpoint contains the rest of the state.

    Args:
        config: All settings.
        folder: The run folder; a new run creates it.
        resume: Continue from the newest checkpoint; from the beginning, if there is none yet.
        start_from: A model file or run folder whose weights a new run starts from.
        allow_changes: Whether to resume although images have changed.
        measure: First measure how long a new run will take, and say so.
        say: Is called with each line about the preparation; by default it is logged.

    Returns:
        How the run ended.

    Raises:
        StarganError: The data, the settings or the checkpoint cannot be used, another process trains in the folder, or
            a loss became NaN.
    """

    def say_line(line: str) -> None:
        say(one_line(line))  # it may name files

    with run_folder.locked(folder):
        if not resume:
            check_new(folder)
        prepared = _prepare(
            config,
            folder,
            resume=resume,
            start_from=start_from,
            allow_changes=allow_changes,
            measure=measure,
            say=say_line,
        )
        return loop.train(prepared)
