"""What there is to translate, what of it is left to do, and what has become of it."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from stargan.data import image_files, remote, shards
from stargan.errors import ConfigError, DataError
from stargan.inference import jobs
from stargan.inference.bulk import places
from stargan.inference.bulk.images import output_name
from stargan.inference.bulk.parts import MARKER, Done, Files, Part, attempt, name_of, result_of
from stargan.inference.bulk.request import Request
from stargan.inference.translator import Translator
from stargan.progress import Progress, counted

GROUP = 256  # files that one process translates before it takes others
_FILES = "stargan"  # whose marker, among translated files, keeps the request that they were made with
Run = Callable[[Sequence[Part]], Iterable[tuple[Part, Done]]]
"""Translates parts somewhere, and returns what has become of them, in any order."""


def find(where: Path, *, files: bool = False) -> list[str] | Files | None:
    """The shards that a path, a pattern or an address means, in order; or the images at an address.

    Whatever is at an address is listed once, and not copied. A folder that has images as well is one of images.

    Args:
        where: The path, the pattern or the address.
        files: Whether to return the images of a folder, too.

    Returns:
        The shards, or the images; None if it means something else.

    Raises:
        DataError: There are neither shards nor images at an address, or no such files.
    """
    address = remote.address(where)
    if address:
        return _at_address(address)
    if where.is_dir():
        images = image_files.find(where).files
        if images:
            return Files(str(where.resolve()), images) if files else None
        return [str(path.resolve()) for path in sorted(where.glob(f"*{shards.SUFFIX}"))] or None
    named = [path for path in shards.matching(where) if path.suffix.lower() == shards.SUFFIX]
    if named and not any(path.exists() for path in named):
        raise DataError(f"{where}: no such file")
    return [str(path.resolve()) for path in named] or None


def translate(
    model: Translator,
    found: Sequence[str] | Files,
    out: Path,
    request: Request,
    *,
    again: bool = False,
    run: Run | None = None,
) -> tuple[list[Done], int]:
    """Translates shards or files, each into one of the same name, and skips those that are finished.

    Args:
        model: Translates.
        found: From `find`.
        out: A folder, or an address.
        request: What to make of them.
        again: Whether to make finished ones again.
        run: Translates them somewhere else; by default, one after the other here.

    Returns:
        What has become of those that were not finished, and the number of finished shards or files.

    Raises:
        ConfigError: Two results would have the same name, one would replace its source, or those in `out` were made
            with another request or model.
        DataError: An address cannot be read.
    """
    targets = jobs.plan(model.domains, request.targets).names  # refuses what the model does not know
    place = remote.address(out) or str(out)
    if isinstance(found, Files):
        left = _files_left(found, place, request, targets, again=again)
        parts: list[Part] = [Files(left.root, left.names[i : i + GROUP]) for i in range(0, len(left.names), GROUP)]
        total, unit = len(found.names), "images"
    else:
        parts = list(_shards_left(found, place, request, again=again))
        total, unit = len(found), "shards"
    finished = total - sum(map(_size, parts))
    results, count, began = [], 0, time.monotonic()
    with Progress("translate", total, unit, finished) as progress:
        for part, done in _all_of(parts, run or (lambda left: ((p, attempt(model, p, place, request)) for p in left))):
            results.append(done)
            count += done.images
            rate = count / max(time.monotonic() - began, 1e-9)
            progress.update(progress.done + _size(part), f"{rate:.1f} images/s")
    return results, finished


def summary(results: Sequence[Done], finished: int, found: Sequence[str] | Files, out: Path) -> list[str]:
    """Lines about what was translated and skipped, how fast, and where the results are."""
    files = isinstance(found, Files)
    noun = "image" if files else "shard"
    lines = [f"skipped {counted(finished, noun)} that {'are' if finished > 1 else 'is'} finished"] if finished else []
    total, seconds = sum(done.images for done in results), sum(done.seconds for done in results)
    rate = f", {total / seconds:.1f} images/s for each process" if seconds else ""
    made = counted(total, "image") if files else f"{counted(total, 'image')} in {counted(len(results), 'shard')}"
    return [*lines, f"{made} in {remote.address(out) or out}{rate}"]


# ---------------------------------------------------------------- what there is


def _at_address(address: str) -> list[str] | Files:
    root, names = remote.listed(address)
    found = [f"{root}/{name}" for name in names if name.endswith(shards.SUFFIX)]
    if found:
        return found
    images = tuple(name for name in names if image_files.has_image_ending(name))
    if not images:
        raise DataError(f"{address}: no shards ({shards.SUFFIX}) and no images in it")
    return Files(root, images)


# ---------------------------------------------------------------- what is left


def _shards_left(found: Sequence[str], place: str, request: Request, *, again: bool) -> list[str]:
    names = [name_of(shard) for shard in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two of the shards are called {twice}; translate them into different folders")
    if any((Path(place) / name).resolve() == Path(shard).resolve() for shard, name in zip(found, names, strict=True)):
        raise ConfigError(f"--out {place}: has the shards to translate; choose another folder")
    return [shard for shard in found if not _is_done(result_of(shard, place), request, again=again)]


def _files_left(found: Files, place: str, request: Request, targets: Sequence[str], *, again: bool) -> Files:
    """The files that lack a translation; the folder of the translations is listed once."""
    if f"{place}/".startswith(f"{found.root}/"):
        raise ConfigError(f"--out {place}: is in the folder to translate; choose another folder")
    results = {n: [output_name(n, t if len(targets) > 1 else "") for t in targets] for n in found.names}
    result, count = next(iter(Counter(r for own in results.values() for r in own).most_common(1)), ("", 0))
    if count > 1:
        raise ConfigError(f"two of the translations would be called {result}; translate them into different folders")
    there = set() if again else places.names(place)
    if not _is_done(f"{place}/{_FILES}", request, again=again):
        before = next((r for own in results.values() for r in own if r in there), None)
        if before:
            raise ConfigError(f"{place}/{before}: exists; say --overwrite to replace it, or another --out")
        places.write(f"{place}/{_FILES}{MARKER}", json.dumps({"request": request.digest}).encode())
    return Files(found.root, tuple(name for name, own in results.items() if not there.issuperset(own)))


def _is_done(result: str, request: Request, *, again: bool) -> bool:
    """Whether a result is finished, and not to be made again, for which its marker is removed.

    Raises:
        ConfigError: It was made with another request or model.
    """
    if again:
        places.remove(result + MARKER)
        return False
    text = places.read_marker(result + MARKER)
    try:
        before = json.loads(text or "")["request"]
    except (ValueError, KeyError, TypeError):
        return False
    if before != request.digest:
        another = "was made with another model or other options"
        raise ConfigError(f"{result}: {another}; say --overwrite to make it again, or another --out")
    return True


# ---------------------------------------------------------------- what becomes of it


def _all_of(parts: Sequence[Part], run: Run) -> Iterator[tuple[Part, Done]]:
    """Yields what becomes of all parts, also of those that a cluster has lost for good."""
    missing = dict.fromkeys(parts)
    for part, done in run(parts) if parts else ():
        del missing[part]
        yield part, done
    for part in missing:
        why = "the processes that translated it have ended, or it has failed there; see the logs of the cluster"
        yield part, Done(0, [f"{name_of(part)}: {why}"])


def _size(part: Part) -> int:
    return len(part.names) if isinstance(part, Files) else 1
