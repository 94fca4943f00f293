"""Measures `stargan serve`: throughput and latency with 1, 8 and 32 clients, against the bare model in batches.

    python benchmarks/serving.py --short
    python benchmarks/serving.py --requests 10000 --minutes 10

The clients are processes of their own on this machine, so they take a part of its time. Each answer is compared with
what `model.translate` returns for the same image and request. The images are noise of the model's size, sent as PNG
files and answered as such, without a search for faces: what is measured is the server, not the face finder.
"""

import argparse
import io
import multiprocessing
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import measure
import numpy as np
from PIL import Image

import stargan
from stargan import images
from stargan.domains import requests
from stargan.errors import ConfigError
from stargan.inference.steps import steps
from stargan.inference.translator import Translator, max_batch

IMAGES = 16
CLIENTS = (1, 8, 32)
Task = tuple[bytes, str, bytes]
"""An image file, a request, and the pixels that `model.translate` gives."""


@dataclass(frozen=True)
class Result:
    """What one client saw."""

    seconds: list[float]
    wrong: int
    lost: int


def tasks(model: Translator) -> list[Task]:
    """Images, requests and their results."""
    rng = np.random.default_rng(0)
    width, height = model.image_size
    words = requests.every_word(model.domains)
    made = []
    for index in range(IMAGES):
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
        file = io.BytesIO()
        images.write(image, file, "PNG")
        word = words[index % len(words)]
        made.append((file.getvalue(), word, model.translate(image, [word], align=False).tobytes()))
    return made


def bare(model: Translator, work: Sequence[Task], seconds: float) -> float:
    """Images per second of the generator alone, in the batches that suit it."""
    prepared = model.prepare([content for content, _, _ in work])
    values = model.values(prepared)
    translations = [steps(model.domains, row, [word]) for row, (_, word, _) in zip(values, work, strict=True)]
    size = min(max_batch(model.image_size), len(work))
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        model.edit(prepared[:size], translations[:size])
        done += size
    return done / (time.perf_counter() - began)


def in_process(model: Translator, work: Sequence[Task], seconds: float) -> float:
    """Images per second of `model.translate`, from file to file, one after the other."""
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        content, word, _ = work[done % len(work)]
        images.write(model.translate(content, [word], align=False), io.BytesIO(), "PNG")
        done += 1
    return done / (time.perf_counter() - began)


def client(address: str, name: str, work: Sequence[Task], count: int, seed: int) -> Result:
    """Sends `count` requests, one after the other; a full queue is waited for."""
    rng, found, wrong, lost = random.Random(seed), list[float](), 0, 0
    with httpx.Client(base_url=address, timeout=120, trust_env=False) as session:
        for _ in range(count):
            content, word, expected = rng.choice(work)
            began = time.perf_counter()
            fields = {"target": word, "model": name, "align": "false"}
            answer = session.post("/v1/translate", files={"image": content}, data=fields)
            while answer.status_code == 503:
                time.sleep(float(answer.headers["Retry-After"]))
                answer = session.post("/v1/translate", files={"image": content}, data=fields)
            found.append(time.perf_counter() - began)
            lost += answer.status_code != 200
            if answer.status_code == 200:
                wrong += Image.open(io.BytesIO(answer.content)).convert("RGB").tobytes() != expected
    return Result(found, wrong, lost)


def load_test(address: str, name: str, work: Sequence[Task], clients: int, count: int) -> dict[str, float]:
    """Figures of several clients at a time."""
    each = max(1, count // clients)
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        pool.map(_nothing, range(clients))  # the processes have started
        began = time.perf_counter()
        results = pool.starmap(client, [(address, name, work, each, seed) for seed in range(clients)], chunksize=1)
        wall = time.perf_counter() - began
    seconds = np.concatenate([result.seconds for result in results])
    return {
        "clients": clients,
        "requests": len(seconds),
        "per second": len(seconds) / wall,
        **{f"p{share} ms": 1000 * float(np.percentile(seconds, share)) for share in (50, 95, 99)},
        "wrong": sum(result.wrong for result in results),
        "lost": sum(result.lost for result in results),
    }


def _nothing(_: int) -> None:
    time.sleep(0.05)


def resident(process: int) -> float:
    """Memory of a process in MiB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def kill_clients(port: int, count: int) -> None:
    """Clients that go away in the middle of a request."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port)) as lost:
            lost.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            lost.sendall(b"Content-Length: 1000\r\n\r\n{")


def main() -> None:
    """Runs the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument("--model", default="celeba", help="a model file, or the name of a shipped model")
    parser.add_argument("--requests", type=measure.at_least_one, default=2000, help="for each number of clients")
    parser.add_argument("--minutes", type=float, default=0.0, help="also watch the memory for so long, with 8 clients")
    parser.add_argument("--short", action="store_true", help="a few requests only, to try the benchmark")
    parser.add_argument("--clients", type=measure.at_least_one, nargs="+", default=list(CLIENTS))
    options = parser.parse_args()
    count, seconds = (64, 1.0) if options.short else (options.requests, 5.0)
    model = stargan.load(options.model)
    work = tasks(model)
    speeds = {"generator alone": bare(model, work, seconds), "model.translate": in_process(model, work, seconds)}
    for what, speed in speeds.items():
        print(f"{what}: {speed:.1f} images per second")
    arguments = [sys.executable, "-m", "stargan", "serve", options.model, "--port", "0", "--no-browser"]
    with tempfile.TemporaryFile() as errors, subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as server:  # fmt: skip
        try:
            assert server.stdout
            line = server.stdout.readline()
            if not line:
                raise ConfigError("the server did not start")
            name, _, address = line.removeprefix("stargan: ").partition(" at ")
            rows = measure_server(address.split()[0], name, work, options, count, server.pid)
        finally:
            server.terminate()
    if options.json:
        measure.write_json(options.json, {"bare": speeds, "served": rows}, measure.machine())


def measure_server(
    address: str, name: str, work: Sequence[Task], options: argparse.Namespace, count: int, process: int
) -> list[dict[str, float]]:
    """Prints and returns the figures of a running server."""
    rows = []
    for clients in options.clients:
        rows.append(load_test(address, name, work, clients, count))
        print(", ".join(f"{key} {value:.4g}" for key, value in rows[-1].items()), flush=True)
    kill_clients(httpx.URL(address).port or 80, 20)
    rows.append(load_test(address, name, work, 1, 16))
    print(f"after 20 lost clients: {rows[-1]['lost']:.0f} lost, {rows[-1]['wrong']:.0f} wrong")
    before, end = resident(process), time.monotonic() + 60 * options.minutes
    while time.monotonic() < end:
        load_test(address, name, work, 8, 1000)
        print(f"memory {resident(process):.0f} MiB, at first {before:.0f}", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(measure.command(main))
