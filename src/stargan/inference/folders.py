"""Translating files and whole folders: names, batches, progress. Nothing is overwritten unless told."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import images
from stargan.domains import Domains, requests
from stargan.domains.protocols import protocol
from stargan.domains.requests import Request
from stargan.errors import ImageError
from stargan.inference.translator import Translator
from stargan.progress import Progress

BATCH = 8  # pictures that are translated together
GRID = "all"  # what a picture's grid of all translations is called


@dataclass(frozen=True)
class Job:
    """One picture file and what its translations are called.

    Attributes:
        path: The picture.
        name: Where its translations go, relative to the output folder, without the target and the ending.
    """

    path: Path
    name: Path

    def output(self, out: Path, target: str) -> Path:
        """The file of one translation."""
        return out / self.name.parent / f"{self.name.name}.{target.replace('/', '-')}.png"


@dataclass
class Report:
    """What was done.

    Attributes:
        written: The files, in order.
        failed: One line for each picture that could not be read.
    """

    written: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def find(paths: Sequence[Path], out: Path | None = None) -> list[Job]:
    """The pictures that paths mean: files as they are, folders with all that is in them.

    Args:
        paths: Files and folders.
        out: Where translations go; what lies there, within one of the folders, is left out.

    Raises:
        ImageError: A path does not exist or a folder holds no picture.
    """
    found: list[tuple[Path, Path]] = []
    for path in paths:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in images.SUFFIXES and p.is_file()]
            if out is not None and path.resolve() in out.resolve().parents:
                inside = [p for p in inside if out.resolve() not in p.resolve().parents]
            if not inside:
                raise ImageError(f"{path}: no picture in this folder")
            found += [(p, p.relative_to(path)) for p in inside]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            raise ImageError(f"{path}: no such file or folder")
    stems = Counter(relative.with_suffix("") for _, relative in found)
    # a.jpg and a.png would both give a.<target>.png: then the ending stays in the name.
    jobs = [Job(p, r if stems[r.with_suffix("")] > 1 else r.with_suffix("")) for p, r in found]
    twice = [str(name) for name, count in Counter(job.name for job in jobs).items() if count > 1]
    if twice:
        raise ImageError(f"two of the pictures are called {twice[0]}; translate them into different folders")
    return jobs


@dataclass(frozen=True)
class Plan:
    """What is asked of every picture.

    Attributes:
        names: Every name that a translation can get, for its file.
        targets: From the (C,) values that a picture shows to the names and (L,) labels of its translations.
        grid: Whether each picture also gets a labelled grid of them, `all`.
    """

    names: tuple[str, ...]
    targets: Callable[[np.ndarray], list[tuple[str, np.ndarray]]]
    grid: bool = False


def plan(domains: Domains, words: Sequence[Sequence[str]] = (), protocol_name: str | None = None) -> Plan:
    """The plan for targets in words, for a protocol, or, where neither is given, for every domain of a picture.

    Raises:
        DomainError: A word is not understood, or the domains lack what the protocol asks for.
        ConfigError: There is no such protocol.
    """
    if words:
        named = {",".join(target): target for target in words}
        for target in named.values():
            requests.apply(domains, np.zeros(domains.num_classes), target)
        return Plan(tuple(named), lambda values: [(n, requests.target(domains, values, t)) for n, t in named.items()])
    if protocol_name is not None:
        asked = protocol(protocol_name, domains)
        return Plan(
            asked.tasks,
            lambda values: [(n, domains.labels(v[None], dataset)[0]) for n, v, dataset in asked.targets(values)],
            grid=True,
        )
    return Plan(requests.every_word(domains), lambda values: requests.every_target(domains, values), grid=True)


def translate(
    model: Translator,
    jobs: Sequence[Job],
    asked: Plan,
    out: Path,
    *,
    known: Request = (),
    overwrite: bool = False,
) -> Report:
    """Writes one PNG for each picture and target.

    Args:
        model: Translates.
        jobs: What `find` gave.
        asked: What is asked for.
        out: The folder; made if it is not there. Folders inside a folder are kept.
        known: What all pictures show, see `Translator.values`.
        overwrite: Whether files of these names may be replaced.

    Returns:
        What was written, and the pictures that were left out: unreadable ones, and those of which the plan asks
        nothing.

    Raises:
        ImageError: A file of such a name exists and `overwrite` is False; checked before any work.
    """
    if not overwrite:
        _refuse_existing(jobs, asked, out)
    report = Report()
    writers: list[Future[None]] = []
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        Progress("translate", len(jobs), "pictures") as progress,
    ):
        done = 0
        for chunk, pictures in _decoded(model, jobs, pool):
            read = [(job, p) for job, p in zip(chunk, pictures, strict=True) if isinstance(p, Image.Image)]
            report.failed += [str(p) for p in pictures if isinstance(p, ImageError)]
            for wait in writers:  # of the chunk before: bounds how many pictures are in memory
                wait.result()
            writers = []
            for path, picture in _translated(model, read, asked, out, known, report):
                report.written.append(path)
                writers.append(pool.submit(images.save, picture, path))
            done += len(chunk)
            progress.update(done)
        for wait in writers:
            wait.result()
    return report


def _decoded(
    model: Translator, jobs: Sequence[Job], pool: ThreadPoolExecutor
) -> Iterator[tuple[Sequence[Job], list[Image.Image | ImageError]]]:
    """Yields the jobs in chunks, the next chunk being read while the last one is computed."""

    def read(job: Job) -> Image.Image | ImageError:
        try:
            return images.read(job.path, model.image_size, model.info.crop)
        except ImageError as error:
            return error

    chunks = [jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH)]
    ahead = [pool.submit(read, job) for job in chunks[0]] if chunks else []
    for index, chunk in enumerate(chunks):
        now, ahead = ahead, []
        if index + 1 < len(chunks):
            ahead = [pool.submit(read, job) for job in chunks[index + 1]]
        yield chunk, [future.result() for future in now]


def _translated(
    model: Translator,
    read: Sequence[tuple[Job, Image.Image]],
    asked: Plan,
    out: Path,
    known: Request,
    report: Report,
) -> Iterator[tuple[Path, Image.Image]]:
    """Yields the files of one chunk."""
    if not read:
        return
    prepared = images.to_array([picture for _, picture in read])
    wanted = [asked.targets(values) for values in model.values(prepared, known)]
    rows = [row for row, targets in enumerate(wanted) for _ in targets]
    labels = [label for targets in wanted for _, label in targets]
    results: list[np.ndarray] = []
    for start in range(0, len(rows), BATCH):  # bounds the memory of a picture with many targets
        part = slice(start, start + BATCH)
        results.extend(images.to_pixels(model.generate(prepared[rows[part]], np.stack(labels[part]))))
    pixels = iter(results)
    for (job, picture), targets in zip(read, wanted, strict=True):
        if not targets:
            report.failed.append(f"{job.path}: does not show what this starts from; say what it shows with --from")
            continue
        made = [next(pixels) for _ in targets]
        if asked.grid:  # first, since it takes longest to write
            captions = ["source", *(name for name, _ in targets)]
            yield (
                job.output(out, GRID),
                images.grid(np.stack([np.asarray(picture), *made]), len(captions), titles=captions),
            )
        for (name, _), result in zip(targets, made, strict=True):
            yield job.output(out, name), Image.fromarray(result)


def _refuse_existing(jobs: Sequence[Job], asked: Plan, out: Path) -> None:
    for job in jobs:
        for name in (*asked.names, *([GRID] if asked.grid else [])):
            path = job.output(out, name)
            if path.exists():
                raise ImageError(f"{path}: exists; say --overwrite to replace it, or another --out")
