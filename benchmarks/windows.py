"""What training on a window of shards at a time costs: speed, disk and memory, against all data at once.

Drawn faces are written as shards, and the same small networks train on them: with all shards at once, and with windows;
with windows also on four times as many shards. Each training is a process of its own. Its time on the clock is that
of its steps, from the log, with the time that it waited for windows; preparing before the first step is listed apart.
The processor's time is that of the process and of those that it started. On a machine with other work, it says more.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from stargan import training
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import shard_writer, sources
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


def measured(settings: Config, folder: Path) -> dict[str, float]:
    """The figures of a training in a process of its own, with an empty cache."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        child = context.Process(target=train, args=(settings, Path(place) / "run", Path(place) / "cache", other))
        child.start()
        other.close()
        found: dict[str, float] = pipe.recv()
        child.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images and steps, to see that it runs")
    parser.add_argument("--images", type=int, default=4000, help="the number of images")
    parser.add_argument("--shards", type=int, default=20, help="the number of shards they are in")
    parser.add_argument("--window", type=int, default=4, help="shards in a window")
    parser.add_argument("--size", type=int, default=64, help="the width and height of images")
    parser.add_argument("--epochs", type=float, default=2, help="how often to use every image")
    options = parser.parse_args()
    if options.quick:
        options.images, options.shards, options.window, options.size, options.epochs = 96, 6, 2, 32, 1
    each, steps = options.images // options.shards, round(0.9 * options.epochs * options.images / 16)
    print(
        f"\n{options.images} drawn faces of {options.size} px in {options.shards} shards, {steps} steps of 16 images\n"
    )
    print("| data | window | before, s | images/s | waited, s | processor s | peak disk, MB | peak memory, MB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder / "faces", options.images, size=options.size)
        shard_writer.write(sources.find(folder / "faces"), folder / "shards", each)
        many = folder / "many"
        many.mkdir()
        for copy in range(4):
            for shard in (folder / "shards").iterdir():
                (many / f"{shard.stem}{copy}.tar").symlink_to(shard)
        for name, window, length in (
            ("shards", None, steps),
            ("shards", options.window, steps),
            ("shards", None, steps),
            ("many", options.window, 2 * steps),
        ):
            found = measured(config(folder / name, options.size, length, window), folder)
            what = f"{options.images * (4 if name == 'many' else 1):,} images"
            rate = 16 * length / found["seconds"]
            print(
                f"| {what} | {window or 'all'} | {found['before']:.1f} | {rate:.0f} | {found['waited']:.1f} | "
                f"{found['processor']:.0f} | {found['disk'] / 1e6:.0f} | {found['memory'] / 1e6:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
