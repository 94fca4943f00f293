"""Stopping a run with signals."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

_STOPPING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turns Ctrl-C, SIGTERM and a closed terminal into a flag; the loop finishes its step and writes a checkpoint.

    A second Ctrl-C stops the program at once.

    Yields:
        A function that returns whether a signal has arrived.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set  # only the main thread receives signals
        return

    def stop(number: int, frame: object) -> None:
        flag.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    # `nohup` lets a run outlive its terminal. A shell's `&` ignores Ctrl-C too, but `kill -INT` should stop a run.
    outlives = hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in _STOPPING if not (outlives and number == signal.SIGHUP)]
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield flag.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
