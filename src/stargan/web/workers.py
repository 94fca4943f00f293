"""Runs the work of requests in threads, so many at a time, and refuses more than can wait."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from stargan.web.limits import Limits
from stargan.web.refusals import ApiError

T = TypeVar("T")
RETRY = 2.0  # seconds after which a full queue has moved on


class Workers:
    """Threads for the work of requests.

    There is a thread for each request that may wait, so that requests can wait together for one batch of the
    generator. What computes beside the generator runs inside of `computing`, in at most `limits.threads` threads.

    Args:
        limits: See `Limits`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.queue, "request")
        self._slots = threading.BoundedSemaphore(limits.threads)
        self.open = 0

    @contextmanager
    def place(self) -> Iterator[Callable[["Future[Any]"], None]]:
        """A place in the queue for one request, to be used in the event loop.

        Yields:
            A function that keeps the place for work that outlives its request.

        Raises:
            ApiError: The queue is full.
        """
        if self.open >= self._limits.queue:
            raise ApiError(503, "busy", "too many requests at the moment; try again soon", RETRY)
        self.open += 1
        loop, stays = asyncio.get_running_loop(), False

        def leave(_: object = None) -> None:
            self.open -= 1

        def keep(future: "Future[Any]") -> None:
            nonlocal stays
            stays = True
            future.add_done_callback(lambda _: _if_open(loop, leave))

        try:
            yield keep
        finally:
            if not stays:
                leave()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Waits until a core is free, and takes it for the duration of the context; used in the threads."""
        with self._slots:
            yield

    async def run(
        self, work: Callable[[], T], keep: Callable[["Future[Any]"], None], gone: Callable[[], Awaitable[None]]
    ) -> T:
        """Runs work in a thread. Work that nobody waits for any more is dropped unless it has begun.

        Args:
            work: What to do.
            keep: From `place`.
            gone: Returns when the client has gone.

        Raises:
            ApiError: It took too long, or the client has gone.
        """
        future = self._pool.submit(work)
        answer = asyncio.wrap_future(future)
        leaving = asyncio.ensure_future(gone())
        both: set[asyncio.Future[Any]] = {answer, leaving}
        done, _ = await asyncio.wait(both, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if answer in done:
            return await answer
        if not future.cancel():
            keep(future)
        answer.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody asks for it any more
        if leaving in done:
            raise ApiError(499, "gone", "the client has gone")
        raise ApiError(504, "slow", f"took longer than {self._limits.seconds:g} seconds; try a smaller photo", RETRY)

    def close(self) -> None:
        """Waits for the work that has begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _if_open(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # the server has ended meanwhile
        return
