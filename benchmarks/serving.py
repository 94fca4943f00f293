"""Measures `stargan serve`: throughput and latency with 1, 8 and 32 clients, against the bare model in batches.

The bare model is its generator and its attribute classifier, on images that are decoded and of the right size. The
generator alone is measured too.

    python benchmarks/serving.py --short
    python benchmarks/serving.py --requests 10000 --minutes 10

The clients are processes of their own on this machine, so they take a part of its time. Therefore the speed is also
stated for each second that the server itself computes; that of the bare model is the same figure for this process. Each
answer is compared with what `model.translate` returns for the same image and request. The images are drawn faces of the
model's size, sent as PNG files and answered as such, without a search for faces: what is measured is the server, not
the face finder.
"""

import argparse
import io
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import measure
import numpy as np
from PIL import Image

import stargan
from stargan import images
from stargan.data import cartoons
from stargan.domains import requests
from stargan.errors import ConfigError
from stargan.inference.steps import steps
from stargan.inference.translator import Translator, max_batch

IMAGES = 16
CLIENTS = (1, 8, 32)
PROCESSES = 4  # of the clients; more take too much of a small machine
QUEUE = 4  # of the server that is too small for its clients
Task = tuple[bytes, str, bytes]
"""An image file, a request, and the pixels that `model.translate` gives."""


@dataclass(frozen=True)
class Result:
    """What one client saw."""

    seconds: list[float]
    wrong: int
    lost: int
    refused: int


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    model: str
    process: int

    @property
    def port(self) -> int:
        return httpx.URL(self.address).port or 80


def tasks(model: Translator) -> list[Task]:
    """Images, requests and their results."""
    words = requests.every_word(model.domains)
    made = []
    for index in range(IMAGES):
        image = images.fit(cartoons.draw(*cartoons.sample(0, index), max(model.image_size)), model.image_size)
        file = io.BytesIO()
        images.write(image, file, "PNG")
        word = words[index % len(words)]
        made.append((file.getvalue(), word, model.translate(image, [word], align=False).tobytes()))
    return made


def bare(model: Translator, work: Sequence[Task], seconds: float, classify: bool) -> dict[str, float]:
    """Images per second of the generator in the batches that suit it, alone or after the attribute classifier."""
    prepared = model.prepare([content for content, _, _ in work])
    values = model.values(prepared)
    translations = [steps(model.domains, row, [word]) for row, (_, word, _) in zip(values, work, strict=True)]
    size = min(max_batch(model.image_size), len(work))

    def batch() -> int:
        if classify:
            model.values(prepared[:size])
        model.edit(prepared[:size], translations[:size])
        return size

    return _speed(batch, seconds)


def in_process(model: Translator, work: Sequence[Task], seconds: float) -> dict[str, float]:
    """Images per second of `model.translate`, from file to file, one after the other."""
    rows = iter(range(10**9))

    def one() -> int:
        content, word, _ = work[next(rows) % len(work)]
        images.write(model.translate(content, [word], align=False), io.BytesIO(), "PNG")
        return 1

    return _speed(one, seconds)


def _speed(work: Callable[[], int], seconds: float) -> dict[str, float]:
    work()
    done, began, computed = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        done += work()
    wall, own = time.perf_counter() - began, time.process_time() - computed
    return {"per second": done / wall, "per CPU second": done / own}


def client(server: Server, work: Sequence[Task], count: int, seed: int, wait: bool = True) -> Result:
    """Sends `count` requests, one after the other; a full queue is waited for, unless `wait` is false."""
    rng, found, wrong, lost, refused = random.Random(seed), list[float](), 0, 0, 0
    with httpx.Client(base_url=server.address, timeout=120, trust_env=False) as session:
        for _ in range(count):
            content, word, expected = rng.choice(work)
            began = time.perf_counter()
            fields = {"target": word, "model": server.model, "align": "false"}
            answer = session.post("/v1/translate", files={"image": content}, data=fields)
            while answer.status_code == 503 and wait:
                time.sleep(float(answer.headers["Retry-After"]))
                answer = session.post("/v1/translate", files={"image": content}, data=fields)
            found.append(time.perf_counter() - began)
            busy = answer.status_code == 503 and float(answer.headers["Retry-After"]) > 0
            refused += busy
            lost += answer.status_code != 200 and not busy
            if answer.status_code == 200:
                wrong += Image.open(io.BytesIO(answer.content)).convert("RGB").tobytes() != expected
    return Result(found, wrong, lost, refused)


def several(server: Server, work: Sequence[Task], seeds: Sequence[int], count: int, wait: bool) -> list[Result]:
    """Several clients in threads of one process."""
    with ThreadPoolExecutor(len(seeds)) as pool:
        return list(pool.map(lambda seed: client(server, work, count, seed, wait), seeds))


def load_test(server: Server, work: Sequence[Task], clients: int, count: int, wait: bool = True) -> dict[str, float]:
    """Figures of several clients at a time."""
    each = max(1, count // clients)
    parts = [seeds.tolist() for seeds in np.array_split(np.arange(clients), min(clients, PROCESSES))]
    with multiprocessing.get_context("spawn").Pool(len(parts)) as pool:
        pool.map(_nothing, range(len(parts)), chunksize=1)  # the processes have started
        began, computed = time.perf_counter(), cpu_seconds(server.process)
        arguments = [(server, work, seeds, each, wait) for seeds in parts]
        results = [one for part in pool.starmap(several, arguments, chunksize=1) for one in part]
        wall, own = time.perf_counter() - began, cpu_seconds(server.process) - computed
    seconds = np.concatenate([result.seconds for result in results])
    return {
        "clients": clients,
        "requests": len(seconds),
        "per second": len(seconds) / wall,
        "per CPU second": len(seconds) / own,
        **{f"p{share} ms": 1000 * float(np.percentile(seconds, share)) for share in (50, 95, 99)},
        "wrong": sum(result.wrong for result in results),
        "lost": sum(result.lost for result in results),
        "refused": sum(result.refused for result in results),
    }


def _nothing(_: int) -> None:
    time.sleep(0.05)


def resident(process: int) -> float:
    """Memory of a process in MiB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(process: int) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------- clients that behave badly


def lost_clients(server: Server, work: Sequence[Task]) -> None:
    """Clients that go away in the middle of a request."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as lost:
            lost.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            lost.sendall(b"Content-Length: 1000\r\n\r\n{")
    row = load_test(server, work, 1, 64)
    print(f"after 20 lost clients: {_told(row)}", flush=True)


def slow_clients(server: Server, work: Sequence[Task]) -> None:
    """Clients that send a byte now and then, beside eight that go on."""
    over = threading.Event()

    def drip() -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            slow.sendall(b"Content-Length: 100000\r\n\r\n")
            while not over.wait(0.5):
                slow.sendall(b" ")

    with ThreadPoolExecutor(20) as pool:
        dripping = [pool.submit(drip) for _ in range(20)]
        row = load_test(server, work, 8, 64)
        over.set()
        for one in dripping:
            one.result()
    print(f"beside 20 slow clients: {_told(row)}", flush=True)


def full_queue(model: str, work: Sequence[Task]) -> None:
    """A server that takes fewer requests than come."""
    with serving(model, "--queue", str(QUEUE)) as server:
        row = load_test(server, work, 32, 640, wait=False)
    print(f"a queue of {QUEUE} for 32 clients: {_told(row)}, {row['refused']:.0f} told to come back", flush=True)


def _told(row: dict[str, float]) -> str:
    return (
        f"{row['requests']:.0f} requests, {row['lost']:.0f} lost, {row['wrong']:.0f} wrong, p95 {row['p95 ms']:.0f} ms"
    )


def watch_memory(server: Server, work: Sequence[Task], minutes: float) -> None:
    """Prints the memory of the server while eight clients keep it busy."""
    load_test(server, work, 8, 500)
    began, sizes = time.monotonic(), [resident(server.process)]
    while time.monotonic() - began < 60 * minutes:
        load_test(server, work, 8, 500)
        sizes.append(resident(server.process))
    parts = [f"{np.mean(part):.0f}" for part in np.array_split(sizes, min(5, len(sizes)))]
    print(
        f"memory over {minutes:g} minutes: {', '.join(parts)} MiB in each fifth, {500 * len(sizes)} requests",
        flush=True,
    )


# ---------------------------------------------------------------- the run


@contextmanager
def serving(model: str, *options: str) -> Iterator[Server]:
    """Runs `stargan serve`."""
    arguments = [sys.executable, "-m", "stargan", "serve", model, "--port", "0", "--no-browser", *options]
    with tempfile.TemporaryFile() as errors, subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                raise ConfigError("the server did not start")
            name, _, address = line.removeprefix("stargan: ").partition(" at ")
            yield Server(address.split()[0], name, process.pid)
        finally:
            process.terminate()


def main() -> None:
    """Runs the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument("--model", default="celeba", help="a model file, or the name of a shipped model")
    parser.add_argument("--requests", type=measure.at_least_one, default=2000, help="for each number of clients")
    parser.add_argument("--minutes", type=float, default=0.0, help="also watch the memory for so long, with 8 clients")
    parser.add_argument("--short", action="store_true", help="a few requests only, to try the benchmark")
    parser.add_argument("--clients", type=measure.at_least_one, nargs="+", default=list(CLIENTS))
    options = parser.parse_args()
    seconds = 1.0 if options.short else 5.0
    model = stargan.load(options.model, spin=False)  # as the server does
    work = tasks(model)
    speeds = {
        "generator alone": bare(model, work, seconds, False),
        "generator and classifier": bare(model, work, seconds, True),
        "model.translate": in_process(model, work, seconds),
    }
    for what, speed in speeds.items():
        print(f"{what}: {_figures(speed)}", flush=True)
    with serving(options.model) as server:
        rows = measure_server(server, work, options, speeds)
    full_queue(options.model, work)
    if options.json:
        measure.write_json(options.json, {"bare": speeds, "served": rows}, measure.machine())


def measure_server(
    server: Server, work: Sequence[Task], options: argparse.Namespace, speeds: dict[str, dict[str, float]]
) -> list[dict[str, float]]:
    """Prints and returns the figures of a running server; `speeds` are those without it."""
    rows = []
    for clients in options.clients:
        rows.append(load_test(server, work, clients, 64 if options.short else options.requests))
        print(_figures(rows[-1]), flush=True)
        shares = {what: rows[-1]["per CPU second"] / speed["per CPU second"] for what, speed in speeds.items()}
        print(f"  for each second of computing, relative to {_figures(shares)}", flush=True)
    lost_clients(server, work)
    slow_clients(server, work)
    if options.minutes:
        watch_memory(server, work, options.minutes)
    return rows


def _figures(row: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in row.items())


if __name__ == "__main__":
    sys.exit(measure.command(main))
