"""Progress of long work: a bar with rate and time left on a terminal, otherwise one line now and then."""

import sys
import time
from types import TracebackType
from typing import Any

LINE_EVERY = 30.0  # seconds between two lines without a terminal


class Progress:
    """Shows progress on standard error; a context manager.

    Args:
        what: The work, for example `"train"`.
        total: Number of units.
        unit: What is counted, in the plural.
        start: Number of units done before.
    """

    def __init__(self, what: str, total: int, unit: str, start: int = 0) -> None:
        self.what, self.total, self.unit, self.start = what, total, unit, start
        self.done = start
        self._began = self._last_line = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            from rich import console, progress

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(16),
                progress.TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[note]}"),
                console=console.Console(stderr=True),
                speed_estimate_period=120,
            )
            self._bar.start()
            self._bar.add_task(self.what, total=self.total, completed=self.start, rate="", note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self.done > self.start:
            self._line("")

    def update(self, done: int, note: str = "") -> None:
        """Reports that `done` units are done, with a short note."""
        self.done = done
        now = time.monotonic()
        if self._bar is not None:
            fields = {"rate": self.rate(), **({"note": note} if note else {})}
            self._bar.update(self._bar.task_ids[0], completed=done, total=self.total, **fields)
        elif now - self._last_line >= LINE_EVERY:
            self._last_line = now
            self._line(note)

    def rate(self) -> str:
        """The speed as text."""
        speed = self.speed()
        return f"{speed:.1f} {self.unit}/s" if speed >= 1 or not speed else f"{1 / speed:.1f} s each"

    def speed(self) -> float:
        """Units per second so far."""
        return (self.done - self.start) / max(time.monotonic() - self._began, 1e-9)

    def _line(self, note: str) -> None:
        left = (self.total - self.done) / self.speed() if self.speed() else float("inf")
        until = f", {clock(left)} left" if self.done < self.total else f" in {clock(time.monotonic() - self._began)}"
        remark = f", {note}" if note else ""
        line = f"{self.what} {self.done}/{self.total} {self.unit}, {self.rate()}{until}{remark}"
        print(line, file=sys.stderr, flush=True)


def counted(number: int, noun: str) -> str:
    """A number of things: `1 image`, `2 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def clock(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
