"""What training on a window of shards at a time costs: speed, disk and memory, against all data at once.

Drawn faces are written as shards, and the same small networks train on them: with all shards at once, and with windows;
with windows also on four times as many shards. Each training is a process of its own. Its time on the clock is that of
its steps, from the log, with the time that it waited for windows; preparing before the first step is listed apart. The
processor's time is that of the process and of those that it started. On a machine with other work, it says more. Before
that, the processor's time for preparing an image is measured.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from stargan import training
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import shard_writer, sources, window_process, windows
from stargan.data.cartoons.data_set import write
from stargan.model import run_folder

EVERY = 0.02  # seconds between two looks at the disk


def config(data: Path, size: int, steps: int, window: int | None) -> Config:
    """Small networks, so that reading is not hidden behind slow steps."""
    settings = replace(recipe("modern"), image_size=(size, size), width=8, blocks=2, d_layers=4, batch_size=16)
    settings = replace(settings, data=(str(data),), window=window, steps=steps, device="cpu", precision="fp32")
    return replace(settings, sample_every=2 * steps, checkpoint_every=2 * steps, log_every=max(1, steps // 10))


def train(settings: Config, run: Path, cache: Path, pipe: Connection) -> None:
    """Trains; sends its figures."""
    os.environ["STARGAN_CACHE"] = str(cache)
    peak, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(EVERY):
            peak[0] = max(peak[0], on_disk(cache))

    looking = threading.Thread(target=look)
    looking.start()
    began = time.monotonic()
    training.train(settings, run, say=lambda line: None)
    whole = time.monotonic() - began
    ended.set()
    looking.join()
    lines = [json.loads(line) for line in (run / run_folder.STATS).read_text().splitlines()]
    last = [line for line in lines if "seconds" in line][-1]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    pipe.send({
        "before": whole - last["seconds"],
        "seconds": last["seconds"],
        "waited": last.get("waited", 0.0),
        "processor": sum(one.ru_utime + one.ru_stime for one in used),
        "disk": peak[0],
        "memory": int(status["VmHWM"].split()[0]) * 1024,
    })  # fmt: skip


def prepare(settings: Config, cache: Path, pipe: Connection) -> None:
    """Prepares the second window; sends the processor time for an image."""
    found = windows.find(settings)
    windows.first(settings, found, cache)
    began = time.process_time()
    window_process.build(settings, found, 1, cache)
    taken = time.process_time() - began
    pipe.send({"each": taken / len(window_process.opened(cache, 1, settings).labels)})


def on_disk(folder: Path) -> int:
    """The bytes that the files below a folder take now; some may go meanwhile."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(place) / name).stat().st_blocks * 512
            except OSError:
                continue
    return size


def measured(work: Callable[..., None], *arguments: object) -> dict[str, float]:
    """What a process of its own sends."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(*arguments, other))
    child.start()
    other.close()
    found: dict[str, float] = pipe.recv()
    child.join()
    return found


def draw(folder: Path, count: int, shards: int, size: int) -> Path:
    """Draws faces, and writes them into shards."""
    write(folder / "faces", count, size=size)
    shard_writer.write(sources.find(folder / "faces"), folder / "shards", count // shards)
    return folder / "shards"


def preparing(count: int, sizes: list[int]) -> None:
    """Prints a table: processor time for preparing an image."""
    print(f"\na window of {count} drawn faces, PNG\n\n| size | processor ms for an image |\n|---|---|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            shards = draw(Path(place), 5 * count // 2, 10, size)
            found = measured(prepare, config(shards, size, 1, 4), Path(place) / "cache")
            print(f"| {size} | {1e3 * found['each']:.2f} |", flush=True)


def trainings(count: int, shards: int, window: int, size: int, epochs: float) -> None:
    """Prints a table: trainings with all shards at once, with windows, and with windows on four times as many."""
    steps = round(0.9 * epochs * count / 16)
    print(f"\n{count} drawn faces of {size} px in {shards} shards, {steps} steps of 16 images\n")
    print("| images | window | before, s | images/s | waited, s | processor s | peak disk, MB | peak memory, MB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        once, many = draw(folder, count, shards, size), folder / "many"
        many.mkdir()
        for copy in range(4):
            for shard in once.iterdir():
                (many / f"{shard.stem}{copy}.tar").symlink_to(shard)
        works = ((once, None, steps), (once, window, steps), (once, None, steps), (many, window, 2 * steps))
        for index, (data, at_once, length) in enumerate(works):
            own = folder / str(index)
            found = measured(train, config(data, size, length, at_once), own / "run", own / "cache")
            rate = 16 * length / found["seconds"]
            print(
                f"| {count * (4 if data == many else 1):,} | {at_once or 'all'} | {found['before']:.1f} | {rate:.0f} | "
                f"{found['waited']:.1f} | {found['processor']:.0f} | {found['disk'] / 1e6:.1f} | "
                f"{found['memory'] / 1e6:.0f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images and steps, to see that it runs")
    parser.add_argument("--images", type=int, default=4000, help="the number of images")
    parser.add_argument("--shards", type=int, default=40, help="the number of shards they are in")
    parser.add_argument("--window", type=int, default=4, help="shards in a window")
    parser.add_argument("--size", type=int, default=64, help="the width and height of images")
    parser.add_argument("--epochs", type=float, default=2, help="how often to use every image")
    parser.add_argument("--only", choices=("preparing", "training"), help="one of the two tables")
    options = parser.parse_args()
    if options.only != "training":
        preparing(*((20, [32]) if options.quick else (400, [64, 128, 256])))
    if options.only != "preparing":
        given = (options.images, options.shards, options.window, options.size, options.epochs)
        trainings(*((96, 6, 2, 32, 1) if options.quick else given))


if __name__ == "__main__":
    main()
