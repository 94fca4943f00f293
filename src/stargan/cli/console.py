"""What the commands show while they work: messages of the library, and progress.

On a terminal, progress is a bar with rate and time left, which goes when the work is done. Elsewhere it is a line now
and then.
"""

import contextlib
import logging
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Any

from stargan.errors import one_line
from stargan.progress import Progress, clock, reported_to

LINE_EVERY = 30.0  # seconds between two lines without a terminal


@contextlib.contextmanager
def shown(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Shows the messages and the progress of the work inside.

    Args:
        quiet: Only warnings.
        verbose: Also details.
    """
    logger, handler = logging.getLogger("stargan"), _Messages()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    try:
        with contextlib.nullcontext() if quiet else reported_to(_Bars()):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Messages(logging.Handler):
    """Prints messages: on standard output, and warnings and details on standard error.

    Its errors are not caught: a full disk ends the command.
    """

    def emit(self, record: logging.LogRecord) -> None:
        line = one_line(record.getMessage())  # it may name files
        if record.levelno >= logging.WARNING:
            print(f"stargan: warning: {line}", file=sys.stderr, flush=True)
        elif record.levelno < logging.INFO:
            print(f"{record.name}: {line}", file=sys.stderr, flush=True)
        else:
            print(_wrapped(line) if sys.stdout.isatty() else line, flush=True)


def _wrapped(line: str) -> str:
    """A line as several that fit the terminal; no name is split."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


class _Bars:
    """Shows each `Progress` that it is called with; one that begins within another goes below it."""

    def __init__(self) -> None:
        self._shown: dict[int, _Bar | _Lines] = {}
        self._screen: Any = None  # of which there can be only one at a time

    def __call__(self, progress: Progress) -> None:
        if progress.state == "started":
            if sys.stderr.isatty() and self._screen is None:
                self._screen = _screen()
            self._shown[id(progress)] = _Bar(self._screen, progress) if self._screen else _Lines()
        elif progress.state == "running":
            self._shown[id(progress)].update(progress)
        else:
            self._shown.pop(id(progress)).end(progress)
            if self._screen and not self._shown:
                self._screen.stop()
                self._screen = None


def _screen() -> Any:
    """What draws bars on a terminal; nothing of them stays."""
    from rich import console
    from rich import progress as bars

    screen = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(16),
        bars.TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[note]}"),
        console=console.Console(stderr=True),
        speed_estimate_period=120,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # lines for a file must not go to the terminal
    )
    screen.start()
    return screen


class _Bar:
    """A bar on a terminal, among those of a screen."""

    def __init__(self, screen: Any, progress: Progress) -> None:
        self._screen = screen
        self._task = screen.add_task(one_line(progress.what), total=progress.total, rate="", note="")
        screen.update(self._task, completed=progress.start)

    def update(self, progress: Progress) -> None:
        fields = {"rate": progress.rate(), "note": progress.note}
        self._screen.update(self._task, completed=progress.done, total=progress.total, **fields)

    def end(self, progress: Progress) -> None:
        self._screen.remove_task(self._task)


class _Lines:
    """A line now and then; work that is done before the first one leaves none."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._any = False

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= LINE_EVERY:
            self._last, self._any = now, True
            left = (progress.total - progress.done) / progress.speed() if progress.speed() else float("inf")
            self._print(progress, f", {clock(left)} left" + (f", {progress.note}" if progress.note else ""))

    def end(self, progress: Progress) -> None:
        if self._any and progress.state == "finished" and progress.done > progress.start:
            self._print(progress, f" in {clock(progress.seconds)}")

    def _print(self, progress: Progress, rest: str) -> None:
        done = f"{one_line(progress.what)} {progress.done}/{progress.total} {progress.unit}, {progress.rate()}"
        print(f"{done}{rest}", file=sys.stderr, flush=True)
