"""The server under load: batches, a full queue, clients that are slow or gone, and how it begins and ends."""

import asyncio
import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import in_process
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import httpx
from web_server import form, serving

import stargan
from stargan.errors import ModelError
from stargan.web import Limits
from stargan.web.connections import bounded
from stargan.web.gathering import Gathering
from stargan.web.workers import Workers


class Adds:
    """A backend that adds each label to its image; it can be stopped, and fails on images of NaN."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        self.begun.release()
        assert self.go.wait(20)
        if np.isnan(images).any():
            raise ModelError("not finite")
        return images + labels[:, 0, None, None, None]

    def classify(self, images: np.ndarray) -> np.ndarray:
        return images.mean((2, 3))


def ask(backend: Gathering, value: float, count: int = 1) -> np.ndarray:
    images = np.full((count, 3, 2, 2), value, np.float32)
    return backend.generate(images, np.arange(count, dtype=np.float32)[:, None])


def test_calls_are_gathered_and_answers_are_not_mixed_up() -> None:
    adds, sizes = Adds(), list[int]()
    backend = Gathering(adds, 8, 0.0, sizes.append)
    adds.go.clear()
    with ThreadPoolExecutor(40) as pool:
        first = pool.submit(ask, backend, 0)
        assert adds.begun.acquire(timeout=20)  # the others wait for it
        others = [pool.submit(ask, backend, value, 1 + value % 3) for value in range(1, 31)]
        while backend._waiting.qsize() < len(others):
            time.sleep(0.001)
        adds.go.set()
        assert np.array_equal(first.result()[:, 0, 0, 0], [0])
        for value, other in enumerate(others, 1):
            assert np.array_equal(other.result()[:, 0, 0, 0], value + np.arange(1 + value % 3))
    backend.close()
    assert sizes[0] == 1
    assert sum(sizes) == 1 + sum(1 + value % 3 for value in range(1, 31))
    assert max(sizes) <= 8
    assert len(sizes) <= 12
    assert np.array_equal(backend.classify(np.ones((1, 3, 2, 2))), np.ones((1, 3)))


def test_a_call_that_fails_does_not_fail_others() -> None:
    adds = Adds()
    backend = Gathering(adds, 8, 0.2, lambda _: None)
    with ThreadPoolExecutor(4) as pool:
        good, bad, large = (pool.submit(ask, backend, *args) for args in ((1.0,), (float("nan"),), (2.0, 9)))
        assert np.array_equal(good.result()[:, 0, 0, 0], [1])
        assert len(large.result()) == 9  # more than a batch holds
        with pytest.raises(ModelError, match="not finite"):
            bad.result()
    backend.close()


def test_a_first_call_does_not_wait_for_long() -> None:
    backend = Gathering(Adds(), 8, 0.05, lambda _: None)
    began = time.monotonic()
    ask(backend, 1)
    assert time.monotonic() - began < 5
    backend.close()


# ---------------------------------------------------------------- the queue


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    return


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    async def main() -> None:
        workers = Workers(Limits(queue=1))
        with workers.place():
            with pytest.raises(stargan.StarganError, match="too many") as caught, workers.place():
                pass
            assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "2"})  # type: ignore[attr-defined]
        with workers.place() as keep:
            assert await workers.run(lambda: 7, keep, never) == 7
        assert workers.open == 0
        workers.close()

    asyncio.run(main())


def test_work_that_takes_too_long_keeps_its_place() -> None:
    async def main() -> None:
        workers = Workers(Limits(queue=1, seconds=0.05))
        go = threading.Event()
        with pytest.raises(stargan.StarganError, match="took longer than"), workers.place() as keep:
            await workers.run(lambda: go.wait(20), keep, never)
        assert workers.open == 1  # it goes on computing
        go.set()
        while workers.open:
            await asyncio.sleep(0.001)
        workers.close()

    asyncio.run(main())


def test_work_of_a_client_that_has_gone_is_dropped() -> None:
    async def main() -> None:
        workers = Workers(Limits(queue=2))
        go, done = threading.Event(), list[int]()
        blockers: list[Future[Any]] = [workers._pool.submit(go.wait, 20) for _ in range(2)]  # all threads
        with pytest.raises(stargan.StarganError, match="has gone"), workers.place() as keep:
            await workers.run(lambda: done.append(1), keep, at_once)
        assert workers.open == 0
        go.set()
        for blocker in blockers:
            blocker.result()
        workers.close()
        assert not done

    asyncio.run(main())


# ---------------------------------------------------------------- a real server


@pytest.fixture(scope="module")
def cartoons() -> dict[str, stargan.Translator]:
    return {"cartoons": stargan.load("cartoons")}


@pytest.fixture(scope="module")
def drawings() -> list[bytes]:
    rng = np.random.default_rng(0)
    files = []
    for _ in range(5):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).resize((80, 72)).save(file, "PNG")
        files.append(file.getvalue())
    return files


def test_many_clients_get_their_own_answers(cartoons: dict[str, stargan.Translator], drawings: list[bytes]) -> None:
    words = ("Blond_Hair", "Smiling")
    expected = {
        (index, word): np.asarray(cartoons["cartoons"].translate(drawing, [word]))
        for index, drawing in enumerate(drawings)
        for word in words
    }

    def one(place: tuple[int, str]) -> bool:
        answer = form(client, "/v1/translate", drawings[place[0]], target=place[1])
        return np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), expected[place])

    with serving(cartoons) as client, ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, expected))
        batches = re.search(r'stargan_batch_images_count{model="cartoons"} (\d+)', client.get("/metrics").text)
        assert batches
        assert int(batches[1]) < len(expected)  # some were gathered


def test_slow_and_lost_clients_hinder_nobody(cartoons: dict[str, stargan.Translator], drawings: list[bytes]) -> None:
    with serving(cartoons, Limits(queue=3, seconds=1.5)) as client:
        assert client.base_url.port
        slow, lost = (socket.create_connection(("127.0.0.1", client.base_url.port)) for _ in range(2))
        for one in (slow, lost):
            one.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            one.sendall(b"Content-Length: 9999\r\n\r\n{")
        time.sleep(0.2)
        assert "stargan_queue 2.0" in client.get("/metrics").text
        lost.close()
        assert form(client, "/v1/translate", drawings[0], target="Smiling").status_code == 200
        assert b" 408 " in slow.recv(1000)
        slow.close()
        for _ in range(100):
            if "stargan_queue 0.0" in client.get("/metrics").text:
                return
            time.sleep(0.05)
        raise AssertionError("places are not given back")


def test_clients_that_send_or_read_too_slowly_are_left(cartoons: dict[str, stargan.Translator]) -> None:
    with serving(cartoons, http=bounded(0.4, 0.4)) as client:
        place = ("127.0.0.1", client.base_url.port or 0)
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        early = b"POST /v1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"  # refused at once
        for first in (b"", whole, early):
            with socket.create_connection(place, timeout=10) as slow:
                slow.sendall(first)
                assert not first or slow.recv(9999)
                assert ends(lambda: slow.sendall(b"G")), first
        with socket.create_connection(place, timeout=10) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            bundle = b"GET /page/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
            assert ends(lambda: deaf.sendall(bundle))  # and reads nothing
        assert client.get("/healthz").status_code == 200
        time.sleep(0.5)
        assert client.get("/healthz").status_code == 200  # a client that only waits may go on


def ends(send: Callable[[], object]) -> bool:
    """Whether a connection ends within ten seconds, although the client goes on."""
    for _ in range(100):
        try:
            send()
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_a_full_server_answers_503(cartoons: dict[str, stargan.Translator], drawings: list[bytes]) -> None:
    with serving(cartoons, Limits(queue=1)) as client:
        assert client.base_url.port
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as slow:
            slow.sendall(b"POST /v1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            slow.sendall(b"Content-Length: 9\r\n\r\n{")
            time.sleep(0.2)
            answer = form(client, "/v1/translate", drawings[0], target="Smiling")
            assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "2")
            assert client.get("/healthz").status_code == 200


# ---------------------------------------------------------------- the command


@pytest.fixture
def command(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`stargan serve`, and its address."""
    arguments = [sys.executable, "-m", "stargan", "serve", "cartoons", "--port", "0", "--no-browser"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address, process.stderr and process.stderr.read()
            yield process, address[0]
        finally:
            process.kill()


def test_sigterm_finishes_what_has_begun(command: tuple[subprocess.Popen[str], str], drawings: list[bytes]) -> None:
    process, address = command
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client, ThreadPoolExecutor(1) as pool:
        large = io.BytesIO()
        Image.open(io.BytesIO(drawings[0])).resize((1500, 1200)).save(large, "JPEG")
        running = pool.submit(form, client, "/v1/translate", large.getvalue(), target="Blond_Hair")
        while "stargan_queue 1.0" not in httpx.get(f"{address}metrics", trust_env=False).text:
            assert not running.done()
        process.send_signal(signal.SIGTERM)
        assert running.result().status_code == 200
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.onnx"], "nothing.onnx: no such model file or run folder"),
        (["--port", "70000"], "--port 70000: must be from 0 to 65535"),
        (["--host", "300.1.1.1"], "300.1.1.1:0: cannot be used"),
        (["--megapixels", "0"], "--megapixels 0.0: must be above 0"),
        (["--api-key-file", "no-such-file"], "no-such-file: No such file or directory"),
    ],
)
def test_bad_options(arguments: list[str], message: str) -> None:
    done = in_process("serve", "--port", "0", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"stargan: {message}")
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = in_process("serve", "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"stargan: 127.0.0.1:{port}: cannot be used")


def test_a_missing_extra() -> None:
    program = "import sys; sys.modules['fastapi'] = None\nfrom stargan.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "stargan: fastapi is needed to serve the page: pip install 'stargan[serve]'\n",
    )
