"""The training loop."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stargan.config import schedules
from stargan.data.batches import Batch
from stargan.errors import DataError, TrainingError
from stargan.model import run_folder
from stargan.progress import Progress
from stargan.training import checkpoint
from stargan.training.log import Log
from stargan.training.prepare import PreparedRun
from stargan.training.signals import stop_signals
from stargan.training.status import Status


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        step: The number of updates of D done.
        finished: False if Ctrl-C or SIGTERM stopped the run, which can then be resumed.
        seconds: How long it has trained, in all its parts.
        figures: The latest figures on the validation images, see `Validation.measure`.
    """

    step: int
    finished: bool
    seconds: float
    figures: dict[str, float]


def train(prepared: PreparedRun) -> Result:
    """Trains from the step that the run has reached to the last one; one step is one update of D.

    Args:
        prepared: The result of `prepare.prepare`.

    Raises:
        TrainingError: A loss or a weight is not finite, or another process of this training has ended.
    """
    config, engine, processes = prepared.config, prepared.engine, prepared.processes
    step, figures, began = prepared.step, prepared.figures, time.monotonic() - prepared.seconds
    position = schedules.position(config, step, prepared.seconds)
    status = Status(position)
    with (
        stop_signals() as stopped,
        contextlib.closing(prepared.stream(stopped)) as stream,
        Log(prepared.folder, step) if processes.rank == 0 else contextlib.nullcontext() as log,
        Progress("train", config.steps, "steps", step) as progress,
    ):
        (stop,) = processes.largest(stopped())
        while position < config.steps and not stop and (batch := _next(prepared, stream, step, figures, began)):
            # ---- updates: D at every step, G at every n_critic-th step of each data set
            lr = schedules.learning_rate(config, position)
            rates = {"lr": lr, "lambda_cls": schedules.class_weight(config, position)}
            engine.d_step(batch.images, batch.labels, batch.targets, batch.dataset, step=step, **rates)
            if prepared.updates_g_at(step):
                batch = prepared.g_batch(step) if config.g_own_batch else batch
                engine.g_step(batch.images, batch.labels, batch.targets, batch.dataset, step=step, **rates)
            step += 1
            # ---- all processes go on or stop after the same update; only the first writes files
            seconds, stop = processes.largest(time.monotonic() - began, stopped())
            position = schedules.position(config, step, seconds)
            if log is None:
                continue
            finished = position >= config.steps
            last = finished or stop

            # ---- log: not at every step, because reading the losses waits for the device
            note = ""
            if step % config.log_every == 0 or step % config.checkpoint_every == 0 or last:
                losses = engine.losses()
                _check_finite(losses, step, prepared.folder)
                log.losses(step, {**losses, **prepared.waited()}, lr, seconds)
                note = " ".join(f"{name} {losses[name]:.3g}" for name in _IN_THE_BAR if name in losses)
            progress.total = max(step, round(step * config.steps / max(position, 1)))
            progress.update(step, note)

            # ---- validation
            if prepared.validation and (step % config.sample_every == 0 or finished):
                grid = log.sample(step, prepared.validation.sheet(engine))
                figures, by_request = prepared.validation.measure(engine)
                log.scalars(step, {**figures, **by_request})
                status.say(step, position, config.steps, figures, grid)

            # ---- checkpoint
            if step % config.checkpoint_every == 0 or last:
                _save(prepared, step, figures, time.monotonic() - began, finished=finished)
    return Result(step, position >= config.steps, time.monotonic() - began, figures)


_IN_THE_BAR = ("g_cls", "g_rec", "g_rec_a", "g_rec_b")  # as many as fit next to the progress bar in 80 columns


def _next(
    prepared: PreparedRun, stream: Iterator[Batch], step: int, figures: dict[str, float], began: float
) -> Batch | None:
    """Returns the next batch, or None if a signal came while it waited for a window.

    Then, or if the window cannot be read, it saves what was trained.
    """
    try:
        return next(stream)
    except (StopIteration, DataError) as end:
        _save(prepared, step, figures, time.monotonic() - began)
        if isinstance(end, DataError):
            raise
        return None


def _save(prepared: PreparedRun, step: int, figures: dict[str, float], seconds: float, finished: bool = False) -> None:
    if prepared.processes.rank == 0:
        info, arrays = prepared.info(step, figures, finished=finished), prepared.engine.state()
        keep = prepared.config.keep_checkpoints
        checkpoint.save(prepared.folder, arrays, info, data_key=prepared.data_key, keep=keep, seconds=seconds)


def _check_finite(losses: dict[str, float], step: int, folder: Path) -> None:
    broken = [name for name, value in losses.items() if not math.isfinite(value)]
    if broken:
        kept = run_folder.checkpoints(folder)
        rest = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
        raise TrainingError(f"{broken[0]} is not finite at step {step}; {rest}; try a lower --lr")
