"""Training: preparation of a run, one loop for one or many data sets, validation, checkpoints and the log."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stargan import engine as engines
from stargan.config import Config
from stargan.engine import Processes
from stargan.errors import ConfigError, one_line
from stargan.model import run_folder
from stargan.progress import reported_to
from stargan.training import loop, windowed
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

    Under `torchrun`, each process trains on its part of every batch, and only the first one writes and says anything.

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

    with engines.together(config) as processes:
        _check(config, processes)
        if processes.rank:
            return _train_beside(processes, config, folder, resume=resume, allow_changes=allow_changes)
        with run_folder.locked(folder), windowed.folder(config, folder) as windows_folder:
            if not resume:
                check_new(folder)
            prepared = _prepare(
                config,
                folder,
                processes,
                windows_folder,
                resume=resume,
                start_from=start_from,
                allow_changes=allow_changes,
                measure=measure and processes.world_size == 1,
                say=say_line,
            )
            processes.largest(prepared.engine.precision == "bf16")  # the others have waited for this
            processes.largest(0)  # see there
            return loop.train(prepared)


def _train_beside(processes: Processes, config: Config, folder: Path, *, resume: bool, allow_changes: bool) -> Result:
    """Trains as one of the other processes, which begin when the first one has prepared the run.

    They take its settings, and read the checkpoint that it has read or written.
    """
    (bf16,) = processes.largest(False)
    settings = config if resume else run_folder.saved_config(folder)
    settings = replace(settings, precision="bf16" if bf16 else "fp32")
    with reported_to(lambda progress: None), windowed.folder(config, folder) as windows_folder:
        processes.largest(0)  # on each machine, that folder is empty now
        prepared = _prepare(
            settings,
            folder,
            processes,
            windows_folder,
            resume=True,
            start_from=None,
            allow_changes=allow_changes,
            measure=False,
            say=lambda line: None,
        )
        return loop.train(prepared)


def _check(config: Config, processes: Processes) -> None:
    if processes.world_size > 1 and config.method != "stargan":
        raise ConfigError(f"--method {config.method}: trains in one process; start it without torchrun")
    if config.batch_size % processes.world_size:
        raise ConfigError(
            f"--batch-size {config.batch_size}: is for all processes together; must be a multiple of "
            f"{processes.world_size}, their number"
        )
    if config.batch_size % (processes.world_size * config.accumulate):
        raise ConfigError(
            f"--accumulate {config.accumulate}: each of {processes.world_size} processes has "
            f"{config.batch_size // processes.world_size} images of a batch; must be a divisor of that"
        )
