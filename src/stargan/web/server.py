"""Runs the server."""

import signal
import socket
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import uvicorn

from stargan.errors import ConfigError
from stargan.inference.load import load
from stargan.inference.onnx import Runtime
from stargan.inference.translator import Translator
from stargan.model.locations import name_of
from stargan.web import api
from stargan.web.connections import bounded
from stargan.web.limits import Access, Limits
from stargan.web.watching import Watched

GRACE = 30  # seconds for which requests are finished after a signal
HEAD = 20  # seconds in which the head of a request must come
MESSAGES = 128  # connections that wait to be accepted


def load_all(paths: Sequence[Path], runtime: Runtime = "onnxruntime") -> dict[str, Translator]:
    """Loads models under different names: the name of the file or run folder.

    Raises:
        ModelError, MissingExtraError: As `load`.
    """
    models: dict[str, Translator] = {}
    for path in paths:
        name = name_of(path)
        number, free = 2, name
        while free in models:
            free, number = f"{name}-{number}", number + 1
        models[free] = load(path, runtime=runtime, spin=False)  # other work goes on between its runs
    return models


def listen(host: str, port: int) -> socket.socket:
    """Opens the port.

    Raises:
        ConfigError: Somebody else has it, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there, it would take the port from its owner
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(MESSAGES)
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{host}:{port}: cannot be used ({reason}); choose another with --port or --host") from error
    return opened


def address(opened: socket.socket, key: str = "", path: str = "") -> str:
    """The address of a page, with the key where only the page can see it."""
    host, port = opened.getsockname()[:2]
    name = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/{path}" + (f"#key={quote(key, safe='')}" if key else "")


def run(
    models: dict[str, Translator],
    opened: socket.socket,
    limits: Limits,
    access: Access,
    ready: Callable[[], None] = lambda: None,
    runs: Sequence[Watched] = (),
) -> None:
    """Serves until SIGINT or SIGTERM, and finishes what it has begun.

    Args:
        models: See `api.create`.
        opened: From `listen`.
        limits: See `api.create`.
        access: See `api.create`.
        ready: Called when the server answers.
        runs: See `api.create`.
    """
    config = uvicorn.Config(
        api.create(models, limits, access, runs),
        http=bounded(min(limits.seconds, HEAD)),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=65536,
    )
    server = _Server(config, ready)

    def stop(number: int, frame: FrameType | None) -> None:
        """Uvicorn sends itself the signal again when it has ended; then there is nothing left to do."""

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[opened])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def open_browser(url: str) -> None:
    """Opens the page, unless that would start a browser inside the terminal."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if not isinstance(browser, webbrowser.GenericBrowser) or isinstance(browser, webbrowser.BackgroundBrowser):
        browser.open(url)
