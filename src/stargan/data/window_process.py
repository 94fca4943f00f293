"""Prepares a window in a process of its own, while the one before it trains; the same process would be in its way.

Reading a shard bounds the memory of its whole process, and takes Python's lock. A process can also be ended at once.
The two talk in lines of JSON.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from stargan.config import Config
from stargan.data import configured, windows
from stargan.data.windows import Windows
from stargan.errors import DataError, StarganError
from stargan.progress import Progress, reported_to

_LOOK_EVERY = 0.2  # seconds between two looks at a process that is waited for, and two lines of it
_PIXELS, _LABELS, _ROWS, _LINES = "pixels.npy", "labels.npy", "rows.npy", "left_out.json"


@dataclass(frozen=True)
class Window:
    """The decoded training images of a window.

    Attributes:
        pixels: (N, H, W, 3) uint8, memory-mapped, read-only.
        labels: (N, K) uint8, as in `Source`.
        rows: (M,), the rows of images that could be read.
        left_out: A line for each of the others.
    """

    pixels: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    left_out: list[str]


def opened(folder: Path, number: int, config: Config) -> Window:
    """Opens a window that `build` has made in the folder of the run's windows."""
    place = folder / f"{number:08}"
    rows, labels = np.load(place / _ROWS), np.load(place / _LABELS)
    width, height = config.image_size
    none = np.zeros((0, height, width, 3), np.uint8)
    pixels = np.load(place / _PIXELS, mmap_mode="r") if len(labels) else none
    return Window(pixels, labels, rows, json.loads((place / _LINES).read_text("utf-8")))


def remove(folder: Path, number: int) -> None:
    """Removes a window's files; of the first one, those of encoded images. Others have its decoded ones for validation.

    Where the system does not let go of open files, they stay until the run ends.
    """
    places = [folder / f"{number:08}"] if number else [p for p in (folder / windows.FIRST).iterdir() if p.is_dir()]
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


def build(config: Config, found: Windows, number: int, folder: Path) -> None:
    """Unpacks and decodes the training images of a window, unless another process of the run has done so.

    Raises:
        DataError: As `windows.later` and `cache.load`; `max_bad` counts the images of the window.
    """

    def make(making: Path) -> None:
        encoded = making / "images"
        encoded.mkdir()
        source = windows.later(config, found, number, folder, encoded)
        rows, lines = np.arange(len(source.files)), list[str]()
        if len(rows):
            with windows.saying(encoded, found.where):
                cached = configured.decoded(source, config, making)
            rows, lines = np.setdiff1d(rows, list(cached.bad)), cached.left_out(source)
            (pixels,) = making.glob("*.npy")
            pixels.rename(making / _PIXELS)
        np.save(making / _LABELS, source.labels)
        np.save(making / _ROWS, rows)
        (making / _LINES).write_text(json.dumps(lines), "utf-8")
        shutil.rmtree(encoded)

    windows.made_once(folder / f"{number:08}", make)


# ---------------------------------------------------------------- the process that trains


class Preparation:
    """A process that prepares a window.

    Args:
        config: All settings, with the crop and range that the first window has decided.
        found: All windows.
        number: Which of them.
        folder: The folder of the run's windows.
    """

    def __init__(self, config: Config, found: Windows, number: int, folder: Path) -> None:
        self._state: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the process that trains
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        asked = [config.to_json(), dataclasses.asdict(found), number, str(folder)]
        with contextlib.suppress(BrokenPipeError):  # `wait` says that it has ended
            print(json.dumps(asked), file=self._process.stdin, flush=True)

    def wait(self, title: str, stopped: Callable[[], bool]) -> bool:
        """Waits until the window is there; meanwhile, shows what the process does.

        Args:
            title: What to call the window.
            stopped: Returns whether to wait no longer.

        Returns:
            Whether the window is there.

        Raises:
            DataError: As `build`, or the process was ended by something else.
        """
        with contextlib.ExitStack() as shown:
            progress: Progress | None = None
            while self._reader.is_alive():
                if stopped():
                    return False
                self._reader.join(_LOOK_EVERY)
                match self._state:
                    case {"what": what, "total": total, "unit": unit, "done": done}:
                        what = f"{title}: {what}"
                        if progress is None or progress.what != what:
                            shown.close()
                            progress = shown.enter_context(Progress(what, total, unit, done))
                        progress.update(done)
        if "error" in self._state:
            raise DataError(self._state["error"])
        code = self._process.wait()
        if code:
            raise DataError(f"the process that prepares the next images has ended with code {code}; is memory short?")
        return True

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _read(self) -> None:
        """Keeps the last thing that the process has said."""
        output: TextIO = self._process.stdout  # type: ignore[assignment]
        for line in output:
            self._state = json.loads(line)


# ---------------------------------------------------------------- the process that prepares


def main() -> None:
    """Prepares the window that a line on standard input names; tells of progress and errors on standard output."""
    said = 0.0

    def tell(progress: Progress) -> None:
        nonlocal said
        if time.monotonic() - said >= _LOOK_EVERY:
            said = time.monotonic()
            state = {"what": progress.what, "done": progress.done, "total": progress.total, "unit": progress.unit}
            print(json.dumps(state), flush=True)

    settings, found, number, folder = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    try:
        with reported_to(tell):
            build(Config.from_json(settings), Windows(**{**found, **lists}), number, Path(folder))
    except (StarganError, OSError) as error:
        what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        print(json.dumps({"error": what}), flush=True)


def _end_with_input() -> None:
    """Ends this process when the one that trains is gone, even if that was killed."""
    sys.stdin.read()
    os._exit(1)
