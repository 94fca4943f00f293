"""The curves of a run, read from its stats.jsonl while it is written."""

from collections import deque
from pathlib import Path

from stargan.model import run_folder
from stargan.model.run_folder import Curve
from stargan.storage import open_regular

POINTS = 400  # of a curve, at most; of a longer one every second is left out, again and again
NAMES = 300  # different figures, at most; further ones are left out
NAME = 120  # characters of a name, at most
BLOCK = 2**22  # bytes of whole lines to read at a time, and the longest line
BLOCKS = 16  # to read in one go; what a longer file has beyond follows with the next call
MAX_STEP = 1e12
LARGEST = 1e300
RECENT = 20  # lines that the speed is measured over


class Curves:
    """What stats.jsonl says so far.

    The file may come from anybody: lines that are damaged, too long or about other things are left out, and the memory
    for all others is bounded.

    Args:
        path: The file.

    Attributes:
        step: The last step that was logged.
        recent: The step and the seconds of training of the last lines that have both.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self.step = 0
        self.recent: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._points: dict[str, _Points] = {}
        self._offset, self._file = 0, 0

    def update(self) -> None:
        """Reads the lines that were added; all of them if the file was replaced, as a resumed run does.

        Raises:
            OSError: The file cannot be read.
        """
        try:
            with open_regular(self._path) as file:
                now = self._path.stat()
                if now.st_ino != self._file or now.st_size < self._offset:
                    self._begin()
                self._file = now.st_ino
                file.seek(self._offset)
                for _ in range(BLOCKS):
                    block = file.read(BLOCK)
                    whole = block.rfind(b"\n") + 1 or (len(block) if len(block) == BLOCK else 0)
                    if not whole:
                        return
                    for line in block[:whole].splitlines():
                        self._add(line.decode("utf-8", "replace"))
                    self._offset += whole
                    file.seek(self._offset)
        except FileNotFoundError:
            self._begin()

    def curves(self) -> dict[str, Curve]:
        """The steps and values by name."""
        return {name: (points.steps, points.values) for name, points in self._points.items()}

    def last(self, name: str) -> float | None:
        """The last value of a figure."""
        return self._points[name].newest[1] if name in self._points else None

    def _add(self, line: str) -> None:
        step, values = run_folder.figures(line)
        if not values or not 0 <= step <= MAX_STEP:
            return
        self.step = int(step)
        for name, value in values.items():
            if abs(value) > LARGEST or (name not in self._points and not self._is_new_name(name)):
                continue
            self._points.setdefault(name, _Points()).add(step, value)
        if "seconds" in values:
            self.recent.append((step, values["seconds"]))

    def _is_new_name(self, name: str) -> bool:
        return len(self._points) < NAMES and 0 < len(name) <= NAME and name.isprintable()


class _Points:
    """A curve of at most `POINTS` points, and its newest one."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, float]] = []
        self.newest = (0.0, 0.0)
        self._every, self._count = 1, 0

    def add(self, step: float, value: float) -> None:
        self.newest = (step, float(f"{value:.5g}"))
        if self._count % self._every == 0:
            self._kept.append(self.newest)
        self._count += 1
        if len(self._kept) >= POINTS:
            self._kept = self._kept[::2]
            self._every *= 2

    @property
    def _all(self) -> list[tuple[float, float]]:
        return self._kept if self._kept[-1:] == [self.newest] else [*self._kept, self.newest]

    @property
    def steps(self) -> list[float]:
        return [step for step, _ in self._all]

    @property
    def values(self) -> list[float]:
        return [value for _, value in self._all]
