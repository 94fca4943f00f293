"""Which images to translate to which targets, and the files that the translations go to."""

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from stargan import images
from stargan.data import image_files
from stargan.domains import Domains, requests
from stargan.domains.protocols import protocol
from stargan.errors import ConfigError, ImageError
from stargan.inference.clips.files import CONTAINERS
from stargan.inference.steps import Step, Steps, steps

GRID = "all"  # names the file with the grid of an image's translations
BOXES = "faces"  # names the file with numbered boxes
STREAM = Path("-")  # standard input or output
MAX_STEM, MAX_TARGET = 140, 80  # bytes of an image's name and of a target in a file name; file systems allow 255 in all


@dataclass(frozen=True)
class Job:
    """One image and the names of its translations.

    Attributes:
        path: The image; `STREAM` for standard input.
        name: Its translations' path in the output folder, without the target and the ending.
    """

    path: Path
    name: Path

    @property
    def stem(self) -> str:
        """The beginning of the names of its translations."""
        return _short(self.name.name, MAX_STEM)

    @property
    def ending(self) -> str:
        """The ending of its whole translations: its own, or .png if Pillow cannot write such files."""
        if self.path.suffix.lower() in CONTAINERS:
            return self.path.suffix
        try:
            images.kind(self.path)
        except ImageError:
            return ".png"
        return self.path.suffix


@dataclass(frozen=True)
class Output:
    """Where translations go.

    Attributes:
        folder: The output folder; it is made, and folders inside an input folder are made in it.
        file: The one file to write instead; `STREAM` for standard output.
        squares: Whether only the aligned faces are written, at the model's size, as PNG.
        existing: What happens to translations whose file exists.
    """

    folder: Path = Path()
    file: Path | None = None
    squares: bool = False
    existing: Literal["refuse", "skip", "overwrite"] = "refuse"

    def path(self, job: Job, target: str, face: int | None = None) -> Path:
        """The file of one translation; with `face`, of one of the faces, if only squares are written."""
        if self.file is not None:
            return self.file
        which = f".face{face}" if self.squares and face is not None else ""
        return self.folder / job.name.parent / f"{job.stem}{which}{self._rest(job, target)}"

    def existing_file(self, job: Job, target: str) -> Path | None:
        """The file of one translation if it exists; of any of the faces, if only squares are written."""
        path = self.path(job, target)
        if path != STREAM and path.exists():
            return path
        if not self.squares or self.file is not None:
            return None
        faces = f"{glob.escape(job.stem)}.face[0-9]*{glob.escape(self._rest(job, target))}"
        return next(path.parent.glob(faces), None)

    def _rest(self, job: Job, target: str) -> str:
        squares = self.squares or target == GRID
        return f".{_short(target.replace('/', '-'), MAX_TARGET)}{'.png' if squares else job.ending}"


def _short(text: str, limit: int) -> str:
    """A text as it is, or its beginning and a digest if it has more than so many bytes."""
    encoded = os.fsencode(text)
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 9].decode(errors="ignore") + "-" + hashlib.sha256(encoded).hexdigest()[:8]


@dataclass(frozen=True)
class Plan:
    """The translations to make of every image.

    Attributes:
        names: Every name that a translation may get in its file name.
        targets: From the (C,) values of an image to its translations by name.
        grid: Whether each image also gets a labelled grid of its translations.
        settled: The groups whose labels in the image affect no translation.
    """

    names: tuple[str, ...]
    targets: Callable[[np.ndarray], dict[str, Steps]]
    grid: bool = False
    settled: frozenset[int] = frozenset()

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all files of an image."""
        return (*self.names, GRID) if self.grid else self.names


def find(
    paths: Sequence[Path], out: Path | None = None, *, say: Callable[[str], None] = lambda line: None
) -> list[Job]:
    """Finds the images to translate: files as they are, folders with everything inside, `-` for standard input.

    Args:
        paths: Files and folders.
        out: The output folder; where it lies inside one of the folders, its images are left out.
        say: Receives a line about the files in a folder that are no images.

    Raises:
        ImageError: A path does not exist, a folder has no image in it, or two images would get the same name.
    """
    found: list[tuple[Path, Path]] = []
    for path in paths:
        if path == STREAM:
            found.append((path, Path("stdin")))
        elif path.is_dir():
            found += [(file, file.relative_to(path)) for file in _images_in(path, out, say)]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            raise ImageError(f"{path}: no such file or folder")
    stems = Counter(relative.with_suffix("") for _, relative in found)
    # a.jpg and a.png would both give a.<target>, so they keep their endings.
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


def plan(
    domains: Domains,
    targets: Sequence[Sequence[str]] = (),
    protocol_name: str | None = None,
    *,
    strength: float = 1.0,
    edit: bool = False,
) -> Plan:
    """Plans the translations: to `targets`, to those of a protocol, or, without either, to every domain.

    Args:
        domains: The labels of the model.
        targets: The requests.
        protocol_name: The protocol.
        strength: A factor for all changes.
        edit: Whether the model has an edit generator, for which only the labels that a request changes matter.

    Raises:
        DomainError: A target is not understood, or the domains lack one that the protocol needs.
        ConfigError: There is no such protocol.
    """

    def scaled(values: np.ndarray, labels: np.ndarray) -> Steps:
        return (Step(strength, labels, values),)

    if targets:
        named = {",".join(words): words for words in targets}
        for words in named.values():
            steps(domains, np.zeros(domains.num_classes), words)
        return Plan(
            tuple(named),
            lambda values: {n: steps(domains, values, w, strength) for n, w in named.items()},
            settled=frozenset.intersection(*(requests.settled(domains, words, edit=edit) for words in named.values())),
        )
    if protocol_name is not None:
        tasks = protocol(protocol_name, domains)
        return Plan(
            tasks.tasks,
            lambda values: {n: scaled(values, domains.labels(v[None], s)[0]) for n, v, s in tasks.targets(values)},
            grid=True,
        )
    return Plan(
        requests.every_word(domains),
        lambda values: {word: scaled(values, labels) for word, labels in requests.every_target(domains, values)},
        grid=True,
    )


def check(jobs: Sequence[Job], names: Sequence[str], output: Output) -> None:
    """Refuses, before any work, to write two translations to one file, or over files that exist.

    Raises:
        ConfigError: Two translations would get the same file.
        ImageError: A file exists and `output` refuses that.
    """
    owners: dict[Path, tuple[Job, str]] = {}
    for job in jobs:
        for name in names:
            path = output.path(job, name)
            if path in owners:
                (other, what) = owners[path]
                both = f"{what} of {other.path} and {name} of {job.path}"
                raise ConfigError(f"{path}: would be both {both}; translate them one by one")
            owners[path] = (job, name)
            if output.existing == "refuse" and (found := output.existing_file(job, name)):
                raise ImageError(
                    f"{found}: exists; say --overwrite to replace it, --skip-existing to keep it, or another --out"
                )
