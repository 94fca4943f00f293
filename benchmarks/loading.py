"""Does the loader feed the step? Pictures a second from files, from the cache and from the GPU, beside what is eaten.

Cold means that the system has forgotten the files: it is asked to before each turn. One epoch of the data set is drawn
each time, by as many threads as training has.
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

ONE_THREAD = 500  # pictures that a single thread decodes


def main() -> None:
    """Measures and prints."""
    parser = measure.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="as for stargan train")
    parser.add_argument("--size", type=int, default=128, help="of the pictures, in pixels")
    parser.add_argument("--batch", type=measure.at_least_one, default=16)
    parser.add_argument("--crop", type=int, default=None)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    measure.settle(options.device, options.threads)

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
    rates |= {"the step eats": eaten(shape, repeats)}
    eats = median(rates["the step eats"])
    rows = [
        {"from": name, "images/s": median(found), "times what is eaten": median(found) / eats}
        for name, found in rates.items()
    ]
    told = measure.machine()
    print(*(f"{name}: {value}" for name, value in told.items()), sep="\n")
    print(f"\n{len(source.files)} pictures of {source.name}, {options.size} px, batch {options.batch}\n")
    print(measure.table(rows))
    measure.keep(options.json, {**vars(shape), "images_per_second": rates}, told)


def forget(folder: Path) -> None:
    """Asks the system to drop what it remembers of the files in a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def build(source: Source, size: images.Size, crop: int | None, folder: Path) -> float:
    """Pictures a second into a new cache."""
    forget(source.root)
    began = time.perf_counter()
    cache.load(source, size, crop, folder=folder, max_bad=len(source.files))
    return len(source.files) / (time.perf_counter() - began)


def decode(source: Source, size: images.Size, crop: int | None) -> float:
    """Pictures a second of one thread."""
    forget(source.root)
    count = min(ONE_THREAD, len(source.files))
    began = time.perf_counter()
    for row in range(count):
        np.asarray(images.read(source.path(row), size, crop))
    return count / (time.perf_counter() - began)


def epoch(source: Source, shape: Shape, crop: int | None, folder: Path, *, cold: bool, engine: Any = None) -> float:
    """Pictures a second of one epoch of the training's own stream.

    Args:
        source: The data set.
        shape: Size and batch.
        crop: As it was cached.
        folder: Of its cache.
        cold: Whether the system shall have forgotten the cache.
        engine: Holds the pictures and makes tensors of the batches; none: they stay where they are.
    """
    if cold:
        forget(folder)
    pictures = cache.load(source, (shape.size, shape.size), crop, folder=folder, max_bad=len(source.files))
    domains = Domains((source.label_set,))
    on_device = engine.upload(pictures.pixels) if engine else None
    part = TrainingSet(pictures.pixels, domains.pad(source.labels, 0), source.rows("train"), on_device)
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


def eaten(shape: Shape, repeats: int) -> list[float]:
    """Pictures a second that an update of D, with its share of G's, uses up."""
    side = Ours(shape)
    for _ in range(WARM_UPS[shape.device]):
        side.group()
    return [UPDATES * shape.batch / side.group() for _ in range(repeats)]


if __name__ == "__main__":
    sys.exit(measure.command(main))
