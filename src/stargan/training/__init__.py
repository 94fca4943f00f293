"""Training: preparation of a run, one loop for one or many data sets, validation, checkpoints and the log."""

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


def train(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    start_from: Path | None = None,
    allow_changes: bool = False,
    say: Callable[[str], None] = print,
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
        say: Is called with each line of output for the user.

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
        return loop.train(
            _prepare(config, folder, resume=resume, start_from=start_from, allow_changes=allow_changes, say=say_line)
        )
