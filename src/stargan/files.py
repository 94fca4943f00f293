"""Translating files and whole folders: names, batches, progress. Nothing is overwritten unless told."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import images
from stargan.errors import ImageError
from stargan.progress import Progress
from stargan.translate import Translator
from stargan.words import Words

BATCH = 8  # pictures that are translated together


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


def find(paths: Sequence[Path]) -> list[Job]:
    """The pictures that paths mean: files as they are, folders with all that is in them.

    Raises:
        ImageError: A path does not exist or a folder holds no picture.
    """
    found: list[tuple[Path, Path]] = []
    for path in paths:
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in images.SUFFIXES and p.is_file()]
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


def translate(
    model: Translator,
    jobs: Sequence[Job],
    targets: Sequence[Sequence[str]],
    out: Path,
    *,
    known: Words = (),
    overwrite: bool = False,
) -> Report:
    """Writes one PNG for each picture and target.

    Args:
        model: Translates.
        jobs: What `find` gave.
        targets: What is asked for, each a list of words; empty means every domain, and a labelled grid of them.
        out: The folder; made if it is not there. Folders inside a folder are kept.
        known: What all pictures show, see `Translator.values`.
        overwrite: Whether files of these names may be replaced.

    Returns:
        What was written, and the pictures that could not be read, which are left out.

    Raises:
        DomainError: A word is not understood; nothing is written then.
        ImageError: A file of such a name exists and `overwrite` is False; checked before any work.
    """
    names = [",".join(words) for words in targets]
    for words in targets:
        model.domains.apply(np.zeros(model.domains.num_classes), words)
    if not overwrite:
        _refuse_existing(jobs, names or _all_names(model), out)
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
            if read:
                for path, picture in _translated(model, read, targets, names, out, known):
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
            return images.fit(images.decode(job.path), model.image_size, model.info.crop)
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
    targets: Sequence[Sequence[str]],
    names: Sequence[str],
    out: Path,
    known: Words,
) -> Iterator[tuple[Path, Image.Image]]:
    """Yields the files of one chunk."""
    prepared = images.to_array([picture for _, picture in read])
    values = model.values(prepared, known)
    for words, name in zip(targets, names, strict=True):
        labels = np.stack([model.domains.target(row, words) for row in values])
        pictures = images.to_pictures(model.generate(prepared, labels))
        yield from ((job.output(out, name), p) for (job, _), p in zip(read, pictures, strict=True))
    if not targets:
        for index, (job, picture) in enumerate(read):
            yield from _every(model, job, picture, prepared[index : index + 1], values[index], out)


def _every(
    model: Translator, job: Job, picture: Image.Image, prepared: np.ndarray, values: np.ndarray, out: Path
) -> Iterator[tuple[Path, Image.Image]]:
    wanted = model.domains.every(values)
    labels = np.stack([labels for _, labels in wanted])
    translated = model.generate(np.repeat(prepared, len(labels), axis=0), labels)
    for (word, _), result in zip(wanted, images.to_pictures(translated), strict=True):
        yield job.output(out, word), result
    pixels = np.concatenate([np.asarray(picture)[None], images.to_pixels(translated)])
    captions = ["source", *(word for word, _ in wanted)]
    yield job.output(out, "all"), images.grid(pixels, len(captions), titles=captions)


def _all_names(model: Translator) -> list[str]:
    """Every target that `Domains.every` can name, whatever a picture shows."""
    classes = model.domains.num_classes
    shown = (np.zeros(classes), np.ones(classes))
    return ["all", *sorted({word for values in shown for word, _ in model.domains.every(values)})]


def _refuse_existing(jobs: Sequence[Job], names: Sequence[str], out: Path) -> None:
    for job in jobs:
        for name in names:
            path = job.output(out, name)
            if path.exists():
                raise ImageError(f"{path}: exists; say --overwrite to replace it, or another --out")
