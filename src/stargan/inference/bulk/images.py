"""The translations of a stream of encoded images, encoded again: what all jobs have in common."""

import functools
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from stargan import images
from stargan.errors import DataError, ImageError
from stargan.images import Photo
from stargan.inference import folders, jobs, views
from stargan.inference.bulk.request import Request
from stargan.inference.steps import Steps
from stargan.inference.translator import Translator
from stargan.inference.views import Region, View

CHUNK = 8  # images that are read, translated and encoded at a time
_JPEG = b"\xff\xd8"  # what JPEG files begin with


@dataclass(frozen=True)
class Input:
    """An image to translate.

    Attributes:
        name: Its path in the shard or folder, with `/`.
        where: Names it in messages.
        read: Returns its content; called in another thread.
    """

    name: str
    where: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Translation:
    """A translated image.

    Attributes:
        name: Its path in the result, with `/`.
        content: The file.
    """

    name: str
    content: bytes


_Seen = tuple[Input, Photo, list[Region]] | str


def translations(
    model: Translator, inputs: Iterable[Input], request: Request, left_out: list[str]
) -> Iterator[Translation]:
    """Yields all translations in order; images are read and encoded while others are translated.

    Args:
        model: Translates.
        inputs: The images; no more than three times `CHUNK` are in memory at once.
        request: What to make of them.
        left_out: Receives a line for each image that cannot be read or shows no face.
    """
    plan = jobs.plan(model.domains, request.targets, strength=request.strength)
    several = len(plan.names) > 1

    @functools.lru_cache(1000)  # many images have the same labels
    def targets_of(values: bytes) -> dict[str, Steps]:
        return plan.targets(np.frombuffer(values, np.float32))

    with ThreadPoolExecutor(CHUNK) as pool:
        waiting: list[Future[Translation]] = []
        for chunk in _read(model, inputs, request, pool):
            left_out += [line for line in chunk if isinstance(line, str)]
            found = [one for one in chunk if not isinstance(one, str)]
            seen = model.views([(photo, regions) for _, photo, regions in found], known=request.known)
            targets = [[targets_of(values.tobytes()) for values in view.values] for view in seen]
            results = iter(folders.results(model, seen, targets))
            encoding = [
                pool.submit(_encoded, output_name(one.name, target if several else ""), *painted)
                for (one, *_), view, own in zip(found, seen, targets, strict=True)
                for target, painted in _painted(view, own, results)
            ]
            yield from (future.result() for future in waiting)
            waiting = encoding
        yield from (future.result() for future in waiting)


def translate_images(model: Translator, contents: Sequence[bytes], request: Request) -> list[bytes | None]:
    """Translates encoded images, such as a column of a table, to one target.

    Args:
        model: Translates.
        contents: The files.
        request: What to make of them, with one target.

    Returns:
        The translations at the same places: JPEG files of JPEG files, PNG files of all others; None for images that
        cannot be read or show no face.

    Raises:
        ConfigError: The model does not know the target.
    """
    inputs = (
        Input(f"{index}.{'jpg' if content[:2] == _JPEG else 'png'}", str(index), functools.partial(bytes, content))
        for index, content in enumerate(contents)
    )
    made = {one.name.partition(".")[0]: one.content for one in translations(model, inputs, request, [])}
    return [made.get(str(index)) for index in range(len(contents))]


def output_name(name: str, target: str = "") -> str:
    """The name of a translation: as PNG if Pillow cannot write the image's own format; with the target, if any."""
    path = PurePosixPath(name)
    stem, _, ending = path.name.partition(".")
    try:
        images.kind(Path(path.name))
    except ImageError:
        ending = "png"
    middle = f".{target.replace('/', '-').replace('.', '_')}" if target else ""
    return str(path.with_name(f"{stem}{middle}.{ending}"))


def _read(
    model: Translator, inputs: Iterable[Input], request: Request, pool: ThreadPoolExecutor
) -> Iterator[list[_Seen]]:
    """Yields what was found in the images, some at a time; the next ones are read meanwhile."""
    ahead: list[Future[_Seen]] = []
    waiting: list[Future[_Seen]] = []
    for one in inputs:
        waiting.append(pool.submit(_found, model, one, request))
        if len(waiting) == CHUNK:
            if ahead:
                yield [future.result() for future in ahead]
            ahead, waiting = waiting, []
    for rest in filter(None, (ahead, waiting)):
        yield [future.result() for future in rest]


def _found(model: Translator, one: Input, request: Request) -> _Seen:
    try:
        photo = images.read_photo(one.read(), model.info.range or "own")
        found = views.regions(photo.image, model.info, align=request.align)
        return one, photo, views.chosen(found, "all", one.where)
    except DataError as error:
        why = str(error).removeprefix(f"{one.where}: ").removeprefix("image: ")
    except OSError as error:
        why = error.strerror or str(error)
    return f"{one.where}: {why}"


def _painted(
    view: View, targets: Sequence[dict[str, Any]], results: Iterator[Any]
) -> Iterator[tuple[str, tuple[Image.Image, Photo]]]:
    """Yields the whole photo for each target; `results` has those of all regions, in order."""
    made = [{name: next(results) for name in own} for own in targets]
    for name in targets[0]:
        yield name, (view.paint(np.stack([own[name] for own in made])), view.photo)


def _encoded(name: str, image: Image.Image, like: Photo) -> Translation:
    stream = io.BytesIO()
    images.write(image, stream, images.kind(Path(name)), like)
    return Translation(name, stream.getvalue())
