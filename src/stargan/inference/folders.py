"""Translating image files and whole folders of them."""

import dataclasses
import io
import itertools
import math
import os
import sys
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import images
from stargan.domains.requests import Request
from stargan.errors import ImageError
from stargan.images import Photo
from stargan.inference import views
from stargan.inference.jobs import BOXES, GRID, STREAM, Job, Output, Plan, check
from stargan.inference.steps import Steps
from stargan.inference.translator import Translator
from stargan.inference.views import Choice, Region, View
from stargan.progress import Progress

CHUNK = 8  # images that are read, translated and written at a time
IN_FLIGHT = 16_000_000  # pixels of photos that are read ahead or wait to be written, to limit the memory


@dataclass
class Report:
    """The result of translating files.

    Attributes:
        written: The files, in order.
        skipped: The number of images of which all translations existed.
        seen: One line for each image: what the model saw in it.
        uncertain: One line for each image with uncertain labels that matter.
        warnings: One line for each face that may turn out badly.
        failed: One line for each image that could not be translated.
    """

    written: list[Path] = field(default_factory=list)
    skipped: int = 0
    seen: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """How photos are read.

    Attributes:
        known: Labels of all of them, see `Translator.translate`.
        faces: Which of their faces.
        align: Whether faces are looked for.
        whole: See `views.regions`.
        range: See `images.decode`.
    """

    known: Request = ()
    faces: Choice = "all"
    align: bool = True
    whole: bool = True
    range: images.RangeChoice = "own"


def translate(model: Translator, jobs: Sequence[Job], plan: Plan, output: Output, reading: Reading) -> Report:
    """Translates image files.

    Args:
        model: Translates.
        jobs: The images, from `jobs.find`.
        plan: The translations to make of each.
        output: Where they go.
        reading: How the photos are read.

    Raises:
        ConfigError: Two translations would get the same file.
        ImageError: A file exists and `output` refuses that. Both are found out before any work.
    """
    check(jobs, plan.files, output)
    report = Report()
    todo = [job for job in jobs if _missing(job, plan.files, output)]
    report.skipped = len(jobs) - len(todo)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        _Writer(pool, report) as writer,
        Progress("translate", len(todo), "images") as progress,
    ):
        done = 0
        for chunk, found in _read(model, todo, pool, reading):
            looks = [(job, _look(model, job, one, reading)) for job, one in zip(chunk, found, strict=True)]
            report.failed += [str(one) for _, one in looks if isinstance(one, ImageError)]
            seen = [(job, one) for job, one in looks if isinstance(one, View)]
            for job, view in seen:
                _tell(report, job, view, plan.settled)
            for job, image, target, face, view in _translated(model, seen, plan, output, report):
                writer.write(image, output.path(job, target, face), view.photo)
            done += len(seen)
            progress.total = len(todo) - len(report.failed)
            progress.update(done)
    return report


def draw_boxes(model: Translator, jobs: Sequence[Job], output: Output, reading: Reading) -> Report:
    """Writes a copy of each photo with numbered boxes around its faces.

    Raises:
        ConfigError, ImageError: As `translate`.
    """
    check(jobs, [BOXES], output)
    report = Report()
    with ThreadPoolExecutor(1) as pool, _Writer(pool, report) as writer, Progress("find", len(jobs), "images") as bar:
        for done, job in enumerate(jobs, 1):
            found = _regions(model, job, Reading(range=reading.range))
            view = _look(model, job, found, Reading())
            if isinstance(view, View):
                _tell(report, job, view)
                writer.write(views.boxes(view), output.path(job, BOXES), view.photo)
            else:
                report.failed.append(str(view))
            bar.update(done)
    return report


# ---------------------------------------------------------------- reading

_Found = tuple[Photo, list[Region]] | ImageError


def _missing(job: Job, names: Sequence[str], output: Output) -> bool:
    return output.existing != "skip" or not all(output.existing_file(job, name) for name in names)


def _read(
    model: Translator, jobs: Sequence[Job], pool: ThreadPoolExecutor, reading: Reading
) -> Iterator[tuple[Sequence[Job], list[_Found]]]:
    """Yields the jobs in chunks, with what was found in them; the next chunk is read while one is translated."""
    chunks = list(_chunks(jobs))
    ahead = [pool.submit(_regions, model, job, reading) for job in chunks[0]] if chunks else []
    for index, chunk in enumerate(chunks):
        current, ahead = ahead, []
        found = [future.result() for future in current]
        if index + 1 < len(chunks):
            ahead = [pool.submit(_regions, model, job, reading) for job in chunks[index + 1]]
        yield chunk, found


def _chunks(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Several small images or one large one at a time."""
    chunk: list[Job] = []
    pixels = 0
    for job in jobs:
        size = math.prod(images.size_of(job.path) or (0,))
        if chunk and (len(chunk) == CHUNK or pixels + size > IN_FLIGHT):
            yield chunk
            chunk, pixels = [], 0
        chunk.append(job)
        pixels += size
    if chunk:
        yield chunk


def _regions(model: Translator, job: Job, reading: Reading) -> _Found:
    try:
        photo = images.read_photo(sys.stdin.buffer.read() if job.path == STREAM else job.path, reading.range)
        found = views.regions(photo.image, model.info, align=reading.align, whole=reading.whole)
        return photo, views.chosen(found, reading.faces, _name(job))
    except ImageError as error:
        return error


def _look(model: Translator, job: Job, found: _Found, reading: Reading) -> View | ImageError:
    return found if isinstance(found, ImageError) else model.view(*found, known=reading.known)


def _name(job: Job) -> str:
    return "standard input" if job.path == STREAM else str(job.path)


def _tell(report: Report, job: Job, view: View, settled: Collection[int] = ()) -> None:
    name = _name(job)
    report.seen += [f"{name}: {line}" for line in view.lines()]
    report.warnings += [f"{name}: {line}" for line in view.warnings()]
    if uncertain := view.uncertain(settled):
        words = " and ".join(filter(None, (", ".join(uncertain[:-1]), uncertain[-1])))
        report.uncertain.append(f"{name}: {words} {'are' if len(uncertain) > 1 else 'is'} uncertain")


# ---------------------------------------------------------------- translating

_Result = tuple[Job, Image.Image, str, int | None, View]


def _translated(
    model: Translator, seen: Sequence[tuple[Job, View]], plan: Plan, output: Output, report: Report
) -> Iterator[_Result]:
    """Yields the images to write of one chunk, each with its job, target, face and view."""
    targets = [[plan.targets(values) for values in view.values] for _, view in seen]
    translated = iter(results(model, [view for _, view in seen], targets))
    for (job, view), own in zip(seen, targets, strict=True):
        made = [{name: next(translated) for name in names} for names in own]
        if not any(made):
            report.failed.append(
                f"{_name(job)}: no translation starts from its labels; if they are wrong, name them with --from"
            )
            continue
        if plan.grid:  # first, since it takes longest to write
            yield job, _grid(view, made), GRID, None, view
        for name in plan.names:
            if any(name in names for names in made) and _missing(job, [name], output):
                yield from _images(job, view, name, made, output)


def _images(
    job: Job, view: View, name: str, made: Sequence[dict[str, np.ndarray]], output: Output
) -> Iterator[_Result]:
    """The images of one target: the whole photo, or each face."""
    if not output.squares:
        whole = np.stack([own.get(name, before) for own, before in zip(made, view.images, strict=True)])
        yield job, view.paint(whole), name, None, view
        return
    for region, own in zip(view.regions, made, strict=True):
        if name in own:
            yield job, images.to_images(own[name][None])[0], name, region.number, view


def results(
    model: Translator, seen: Sequence[View], targets: Sequence[Sequence[dict[str, Steps]]]
) -> Iterator[np.ndarray]:
    """The (3, H, W) translations of all regions of all views to all of their targets, in order."""
    rows = [
        (view.images[index], steps)
        for view, regions in zip(seen, targets, strict=True)
        for index, own in enumerate(regions)
        for steps in own.values()
    ]
    for start in range(0, len(rows), CHUNK):  # bounds the memory where an image has many targets
        for _, same in itertools.groupby(rows[start : start + CHUNK], key=lambda row: row[0].shape):
            prepared, translations = zip(*same, strict=True)
            yield from model.edit(np.stack(prepared), translations)


def _grid(view: View, made: Sequence[dict[str, np.ndarray]]) -> Image.Image:
    """All translations of all faces, a row for each, or of one part of the photo; with the targets as captions."""
    if view.regions[0].face is None:
        view, made = dataclasses.replace(view, regions=view.regions[:1], images=view.images[:1]), made[:1]
    columns = 1 + max(map(len, made))
    cells, captions = [], []
    for region, before, own in zip(view.regions, view.images, made, strict=True):
        blank = columns - 1 - len(own)
        cells += [before, *own.values(), *[np.ones_like(before)] * blank]
        captions += ["source" if len(made) == 1 else f"face {region.number}", *own, *[""] * blank]
    return images.grid(images.to_pixels(np.stack(cells)), columns, captions=captions)


# ---------------------------------------------------------------- writing


class _Writer:
    """Writes images in the background, and waits where too many wait.

    Args:
        pool: Where it writes.
        report: Gets the names of the files.
    """

    def __init__(self, pool: ThreadPoolExecutor, report: Report) -> None:
        self._pool, self._report = pool, report
        self._waiting: deque[tuple[int, Future[None]]] = deque()

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(0)

    def write(self, image: Image.Image, path: Path, like: Photo) -> None:
        """Writes an image, soon; the errors of earlier ones come out here."""
        pixels = image.width * image.height
        self._wait(max(IN_FLIGHT - pixels, 0))
        self._waiting.append((pixels, self._pool.submit(_write, image, path, like)))
        self._report.written.append(path)

    def _wait(self, pixels: int) -> None:
        while self._waiting and sum(size for size, _ in self._waiting) > pixels:
            self._waiting.popleft()[1].result()


def _write(image: Image.Image, path: Path, like: Photo) -> None:
    whole = image.size == like.image.size
    if path != STREAM:
        images.save(image, path, like if whole else None)
        return
    encoded = io.BytesIO()
    images.write(image, encoded, like.format or "PNG", like if whole else None)
    sys.stdout.buffer.write(encoded.getvalue())
    sys.stdout.buffer.flush()
