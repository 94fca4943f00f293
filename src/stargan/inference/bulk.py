"""Translating shards: one function turns a shard into another, here or on any machine of a cluster.

A finished shard has a marker beside it, so that a job that was cut off goes on, and no shard is made twice.
"""

import contextlib
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from stargan import images
from stargan.data import image_files, remote, shards
from stargan.data.shards import Sample
from stargan.errors import ConfigError, DataError, ImageError
from stargan.images import Photo
from stargan.inference import folders, jobs, views
from stargan.inference.translator import Translator
from stargan.inference.views import Region, View
from stargan.progress import Progress, counted
from stargan.storage import atomic_write, cache_folder, read_text, temporary_path, write_bytes

CHUNK = 8  # images that are read, translated and encoded at a time
MARKER = ".done.json"


@dataclass(frozen=True)
class Request:
    """What to make of every image.

    Attributes:
        targets: The targets, each some words.
        known: The labels of all images, as far as they are known.
        strength: The strength of the change.
        align: Whether faces are looked for.
        model: The digest of the model.
    """

    targets: tuple[tuple[str, ...], ...]
    known: tuple[str, ...] = ()
    strength: float = 1.0
    align: bool = True
    model: str = ""

    @property
    def digest(self) -> str:
        """Identifies it in markers."""
        return hashlib.sha256(json.dumps(list(vars(self).values())).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Done:
    """What has become of a shard.

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


def find(where: Path) -> list[str] | None:
    """The shards that a path, a pattern or an address means, in order; None if it means something else.

    A folder that has images as well is one of images.

    Raises:
        DataError: There are no shards at an address, or no such files.
    """
    address = remote.address(where)
    if address:
        found = remote.parts(address)
        if not found:
            raise DataError(f"{address}: no shards ({shards.SUFFIX}) in it")
        return found
    if where.is_dir():
        found = [str(path.resolve()) for path in sorted(where.glob(f"*{shards.SUFFIX}"))]
        return found if found and not image_files.find(where).files else None
    named = [path for path in shards.matching(where) if path.suffix.lower() == shards.SUFFIX]
    if named and not any(path.exists() for path in named):
        raise DataError(f"{where}: no such file")
    return [str(path.resolve()) for path in named] or None


def translate(
    model: Translator,
    found: Sequence[str],
    out: Path,
    request: Request,
    *,
    again: bool = False,
    run: Callable[[Iterable[str]], Iterator[Done]] | None = None,
) -> list[Done]:
    """Translates shards, each into one of the same name, and skips those that are finished.

    Args:
        model: Translates.
        found: The shards, from `find`.
        out: A folder, or an address.
        request: What to make of them.
        again: Whether to make finished ones again.
        run: Translates shards somewhere else; by default, one after the other here.

    Returns:
        What has become of those that were not finished.

    Raises:
        ConfigError: Two shards have the same name, a shard would replace itself, or those in `out` were made with
            another request or model.
        DataError: An address cannot be read.
    """
    jobs.plan(model.domains, request.targets)  # refuses what the model does not know
    place = remote.address(out) or str(out)
    names = [PurePosixPath(shard).name for shard in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two of the shards are called {twice}; translate them into different folders")
    if any((Path(place) / name).resolve() == Path(shard).resolve() for shard, name in zip(found, names, strict=True)):
        raise ConfigError(f"--out {place}: has the shards to translate; choose another folder")
    todo = [shard for shard in found if again or not is_done(f"{place}/{PurePosixPath(shard).name}", request)]
    results, count, began = [], 0, time.monotonic()
    with Progress("translate", len(found), "shards", len(found) - len(todo)) as progress:
        each = run(todo) if run else (attempt(model, shard, place, request) for shard in todo)
        for done in each:
            results.append(done)
            count += done.images
            rate = count / max(time.monotonic() - began, 1e-9)
            progress.update(progress.done + 1, f"{rate:.1f} images/s")
    return results


def attempt(model: Translator, shard: str, out: str, request: Request) -> Done:
    """Translates a shard; of one that cannot be read or written, it says so in `left_out`, and leaves no marker."""
    try:
        return translate_shard(model, shard, out, request)
    except DataError as error:
        return Done(0, [str(error)])
    except OSError as error:
        return Done(0, [f"{error.filename or shard}: {error.strerror or error}"])


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
    began, name = time.monotonic(), PurePosixPath(shard).name
    left_out: list[str] = []
    count = 0
    with (
        _here(shard) as source,
        _written(f"{out}/{name}") as file,
        tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member, content in _translations(model, source, request, left_out, file.parent):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
            count += 1
    done = Done(count // len(request.targets), left_out, round(time.monotonic() - began, 3), request.digest)
    _write_text(f"{out}/{name}{MARKER}", json.dumps(vars(done)))
    return done


def is_done(result: str, request: Request) -> bool:
    """Whether a shard is finished.

    Raises:
        ConfigError: It was made with another request or model.
    """
    text = remote.read(result + MARKER) if remote.address(result) else _text(Path(result + MARKER))
    if text is None:
        return False
    try:
        before = json.loads(text)["request"]
    except (ValueError, KeyError, TypeError):
        return False
    if before != request.digest:
        another = "was made with another model or other options"
        raise ConfigError(f"{result}: {another}; say --overwrite to make it again, or another --out")
    return True


# ---------------------------------------------------------------- one shard

_Seen = tuple[Sample, Photo, list[Region]] | str


def _translations(
    model: Translator, shard: Path, request: Request, left_out: list[str], folder: Path
) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of all translations; images are read and encoded while others are translated."""
    plan = jobs.plan(model.domains, request.targets, strength=request.strength)
    with ThreadPoolExecutor() as pool:
        waiting: list[Future[tuple[str, bytes]]] = []
        for chunk in _read(model, shard, request, pool, folder):
            left_out += [line for line in chunk if isinstance(line, str)]
            seen = [
                (sample, model.view(photo, regions, known=request.known))
                for sample, photo, regions in (one for one in chunk if not isinstance(one, str))
            ]
            targets = [[plan.targets(values) for values in view.values] for _, view in seen]
            results = iter(folders.results(model, [view for _, view in seen], targets))
            encoding = [
                pool.submit(_encoded, _name(sample, target, len(plan.names) > 1), *painted)
                for (sample, view), own in zip(seen, targets, strict=True)
                for target, painted in _painted(view, own, results)
            ]
            yield from (future.result() for future in waiting)
            waiting = encoding
        yield from (future.result() for future in waiting)


def _read(
    model: Translator, shard: Path, request: Request, pool: ThreadPoolExecutor, folder: Path
) -> Iterator[list[_Seen]]:
    """Yields what was found in the images of a shard, some at a time; the next ones are read meanwhile."""
    ahead: list[Future[_Seen]] = []
    waiting: list[Future[_Seen]] = []
    for sample in shards.samples(shard, folder):
        if not sample.image:
            continue
        waiting.append(pool.submit(_found, model, shard, sample, request))
        if len(waiting) == CHUNK:
            if ahead:
                yield [future.result() for future in ahead]
            ahead, waiting = waiting, []
    for rest in filter(None, (ahead, waiting)):
        yield [future.result() for future in rest]


def _found(model: Translator, shard: Path, sample: Sample, request: Request) -> _Seen:
    name = f"{shard.name}: {sample.image}"
    try:
        photo = images.read_photo(sample.content, model.info.range or "own")
        found = views.regions(photo.image, model.info, align=request.align)
        return sample, photo, views.chosen(found, "all", name)
    except ImageError as error:
        why = str(error).removeprefix(f"{name}: ")
        return f"{name}: {why}"


def _painted(
    view: View, targets: Sequence[dict[str, Any]], results: Iterator[Any]
) -> Iterator[tuple[str, tuple[Image.Image, Photo]]]:
    """Yields the whole photo for each target; `results` has those of all regions, in order."""
    made = [{name: next(results) for name in own} for own in targets]
    for name in targets[0]:
        yield name, (view.paint(np.stack([own[name] for own in made])), view.photo)


def _encoded(name: str, image: Image.Image, like: Photo) -> tuple[str, bytes]:
    stream = io.BytesIO()
    images.write(image, stream, images.kind(Path(name)), like)
    return name, stream.getvalue()


def _name(sample: Sample, target: str, several: bool) -> str:
    """The name of a translation in its shard; as PNG if Pillow cannot write the image's own format."""
    path = PurePosixPath(sample.image)
    stem, _, ending = path.name.partition(".")
    try:
        images.kind(Path(path.name))
    except ImageError:
        ending = "png"
    middle = f".{target.replace('/', '-').replace('.', '_')}" if several else ""
    return str(path.with_name(f"{stem}{middle}.{ending}"))


# ---------------------------------------------------------------- where shards are


@contextlib.contextmanager
def _here(shard: str) -> Iterator[Path]:
    """Yields a shard as a file of its own name; of an address, a copy for this time only."""
    if not remote.address(shard):
        yield Path(shard)
        return
    with _scratch() as folder:
        file = folder / PurePosixPath(shard).name
        remote.fetch(shard, file)
        yield file


@contextlib.contextmanager
def _written(result: str) -> Iterator[Path]:
    """Yields a file that is at its place, whole, at the end."""
    if not remote.address(result):
        with atomic_write(Path(result)) as file:
            yield file
        return
    with _scratch() as folder:
        file = folder / "out"
        yield file
        remote.write(file, result)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with temporary_path(cache_folder(), folder=True) as folder:
        yield folder


def _write_text(result: str, text: str) -> None:
    if remote.address(result):
        with _scratch() as folder:
            (folder / "marker").write_text(text, "utf-8")
            remote.write(folder / "marker", result)
    else:
        write_bytes(Path(result), text.encode())


def _text(path: Path) -> str | None:
    return read_text(path) if path.exists() else None


def told(results: Sequence[Done], skipped: int, out: Path) -> list[str]:
    """Says what was translated and left out, and where the results are."""
    lines = [f"skipped {counted(skipped, 'shard')} that {'are' if skipped > 1 else 'is'} finished"] if skipped else []
    total, seconds = sum(done.images for done in results), sum(done.seconds for done in results)
    rate = f", {total / seconds:.1f} images/s for each process" if seconds else ""
    return [
        *lines,
        f"{counted(total, 'image')} in {counted(len(results), 'shard')} in {remote.address(out) or out}{rate}",
    ]
