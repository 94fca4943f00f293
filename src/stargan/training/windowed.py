"""Batches of data that are read a window at a time: each trains while the next is prepared, and is then deleted.

A batch is a pure function of the seed and the step, as without windows. Which window a step is in follows from the
number of batches of those before it, which is known once they were opened, and kept in the run folder.
"""

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np

from stargan.config import Config
from stargan.config.checks import is_integer
from stargan.data import window_process, windows
from stargan.data.batches import Batch, Batches, TrainingSet
from stargan.data.window_process import Preparation
from stargan.data.windows import Windows
from stargan.domains import Domains
from stargan.engine import Engine
from stargan.errors import CheckpointError
from stargan.machine import place
from stargan.model import run_folder
from stargan.progress import about, counted
from stargan.storage import read_text, write_bytes
from stargan.training import data_sets
from stargan.training.data_sets import DataSet

NOTICED = 1.0  # seconds of waiting for a window from which on a line says so
_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def folder(config: Config, run: Path) -> Iterator[Path]:
    """The folder of a run's windows, empty, and gone at the end.

    Of the processes on a machine, the first one does this, and no process may unpack something there before. A run that
    is not locked would lose its windows.
    """
    found = windows.folder_of(run)

    def clear() -> None:
        if config.window and place().local_rank == 0:
            shutil.rmtree(found, ignore_errors=True)

    clear()
    try:
        yield found
    finally:
        clear()


class WindowedBatches:
    """An endless sequence of batches from all windows; see `Batches`, which it takes the place of.

    Every training image comes once an epoch, except for the last ones of a window that do not fill a batch.

    Args:
        config: All settings.
        found: The windows.
        first: The first one.
        domains: The label layout.
        engine: Gets the images of each window.
        run: The run folder.
        folder: The folder of the run's windows.
        own: As in `Batches`.

    Attributes:
        waited: How long `stream` has waited for windows, in seconds.

    Raises:
        CheckpointError: What the run folder says about windows is damaged.
    """

    def __init__(
        self,
        config: Config,
        found: Windows,
        first: DataSet,
        domains: Domains,
        engine: Engine,
        *,
        run: Path,
        folder: Path,
        own: slice,
    ) -> None:
        self._config, self._found, self._first, self._domains = config, found, first, domains
        self._engine, self._folder, self._own = engine, folder, own
        self._record = Record(run, writes=engine.rank == 0)
        self._g_batch = _none
        self.waited = 0.0

    def g_batch(self, step: int) -> Batch:
        """A batch of its own for G: of the window that the batch of this step is from."""
        return self._g_batch(step)

    def stream(
        self, start: int, workers: int = 2, stopped: Callable[[], bool] = lambda: False
    ) -> Generator[Batch, None, None]:
        """Yields the batches from step `start` on, see `Batches.stream`; a process prepares the next window meanwhile.

        The generator ends if `stopped` returns True while it waits for a window. Closing it ends the process.

        Raises:
            DataError: A window cannot be read; it is raised when its first batch is due.
            CheckpointError: A window has another number of batches than when it was opened before.
        """
        number, begins = self._record.find(start)
        ahead = self._prepare(number)
        try:
            while True:
                images = self._opened(number, ahead, stopped)
                if images is None:
                    return
                steps = self._record.add(number, self._steps(images))
                ahead = self._prepare(number + 1)
                if steps:
                    yield from self._of_window(number, images, begins, range(start - begins, steps), workers)
                del images  # before the next ones come
                number, begins, start = number + 1, begins + steps, begins + steps
        finally:
            if ahead:
                ahead.close()

    def _of_window(
        self, number: int, images: TrainingSet, begins: int, steps: range, workers: int
    ) -> Generator[Batch, None, None]:
        """Yields some batches of a window, the last of which is its last one, and deletes it."""
        batches, g_batches = (self._batches(images, number, extra) for extra in (0, 1))
        self._g_batch = lambda step: g_batches.batch(step - begins)
        yield from batches.stream(steps.start, workers, end=steps.stop)
        self._g_batch = _none  # so that nothing holds the images
        if place().local_rank == 0:  # all processes have trained on it, so that all have opened it
            window_process.remove(self._folder, 0)
            window_process.remove(self._folder, number)

    def _steps(self, images: TrainingSet) -> int:
        count = len(images.rows)
        return max(1, count // self._config.batch_size) if count else 0

    def _prepare(self, number: int) -> Preparation | None:
        return Preparation(self._config, self._found, number, self._folder) if number else None

    def _opened(self, number: int, ahead: Preparation | None, stopped: Callable[[], bool]) -> TrainingSet | None:
        """The images of a window, when they are there; None if `stopped` before that."""
        if ahead is None:
            pixels, values, rows = self._first.images.pixels, self._first.values, self._first.rows("train")
        else:
            title, began = self._found.title(number), time.monotonic()
            there = ahead.wait(title, stopped)
            waited = time.monotonic() - began
            self.waited += waited
            if not there:
                return None
            ahead.close()
            window = window_process.opened(self._folder, number, self._config)
            for line in window.left_out:
                _LOGGER.info(line)
            if waited >= NOTICED:
                _LOGGER.info(f"waited {about(waited)[6:]} for {title}: reading takes longer than training")
            _LOGGER.debug(f"{title}: {counted(len(window.rows), 'training image')}")
            pixels, values, rows = window.pixels, self._domains.pad(window.labels, 0), window.rows
        return TrainingSet(pixels, values, rows, self._engine.upload(pixels) if len(rows) else None)

    def _batches(self, images: TrainingSet, number: int, extra: int) -> Batches:
        seed = int(np.random.SeedSequence([self._config.seed + extra, number]).generate_state(1, np.uint64)[0])
        return data_sets.batches([images], self._domains, self._config, seed, self._own)


def _none(step: int) -> Batch:
    raise ValueError(f"step {step} is in no open window")


class Record:
    """The number of batches of each window that was opened, in the run folder.

    Args:
        run: The run folder.
        writes: Whether to write there; of several processes, one does.

    Raises:
        CheckpointError: The file is damaged.
    """

    def __init__(self, run: Path, *, writes: bool) -> None:
        self.path, self._writes, self._batches = run / run_folder.WINDOWS, writes, list[int]()
        with contextlib.suppress(FileNotFoundError):
            try:
                self._batches = json.loads(read_text(self.path))["batches"]
                if not all(is_integer(count) and count >= 0 for count in self._batches):
                    raise ValueError("no numbers of batches")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise CheckpointError(f"{self.path}: damaged; the run cannot go on exactly without it") from error

    def find(self, step: int) -> tuple[int, int]:
        """Returns the window that has the batch of a step, and the first step of that window.

        Raises:
            CheckpointError: A window before it was never opened.
        """
        begins = 0
        for number, count in enumerate(self._batches):
            if begins + count > step:
                return number, begins
            begins += count
        if begins < step:
            raise CheckpointError(f"{self.path}: ends at step {begins}, and the run has reached step {step}; damaged")
        return len(self._batches), begins

    def add(self, number: int, count: int) -> int:
        """Keeps the number of batches of a window, and returns it.

        Raises:
            CheckpointError: It was another number when the window was opened before.
        """
        if number == len(self._batches):
            self._batches.append(count)
            if self._writes:
                write_bytes(self.path, (json.dumps({"batches": self._batches}) + "\n").encode())
        if self._batches[number] != count:
            raise CheckpointError(
                f"{self.path}: window {number + 1} of this run had {self._batches[number]} batches and "
                f"has {count} now: its shards have changed"
            )
        return count
