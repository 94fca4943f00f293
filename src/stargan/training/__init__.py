"""Training: a prepared run, one loop for one or many data sets, checkpoints, and what a run writes."""

from collections.abc import Callable
from pathlib import Path

from stargan.config import Config
from stargan.training import loop
from stargan.training.loop import Result
from stargan.training.prepare import prepare as _prepare

__all__ = ["Result", "train"]


def train(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    start_from: Path | None = None,
    say: Callable[[str], None] = print,
) -> Result:
    """Trains in a run folder, from the beginning or from its newest checkpoint.

    On one CPU a resumed run gives bit for bit the weights of an uninterrupted one: all random numbers follow from the
    seed and the step, and a checkpoint holds the rest.

    Args:
        config: All settings.
        folder: The run folder; a new run makes it.
        resume: Continue from the newest checkpoint.
        start_from: A model file whose weights a new run starts from.
        say: Takes lines for the user.

    Raises:
        StarganError: The data, the settings or the checkpoint cannot be used, or a loss became NaN.
    """
    return loop.train(_prepare(config, folder, resume=resume, start_from=start_from, say=say))
