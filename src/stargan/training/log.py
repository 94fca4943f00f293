"""The log of a run: stats.jsonl, sample grids, and both as TensorBoard events.

tensorboardX writes the TensorBoard files, because PyTorch's `SummaryWriter` would need PyTorch with any engine, and
imports TensorFlow if it is installed.
"""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import images
from stargan.errors import require
from stargan.model import run_folder
from stargan.storage import naming, read_text, write_bytes

_LOGGER = logging.getLogger(__name__)


class Log:
    """Writes the figures and samples of a run; a context manager.

    Args:
        run: The run folder.
        step: The number of steps already done. Lines of later steps, which a killed run may have left, are removed,
            also from TensorBoard.
    """

    def __init__(self, run: Path, step: int) -> None:
        library = require("tensorboardX", "train", "write TensorBoard events")
        self.run = run
        self.path = run / run_folder.STATS
        self._drop_after(step)
        self._file = self.path.open("a", encoding="utf-8")
        self._before, threading.excepthook = threading.excepthook, self._events_failed
        # No bound, or else this thread would wait for ever once the one that writes has failed.
        self._lost = False  # whether events can no longer be written
        self._events = library.SummaryWriter(str(run), purge_step=step + 1, max_queue=0)
        self._since, self._counted = time.monotonic(), step

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._events.close()
        threading.excepthook = self._before
        with naming(self.path):  # it writes what could not be written before
            self._file.close()

    def _events_failed(self, failure: threading.ExceptHookArgs) -> None:
        """Goes on without TensorBoard events: tensorboardX writes them in a thread, which ends with a traceback."""
        if not isinstance(failure.exc_value, OSError):
            self._before(failure)
        elif not self._lost:
            self._lost = True
            _LOGGER.warning(f"{self.run}: no more TensorBoard events ({failure.exc_value.strerror})")

    def losses(self, step: int, losses: Mapping[str, float], lr: float, seconds: float) -> None:
        """Adds a line of losses, with the learning rate, the steps per second since the previous such line, and time.

        Args:
            step: The number of updates of D done.
            losses: The losses by name.
            lr: The learning rate.
            seconds: How long the run has trained, in all its parts.
        """
        now = time.monotonic()
        rate = (step - self._counted) / (now - self._since)
        self._since, self._counted = now, step
        self.scalars(step, {**losses, "lr": lr, "steps_per_second": rate, "seconds": round(seconds, 3)})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a line of figures."""
        with naming(self.path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        for name, value in values.items() if not self._lost else ():
            self._events.add_scalar(name, value, step)

    def sample(self, step: int, grid: Image.Image) -> Path:
        """Saves a sample grid as samples/step-N.png, adds it to TensorBoard, and returns its file."""
        path = run_folder.sample_path(self.run, step)
        images.save(grid, path)
        if not self._lost:
            self._events.add_image("samples", np.asarray(grid), step, dataformats="HWC")
        return path

    def _drop_after(self, step: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for line in read_text(self.path, errors="replace").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError, RecursionError):  # an incomplete line from a killed run, or damage
                continue
        write_bytes(self.path, "".join(kept).encode())
