"""Bounds how long a client may take to send a request, and to take its answer.

Uvicorn bounds the time between two requests only: a client that sends a byte now and then, or reads nothing, would keep
its connection for ever. `receiving` bounds the time of a body for as long as somebody waits for it.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
READING = 300.0  # seconds in which a client must take an answer


def bounded(seconds: float, reading: float = READING) -> type[H11Protocol]:
    """A protocol for Uvicorn.

    Args:
        seconds: In which the head of a request must come, from its first byte or from the start of the connection; and
            the rest of a body that nobody waits for any more.
        reading: In which an answer must be taken.
    """

    class Bounded(H11Protocol):
        _sending: asyncio.TimerHandle | None = None
        _reading: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._sending = self.loop.call_later(seconds, self._close)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._forget(sending=True)
            elif self._sending is None:
                self._sending = self.loop.call_later(seconds, self._close)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reading = self.loop.call_later(reading, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._forget(reading=True)

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget(sending=True, reading=True)
            super().connection_lost(exc)

        def _forget(self, *, sending: bool = False, reading: bool = False) -> None:
            if sending and self._sending:
                self._sending.cancel()
                self._sending = None
            if reading and self._reading:
                self._reading.cancel()
                self._reading = None

        def _close(self) -> None:
            if not self.transport.is_closing():
                self.transport.write(SLOW)
                self.transport.close()

    return Bounded
