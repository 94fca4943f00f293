"""Is loading fast enough for training? Images per second from files, from the cache and from the GPU.

Each row is compared with the images per second that an update uses. Cold means that the system is asked to drop the
files from its page cache before each measurement. Each measurement draws one epoch of the data set with as many threads
as in training.
"""

import itertools
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
from training import UPDATES, WARM_UPS, Ours, Shape, synchronise

from stargan import images
from stargan.config import Config
from stargan.data import cache, sources
from stargan.data.batches import Batches, TrainingSet
from stargan.data.sources import Source
from stargan.domains import Domains

ONE_THREAD = 500  # images that a single thread decodes


def main() -> None:
    """Measures and prints."""
    parser = measure.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="as for stargan train")
    parser.add_argument("--size", type=int, default=128, help="image size in pixels")
    parser.add_argument("--batch", type=measure.at_least_one, default=16)
    parser.add_argument("--crop", type=float, default=None)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    measure.use_device(options.device, options.threads)

    shape = Shape(size=options.size, batch=options.batch, device=options.device)
    source = sources.find(options.data)
    size = (options.size, options.size)
    repeats = options.repeats or 3
    rates: dict[str, list[float]] = {}
    cache.default_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.default_folder()) as place:
        folders = [Path(place) / str(turn) for turn in range(repeats)]
        rates["files, one thread"] = [decode(source, size, options.crop) for _ in folders]
        rates["files, all cores"] = [build(source, size, options.crop, folder) for folder in folders]
        draw = partial(epoch, source, shape, options.crop)
        rates["cache, cold"] = [draw(folder, cold=True) for folder in folders]
        rates["cache, warm"] = [draw(folders[0], cold=False) for _ in folders]
        if options.device == "cuda":
            engine = Ours(shape).engine
            rates["GPU"] = [draw(folders[0], cold=False, engine=engine) for _ in folders]
    rates |= {"used by updates": used(shape, repeats)}
    need = median(rates["used by updates"])
    rows = [
        {"from": name, "images/s": median(found), "times the need": median(found) / need}
        for name, found in rates.items()
    ]
    machine = measure.machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    print(f"\n{len(source.files)} images of {source.name}, {options.size} px, batch {options.batch}\n")
    print(measure.table(rows))
    measure.write_json(options.json, {**vars(shape), "images_per_second": rates}, machine)


def forget(folder: Path) -> None:
    """Asks the system to drop the files of a folder from its page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def build(source: Source, size: images.Size, crop: float | None, folder: Path) -> float:
    """Images per second when a new cache is built."""
    forget(source.root)
    began = time.perf_counter()
    cache.load(source, size, crop, folder=folder, max_bad=len(source.files))
    return len(source.files) / (time.perf_counter() - began)


def decode(source: Source, size: images.Size, crop: float | None) -> float:
    """Images per second that one thread decodes."""
    forget(source.root)
    count = min(ONE_THREAD, len(source.files))
    began = time.perf_counter()
    for row in range(count):
        np.asarray(images.read(source.path(row), size, crop))
    return count / (time.perf_counter() - began)


def epoch(source: Source, shape: Shape, crop: float | None, folder: Path, *, cold: bool, engine: Any = None) -> float:
    """Images per second of one epoch of the stream that training uses.

    Args:
        source: The data set.
        shape: Image and batch size.
        crop: The crop in the cache.
        folder: Folder of the cache.
        cold: Whether to drop the cache from the page cache first.
        engine: Uploads the images and makes tensors of the batches; None leaves them in memory.
    """
    if cold:
        forget(folder)
    decoded = cache.load(source, (shape.size, shape.size), crop, folder=folder, max_bad=len(source.files))
    domains = Domains((source.label_set,))
    uploaded = engine.upload(decoded.pixels) if engine else None
    part = TrainingSet(decoded.pixels, domains.pad(source.labels, 0), source.rows("train"), uploaded)
    stream = Batches([part], domains, batch_size=shape.batch, seed=0).stream(0, Config().workers)
    count = max(1, len(part.rows) // shape.batch)
    began = time.perf_counter()
    for batch in itertools.islice(stream, count):
        if engine:
            engine._images(batch.images)
    synchronise()
    took = time.perf_counter() - began
    stream.close()
    return count * shape.batch / took


def used(shape: Shape, repeats: int) -> list[float]:
    """Images per second that updates of D, each with its share of an update of G, use."""
    side = Ours(shape)
    for _ in range(WARM_UPS[shape.device]):
        side.group()
    return [UPDATES * shape.batch / side.group() for _ in range(repeats)]


if __name__ == "__main__":
    sys.exit(measure.command(main))
