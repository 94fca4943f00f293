"""A server in a thread of the tests."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

import stargan
from stargan.web import Access, Limits, api, server
from stargan.web.watching import Watched


@contextmanager
def serving(
    models: dict[str, stargan.Translator],
    limits: Limits = Limits(),  # noqa: B008
    access: Access = Access(),  # noqa: B008
    runs: Sequence[Watched] = (),
    **how: Any,
) -> Iterator[httpx.Client]:
    """Serves, with settings for Uvicorn, and yields a client."""
    with server.listen("127.0.0.1", 0) as opened:
        config = uvicorn.Config(api.create(models, limits, access, runs), log_level="warning", access_log=False, **how)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [opened]})
        thread.start()
        try:
            with httpx.Client(base_url=server.address(opened), timeout=60, trust_env=False) as client:
                while not running.started:
                    time.sleep(0.01)
                yield client
        finally:
            running.should_exit = True
            thread.join()


def form(client: httpx.Client, path: str, image: bytes, **fields: Any) -> httpx.Response:
    """Sends an image as a page does."""
    return client.post(path, files={"image": ("photo", image)}, data=fields)
