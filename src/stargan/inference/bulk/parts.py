"""The parts of a job: a shard, or some files. Each is translated by one function, on whatever machine."""

import io
import json
import tarfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from stargan.data import shards
from stargan.errors import DataError
from stargan.inference.bulk import places
from stargan.inference.bulk.images import CHUNK, Input, translations
from stargan.inference.bulk.request import Request
from stargan.inference.translator import Translator

MARKER = ".done.json"


@dataclass(frozen=True)
class Files:
    """Images in a folder or at an address.

    Attributes:
        root: The folder, or the address.
        names: Their paths below it, with `/`.
    """

    root: str
    names: tuple[str, ...]


Part = str | Files
"""What is translated in one go: the path or the address of a shard, or some files."""


@dataclass(frozen=True)
class Done:
    """What has become of a part.

    Attributes:
        images: The number of images translated.
        left_out: One line for each image that was not.
        seconds: How long it took.
        request: The digest of the request.
    """

    images: int
    left_out: list[str] = field(default_factory=list)
    seconds: float = 0.0
    request: str = ""


def attempt(model: Translator, part: Part, out: str, request: Request) -> Done:
    """Translates a part, unless another process has finished it before it ended.

    If the part cannot be read or written, `left_out` gives the reason, and a shard gets no marker.
    """
    try:
        if isinstance(part, Files):
            return translate_files(model, part, out, request)
        return finished(result_of(part, out), request) or translate_shard(model, part, out, request)
    except DataError as error:
        return Done(0, [str(error)])
    except OSError as error:
        return Done(0, [f"{error.filename or name_of(part)}: {error.strerror or error}"])


def translate_shard(model: Translator, shard: str, out: str, request: Request) -> Done:
    """Translates a shard into one of the same name; with one target, a translation has its image's name.

    With several, it is in the sample of its image, as `0001.Blond_Hair.jpg`. The shard appears whole or not at all, and
    then its marker.

    Args:
        model: Translates.
        shard: A file, or an address.
        out: The folder to write to, or an address.
        request: What to make of it.

    Raises:
        DataError: The shard is damaged, or an address cannot be read or written.
    """
    began, result = time.monotonic(), result_of(shard, out)
    left_out: list[str] = []
    count = 0
    with (
        places.local(shard) as source,
        places.written(result) as file,
        tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for made in translations(model, _images(source, file.parent), request, left_out):
            info = tarfile.TarInfo(made.name)
            info.size = len(made.content)
            archive.addfile(info, io.BytesIO(made.content))
            count += 1
    done = Done(count // len(request.targets), left_out, round(time.monotonic() - began, 3), request.digest)
    places.write(result + MARKER, json.dumps(vars(done)).encode())
    return done


def translate_files(model: Translator, files: Files, out: str, request: Request) -> Done:
    """Translates images into files of the same names; with several targets, as `0001.Blond_Hair.jpg`.

    Each file appears whole or not at all.

    Args:
        model: Translates.
        files: The images.
        out: The folder to write to, or an address.
        request: What to make of them.

    Raises:
        DataError, OSError: A file cannot be written.
    """
    began, count = time.monotonic(), 0
    left_out: list[str] = []
    inputs = (Input(name, f"{files.root}/{name}", partial(places.read, f"{files.root}/{name}")) for name in files.names)
    with ThreadPoolExecutor(CHUNK) as pool:
        writing: deque[Future[None]] = deque()
        for made in translations(model, inputs, request, left_out):
            writing.append(pool.submit(places.write, f"{out}/{made.name}", made.content, sync=False))
            count += 1
            if len(writing) > CHUNK:
                writing.popleft().result()
        for future in writing:
            future.result()
    return Done(count // len(request.targets), left_out, round(time.monotonic() - began, 3), request.digest)


def result_of(shard: str, out: str) -> str:
    """Where the translation of a shard is."""
    return f"{out}/{name_of(shard)}"


def finished(result: str, request: Request) -> Done | None:
    """What has become of a shard that is finished; None if it is not, or was made with another request or model."""
    try:
        done = Done(**json.loads(places.read_marker(result + MARKER) or ""))
    except (ValueError, TypeError):
        return None
    return done if done.request == request.digest else None


def name_of(part: Part) -> str:
    """The name of a part, for messages."""
    if isinstance(part, str):
        return PurePosixPath(part).name
    return f"{part.root}/{part.names[0]} to {part.names[-1]}" if part.names else part.root


def _images(shard: Path, folder: Path) -> Iterator[Input]:
    """The images of a shard; `folder` as in `shards.samples`."""
    for sample in shards.samples(shard, folder):
        if sample.image:
            yield Input(sample.image, f"{shard.name}: {sample.image}", partial(bytes, sample.content))
