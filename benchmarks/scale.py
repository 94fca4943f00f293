"""Costs of scale: several processes against one, translating shards against the bare model, and efficiency on paper.

Processor time is measured, not time on the clock, so that other work on the machine matters less. `--clock` measures
time on the clock of one process and of two, each on a core of its own, which needs two idle cores. Gloo connects the
processes, as on CPUs in training.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import stargan
from stargan import engine as engines
from stargan import images
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data.batches import Batches, TrainingSet
from stargan.data.cartoons.data_set import write
from stargan.domains import Domains, Group, LabelSet
from stargan.inference import bulk, jobs
from stargan.inference.bulk import on_ray
from stargan.inference.bulk.images import CHUNK
from stargan.progress import Progress, reported_to

DOMAINS = Domains((LabelSet("faces", tuple(Group((name,)) for name in ("Male", "Young", "Smiling"))),))
TARGETS = {"cartoons": ("Wearing_Hat",), "celeba": ("Blond_Hair",)}
STEPS, WARM_UPS = 10, 5  # one in `n_critic` steps is an update of G as well


# ---------------------------------------------------------------- processes


def train(config: Config, rank: int, world_size: int, port: int, out: Connection, pinned: bool) -> None:
    """Trains in one of some processes; sends its processor time for a step, and times on the clock.

    The latter are for each update of G with those of D before it.
    """
    if pinned:
        os.sched_setaffinity(0, {rank})
    place = {"RANK": rank, "WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    rng = np.random.default_rng(0)
    width, height = config.image_size
    pixels = rng.integers(0, 256, (100, height, width, 3), np.uint8)
    sets = [TrainingSet(pixels, DOMAINS.random_values(rng, 100), np.arange(100))]
    own = slice(rank, None, world_size)
    with engines.together(config) as processes:
        batches = Batches(sets, DOMAINS, batch_size=config.batch_size, seed=0, targets=config.targets, own=own)
        engine = engines.create(config, DOMAINS)
        began, times = 0.0, [time.perf_counter()]
        for step in range(WARM_UPS + STEPS):
            if step == WARM_UPS:
                began = time.process_time()
            if step >= WARM_UPS and step % config.n_critic == 0:
                times.append(time.perf_counter())
            batch = batches.batch(step)
            engine.d_step(batch.images, batch.labels, batch.targets, 0, step=step, lr=config.lr)
            if (step + 1) % config.n_critic == 0:
                engine.g_step(batch.images, batch.labels, batch.targets, 0, step=step, lr=config.lr)
            processes.largest(0.0)
        out.send(((time.process_time() - began) / STEPS, np.diff(times[1:]) / config.n_critic))


def measure(config: Config, world_size: int, *, pinned: bool = False) -> tuple[float, list[float]]:
    """Processor seconds of all processes together for one step, and seconds on the clock for some steps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(world_size)]
    children = [
        context.Process(target=train, args=(config, rank, world_size, port, pipe, pinned))
        for rank, (_, pipe) in enumerate(pipes)
    ]
    for child in children:
        child.start()
    seconds, times = zip(*(pipe.recv() for pipe, _ in pipes), strict=True)
    for child in children:
        child.join()
    return sum(seconds), list(times[0])


def settings(size: int, width: int, batch: int) -> Config:
    """Those of the recipe `modern` with other sizes."""
    layers = min(6, size.bit_length() - 2)
    config = replace(recipe("modern"), image_size=(size, size), width=width, d_layers=layers, batch_size=batch)
    return replace(config, precision="fp32", device="cpu")


def clock(size: int, width: int, batch: int, rounds: int) -> None:
    """Prints a table: time on the clock of one process on one core, and of two on two; they take turns (A B B A)."""
    config, found = settings(size, width, batch), dict[int, list[float]]({1: [], 2: []})
    for turn in range(rounds):
        for count in (1, 2) if turn % 2 == 0 else (2, 1):
            found[count] += measure(config, count, pinned=True)[1]
    print(f"\n{size} px, width {width}, batch {batch}, recipe modern, fp32, load {os.getloadavg()[0]:.1f}\n")
    print("| processes | seconds for a step | from | to | speed | of ideal |\n|---|---|---|---|---|---|")
    medians = {count: float(np.median(each)) for count, each in found.items()}
    for count, each in found.items():
        speed = medians[1] / medians[count]
        cells = f"{medians[count]:.3f} | {min(each):.3f} | {max(each):.3f} | {speed:.2f} | {speed / count:.0%}"
        print(f"| {count} | {cells} |")


def processes(size: int, width: int, batch: int, counts: list[int]) -> None:
    """Prints a table: processor time of the same batch in several processes."""
    config = settings(size, width, batch)
    print(f"\n{size} px, width {width}, batch {batch}, recipe modern, fp32\n")
    print("| processes | processor seconds for a step | of one process |\n|---|---|---|")
    one = 0.0
    for count in counts:
        seconds, _ = measure(config, count)
        one = one or seconds
        print(f"| {count} | {seconds:.3f} | {one / seconds:.0%} |", flush=True)


# ---------------------------------------------------------------- on paper


def on_paper(gflops: float, intra: float, inter: float, each: int) -> None:
    """Prints the share of ideal speed: all time beside computing is that of exchanging gradients, as a ring does.

    Args:
        gflops: What a GPU computes, in TFLOP/s.
        intra: GB/s of each GPU within a machine.
        inter: GB/s of each GPU between machines.
        each: Images for each GPU.
    """
    config = replace(recipe("official"), image_size=(128, 128), batch_size=each)
    engine = engines.create(replace(config, device="cpu"), DOMAINS)
    macs, sizes = engine.macs(), {name: 4 * count for name, count in engine.num_parameters.items()}
    g, d = macs["generator"], macs["discriminator"]
    # An update of D: G forward; D forward and backward on real and translated images, and twice that for the penalty.
    # One of G: twice forward and backward through G, through D once. Backward costs twice as much as forward.
    d_flops = 2 * each * (g + 2 * 3 * d + 2 * 3 * d)
    g_flops = 2 * each * (2 * 3 * g + 3 * d)
    n = config.n_critic
    compute = (n * d_flops + g_flops) / (gflops * 1e12)
    exchanged = n * sizes["discriminator"] + sizes["generator"] + sizes["classifier"]
    print(f"\n128 px, recipe official, {each} images for each GPU, {gflops:g} TFLOP/s; {n} updates of D and one of G:")
    print(f"{compute * 1e3:.1f} ms of computing, {exchanged / 1e6:.0f} MB exchanged\n")
    print("| GPUs | exchange, ms | share of ideal speed |\n|---|---|---|")
    for count in (8, 64, 512):
        rate = intra if count <= 8 else inter
        seconds = 2 * (count - 1) / count * exchanged / (rate * 1e9)
        print(f"| {count} | {seconds * 1e3:.1f} | {compute / (compute + seconds):.0%} |")


# ---------------------------------------------------------------- translating


def usage(process: int) -> tuple[float, float]:
    """Processor seconds of a process and of all that it has started; the peak memory of what translates, in MiB.

    That is an actor of Ray, or else the process itself. (The peak of `getrusage` includes the process's parent.)
    """
    ticks, parents, peaks = {}, {}, {process: 0.0}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            number = int(folder.name)
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[number], ticks[number] = int(fields[1]), sum(map(int, fields[11:15]))
            if number == process or b"MapWorker" in (folder / "cmdline").read_bytes():
                lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
                peaks[number] = int(lines["VmHWM"].split()[0]) / 2**10
    own = {process}
    while more := {number for number, parent in parents.items() if parent in own} - own:
        own |= more
    workers = [peak for number, peak in peaks.items() if number in own and number != process]
    return sum(ticks.get(number, 0) for number in own) / os.sysconf("SC_CLK_TCK"), max(workers or [peaks[process]])


def translated(name: str, shards: list[str], out: str, ray: bool, pipe: Connection) -> None:
    """Translates shards; sends the processor time so far and the peak of memory, after each fifth of them."""
    model = stargan.load(name, threads=1)
    request = bulk.Request((TARGETS[name],), align=False)
    marks: list[tuple[float, float]] = []

    def look(progress: Progress) -> None:
        if progress.state == "running" and progress.done * 5 // progress.total > len(marks):
            marks.append(usage(os.getpid()))

    before, _ = usage(os.getpid())
    run = on_ray.cluster(Path(name), "onnxruntime", out, request) if ray else None
    with reported_to(look):
        bulk.translate(model, shards, Path(out), request, run=run)
    pipe.send([(seconds - before, peak) for seconds, peak in marks])


def bare(name: str, count: int, pipe: Connection) -> None:
    """Translates arrays with the same model, in batches of the same size; sends the same."""
    model = stargan.load(name, threads=1)
    arrays = np.random.default_rng(0).uniform(-1, 1, (CHUNK, 3, *model.image_size)).astype(np.float32)
    plan = jobs.plan(model.domains, (TARGETS[name],))
    began = time.process_time()
    for _ in range(count // CHUNK):
        values = model.values(arrays)
        model.edit(arrays, [plan.targets(each)[TARGETS[name][0]] for each in values])
    pipe.send([(time.process_time() - began, usage(os.getpid())[1])])


def measured(work: Callable[..., None], *arguments: object) -> list[tuple[float, float]]:
    """What a process of its own sends."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(*arguments, other))
    child.start()
    found: list[tuple[float, float]] = pipe.recv()
    child.join()
    return found


def draw(folder: Path, count: int, shards: int, size: tuple[int, int], ending: str) -> list[str]:
    """Draws images of (width, height), and writes them into each of some shards."""
    if not folder.exists():
        write(folder, count, size=max(size))
    contents = []
    for file in sorted(folder.rglob("*.png"))[:count]:
        stream = io.BytesIO()
        with Image.open(file) as image:
            images.write(images.fit(image.convert("RGB"), size), stream, images.kind(Path(f"0.{ending}")))
        contents.append(stream.getvalue())
    names = [str(folder / ending / f"{number:06}.tar") for number in range(shards)]
    (folder / ending).mkdir()
    for name in names:
        with tarfile.open(name, "w") as archive:
            for index, content in enumerate(contents):
                member = tarfile.TarInfo(f"{index:06}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return names


def translating(name: str, count: int, each: int, size: tuple[int, int], *, ray: bool = False) -> None:
    """Prints a table: processor time for each image, with the start and without it, and memory at the fifths of a job.

    Args:
        name: The model.
        count: The number of images.
        each: The number of images in a shard.
        size: The width and height of the images.
        ray: Whether to translate them on Ray as well.
    """
    print(f"\nmodel {name}, {count} images of {size[0]}x{size[1]} px, {each} in a shard\n")
    print("| | processor ms for an image | after the first fifth | peak MiB of a worker, after each fifth |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        drawn = {ending: draw(Path(folder, "faces"), each, count // each, size, ending) for ending in ("png", "jpg")}
        works: dict[str, tuple[Any, ...]] = {"bare model": (bare, name, min(count, 1000))}
        for ending, shards in drawn.items():
            works[f"{ending} in shards"] = (translated, name, shards, f"{folder}/out-{ending}", False)
            if ray and ending == "png":
                works[f"{ending} in shards, on Ray"] = (translated, name, shards, f"{folder}/ray-{ending}", True)
        works["bare model again"] = works["bare model"]
        found = {}
        for what, (work, *arguments) in works.items():
            marks = measured(work, *arguments)
            done = arguments[1] if work is bare else count
            peaks = ", ".join(f"{peak:.0f}" for _, peak in marks)
            found[what] = marks[-1][0] / done
            later = f"{(marks[-1][0] - marks[0][0]) / (0.8 * count) * 1e3:.2f}" if len(marks) > 1 else ""
            print(f"| {what} | {found[what] * 1e3:.2f} | {later} | {peaks} |", flush=True)
    alone = (found["bare model"] + found["bare model again"]) / 2
    more = [f"{what} {seconds / alone - 1:.0%}" for what, seconds in found.items() if "shards" in what]
    print(f"\nmore than the bare model: {', '.join(more)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small networks and few images, to see that it runs")
    parts = ("training", "translating", "cartoons", "celeba", "photos")
    parser.add_argument("--only", choices=parts, help="one of the two halves, or a part of the second")
    parser.add_argument(
        "--images", type=int, help="how many images; by default 20,000, with celeba 2,000, and 200 large ones"
    )
    parser.add_argument("--ray", action="store_true", help="translate on Ray as well")
    parser.add_argument("--clock", action="store_true", help="only the time on the clock, on cores 0 and 1")
    options = parser.parse_args()
    if options.clock:
        clock(*((16, 4, 4, 1) if options.quick else (64, 32, 8, 2)))
        return
    only = options.only
    if only in (None, "training"):
        processes(*((16, 4, 4, [1, 2]) if options.quick else (64, 32, 8, [1, 2, 4])))
        on_paper(100, 200, 25, 16)
    small, medium, large = (100, 100, 10) if options.quick else [options.images or n for n in (20_000, 2000, 200)]
    if only in (None, "translating", "cartoons"):
        translating("cartoons", small, max(10, small // 40), (64, 64), ray=options.ray)
    if only in (None, "translating", "celeba"):
        translating("celeba", medium, max(10, medium // 20), (128, 128))
    if only in (None, "translating", "photos"):
        for name, size in (("cartoons", (256, 256)), ("celeba", (178, 218)), ("celeba", (512, 512))):
            translating(name, large, 10, size)


if __name__ == "__main__":
    main()
