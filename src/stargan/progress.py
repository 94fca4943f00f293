"""Progress of long work, reported to whoever wants it: the console of the commands, a callback, or nobody.

Library code opens a `Progress` around its work and says what is done. Nothing is printed here.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import TracebackType


class Progress:
    """The progress of one piece of work; a context manager.

    Args:
        what: The work, for example `"train"`.
        total: Number of units.
        unit: What is counted, in the plural.
        start: Number of units done before.

    Attributes:
        done: Number of units done.
        note: A short remark, such as the current losses.
        state: `started`, `running`, `finished`, or `failed` if an error ended the work.
    """

    def __init__(self, what: str, total: int, unit: str, start: int = 0) -> None:
        self.what, self.total, self.unit, self.start = what, total, unit, start
        self.done = start
        self.note = ""
        self.state = "started"
        self._began = time.monotonic()
        self._callback = _CALLBACK.get()

    def __enter__(self) -> "Progress":
        self._callback(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.state = "failed" if kind else "finished"
        self._callback(self)

    def update(self, done: int, note: str = "") -> None:
        """Reports that `done` units are done; a `note` replaces the one before."""
        self.done, self.note, self.state = done, note or self.note, "running"
        self._callback(self)

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._began

    def speed(self) -> float:
        """Units per second so far."""
        return (self.done - self.start) / max(self.seconds, 1e-9)

    def rate(self) -> str:
        """The speed as text."""
        speed = self.speed()
        return f"{speed:.1f} {self.unit}/s" if speed >= 1 or not speed else f"{1 / speed:.1f} s each"


Callback = Callable[[Progress], object]
"""Is called whenever a `Progress` begins, moves or ends."""

_CALLBACK: ContextVar[Callback] = ContextVar("progress callback", default=lambda progress: None)


@contextlib.contextmanager
def reported_to(callback: Callback | None) -> Iterator[None]:
    """Sends all progress of the work inside to `callback`; None leaves it where it goes."""
    token = _CALLBACK.set(callback) if callback else None
    try:
        yield
    finally:
        if token:
            _CALLBACK.reset(token)


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


def about(seconds: float) -> str:
    """Seconds in words, with two digits at most: `about 40 seconds`, `about 3.5 hours`, `about 5 days`."""
    size, noun = next(((size, noun) for size, noun in _UNITS if seconds >= 1.5 * size), (1.0, "second"))
    number = seconds / size
    text = f"{number:.1f}".removesuffix(".0") if number < 5 and noun in ("hour", "day") else f"{number:.0f}"
    return f"about {text} {noun}" + ("" if text == "1" else "s")


_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))
