"""Translating image files and whole folders of them."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import images
from stargan.data import image_files
from stargan.domains import Domains, requests
from stargan.domains.protocols import protocol
from stargan.domains.requests import Request
from stargan.errors import ImageError
from stargan.inference.translator import Translator
from stargan.progress import Progress

CHUNK = 8  # images that are read, translated and written at a time
MAX_NAME = 240  # bytes of a file name; file systems allow 255, some of which endings take
GRID = "all"  # names the file with the grid of an image's translations


@dataclass(frozen=True)
class Job:
    """One image file and the names of its translations.

    Attributes:
        path: The image.
        name: Its translations' path in the output folder, without the target and the ending.
    """

    path: Path
    name: Path

    def output(self, out: Path, target: str) -> Path:
        """The file of one translation."""
        name = f"{self.name.name}.{target.replace('/', '-')}"
        return out / self.name.parent / f"{_fitting(name)}.png"


def _fitting(name: str) -> str:
    """A name that leaves room for an ending; of a longer one, the beginning and the end with a digest between them."""
    encoded = os.fsencode(name)
    if len(encoded) <= MAX_NAME:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    half = (MAX_NAME - len(digest) - 2) // 2
    start, end = (part.decode(errors="ignore").encode() for part in (encoded[:half], encoded[-half:]))
    return os.fsdecode(start + f"~{digest}~".encode() + end)


@dataclass
class Report:
    """The result of translating files.

    Attributes:
        written: The files, in order.
        failed: One line for each image that could not be translated.
    """

    written: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """The translations to make of every image.

    Attributes:
        names: Every name that a translation may get in its file name.
        targets: From an image's (C,) values to the names and (L,) labels of its translations.
        grid: Whether each image also gets a labelled grid of its translations.
    """

    names: tuple[str, ...]
    targets: Callable[[np.ndarray], list[tuple[str, np.ndarray]]]
    grid: bool = False


def find(
    paths: Sequence[Path], out: Path | None = None, *, say: Callable[[str], None] = lambda line: None
) -> list[Job]:
    """Finds the images to translate: files as they are, folders with everything inside.

    Args:
        paths: Files and folders.
        out: The output folder; where it lies inside one of the folders, its images are left out.
        say: Receives a line about the files in a folder that are no images.

    Raises:
        ImageError: A path does not exist, a folder has no image in it, or two images would get the same name.
    """
    found: list[tuple[Path, Path]] = []
    for path in paths:
        if path.is_dir():
            found += [(file, file.relative_to(path)) for file in _images_in(path, out, say)]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            raise ImageError(f"{path}: no such file or folder")
    stems = Counter(relative.with_suffix("") for _, relative in found)
    # a.jpg and a.png would both give a.<target>.png, so they keep their endings.
    jobs = [Job(p, r if stems[r.with_suffix("")] > 1 else r.with_suffix("")) for p, r in found]
    twice = [str(name) for name, count in Counter(job.name for job in jobs).items() if count > 1]
    if twice:
        raise ImageError(f"two of the images are called {twice[0]}; translate them into different folders")
    return jobs


def _images_in(folder: Path, out: Path | None, say: Callable[[str], None]) -> list[Path]:
    searched = image_files.find(folder)
    for note in searched.notes():
        say(f"{folder}: {note}")
    found = [folder / name for name in searched.files]
    if out is not None and folder.resolve() in out.resolve().parents:
        found = [p for p in found if out.resolve() not in p.resolve().parents]
    if not found:
        raise ImageError(f"{folder}: no image in this folder")
    return found


def plan(domains: Domains, targets: Sequence[Sequence[str]] = (), protocol_name: str | None = None) -> Plan:
    """Plans the translations: to `targets`, to those of a protocol, or, without either, to every domain.

    Raises:
        DomainError: A target is not understood, or the domains lack one that the protocol needs.
        ConfigError: There is no such protocol.
    """
    if targets:
        named = {",".join(words): words for words in targets}
        for words in named.values():
            requests.apply(domains, np.zeros(domains.num_classes), words)
        return Plan(tuple(named), lambda values: [(n, requests.target(domains, values, w)) for n, w in named.items()])
    if protocol_name is not None:
        tasks = protocol(protocol_name, domains)
        return Plan(
            tasks.tasks,
            lambda values: [(n, domains.labels(v[None], dataset)[0]) for n, v, dataset in tasks.targets(values)],
            grid=True,
        )
    return Plan(requests.every_word(domains), lambda values: requests.every_target(domains, values), grid=True)


def check(
    model: Translator, jobs: Sequence[Job], plan: Plan, out: Path, *, known: Request = (), overwrite: bool = False
) -> None:
    """Checks the arguments of `translate` before any work.

    Raises:
        DomainError: A label of `known` is not understood.
        ImageError: A file exists and `overwrite` is False.
    """
    if known:
        requests.parse(model.domains, known)
    if overwrite:
        return
    for job in jobs:
        for name in (*plan.names, *([GRID] if plan.grid else [])):
            path = job.output(out, name)
            if path.exists():
                raise ImageError(f"{path}: exists; say --overwrite to replace it, or another --out")


def translate(
    model: Translator,
    jobs: Sequence[Job],
    plan: Plan,
    out: Path,
    *,
    known: Request = (),
    overwrite: bool = False,
) -> Report:
    """Writes one PNG for each image and target.

    Args:
        model: Translates.
        jobs: The images, from `find`.
        plan: The translations to make of each.
        out: The output folder; it is made, and folders inside an input folder are made in it.
        known: Labels of all images, see `Translator.values`.
        overwrite: Whether to replace existing files.

    Returns:
        The files written, and the images left out: those that cannot be read, and those for which the plan has no
        target.

    Raises:
        StarganError: As `check`.
    """
    check(model, jobs, plan, out, known=known, overwrite=overwrite)
    report = Report()
    writers: list[Future[None]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, Progress("translate", len(jobs), "images") as progress:
        done = 0
        for chunk, decoded in _decoded(model, jobs, pool):
            readable = [(job, x) for job, x in zip(chunk, decoded, strict=True) if isinstance(x, Image.Image)]
            report.failed += [str(x) for x in decoded if isinstance(x, ImageError)]
            for writer in writers:  # of the previous chunk: this bounds how many images are in memory
                writer.result()
            writers = []
            for path, image in _translated(model, readable, plan, out, known, report):
                report.written.append(path)
                writers.append(pool.submit(images.save, image, path))
            done += len(readable)
            progress.total = len(jobs) - len(report.failed)
            progress.update(done)
        for writer in writers:
            writer.result()
    return report


def _decoded(
    model: Translator, jobs: Sequence[Job], pool: ThreadPoolExecutor
) -> Iterator[tuple[Sequence[Job], list[Image.Image | ImageError]]]:
    """Yields the jobs in chunks; the next chunk is read while the last one is translated."""

    def read(job: Job) -> Image.Image | ImageError:
        try:
            return images.read(job.path, model.image_size, model.info.crop)
        except ImageError as error:
            return error

    chunks = [jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK)]
    ahead = [pool.submit(read, job) for job in chunks[0]] if chunks else []
    for index, chunk in enumerate(chunks):
        current, ahead = ahead, []
        if index + 1 < len(chunks):
            ahead = [pool.submit(read, job) for job in chunks[index + 1]]
        yield chunk, [future.result() for future in current]


def _translated(
    model: Translator,
    readable: Sequence[tuple[Job, Image.Image]],
    plan: Plan,
    out: Path,
    known: Request,
    report: Report,
) -> Iterator[tuple[Path, Image.Image]]:
    """Yields the output files of one chunk and their images."""
    if not readable:
        return
    prepared = images.to_array([image for _, image in readable])
    targets = [plan.targets(values) for values in model.values(prepared, known)]
    pixels = iter(_generated(model, prepared, targets))
    for (job, image), own in zip(readable, targets, strict=True):
        if not own:
            report.failed.append(
                f"{job.path}: no translation starts from its labels; if they are wrong, name them with --from"
            )
            continue
        results = [next(pixels) for _ in own]
        if plan.grid:  # first, since it takes longest to write
            titles = ["source", *(name for name, _ in own)]
            cells = np.stack([np.asarray(image), *results])
            yield job.output(out, GRID), images.grid(cells, len(titles), titles=titles)
        for (name, _), result in zip(own, results, strict=True):
            yield job.output(out, name), Image.fromarray(result)


def _generated(
    model: Translator, prepared: np.ndarray, targets: Sequence[Sequence[tuple[str, np.ndarray]]]
) -> list[np.ndarray]:
    """The (H, W, 3) pixels of all translations of a chunk, image by image."""
    rows = [row for row, own in enumerate(targets) for _ in own]
    labels = [label for own in targets for _, label in own]
    results: list[np.ndarray] = []
    for start in range(0, len(rows), CHUNK):  # bounds the memory where an image has many targets
        part = slice(start, start + CHUNK)
        results.extend(images.to_pixels(model.generate(prepared[rows[part]], np.stack(labels[part]))))
    return results
