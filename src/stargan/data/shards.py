"""Data sets as WebDataset keeps them: tar files (shards), in which files with the same stem are a sample."""

import contextlib
import json
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from stargan import machine
from stargan.data import image_files, text_tables, unpacked
from stargan.data.splits import split_of_part
from stargan.data.text_tables import RawTable
from stargan.errors import DataError
from stargan.images import MAX_FILE, SUFFIXES
from stargan.progress import counted
from stargan.storage import open_regular

SUFFIX = ".tar"
_ROWS = "rows.jsonl"  # in a folder of unpacked images: their names, splits and labels, by row
IMAGE, SPLIT = "file_name", "split"
"""The columns with the path of an image, and with the split that the name of its shard has, if any."""
_LABELS = frozenset({".json", ".cls", ".txt"})
_MAX_LABELS = 2**20  # bytes of one such file
_MEMORY = 2**30  # bytes that reading may take, so that headers cannot claim any size


def read(*shards: Path) -> RawTable:
    """Reads a shard, or all of a data set; their images are unpacked.

    A sample is an image with its labels: the fields of `.json`, and what `.cls` or `.txt` say. A shard whose name has
    the name of a split, such as `train-000000.tar`, belongs to it.

    Raises:
        DataError: A shard is damaged, or has members that no data set needs.
    """
    folder = unpacked.once(shards, lambda folder: unpack([(shard.name, shard) for shard in shards], folder))
    rows, notes = unpacked_rows(folder)
    if not rows:
        raise DataError(f"{shards[0]}: no images in it; a sample needs one, such as 000000.jpg beside 000000.json")
    return table(rows, notes, folder, splits=all(row[SPLIT] for row in rows))


def table(rows: Sequence[dict[str, Any]], notes: Sequence[str], folder: Path, *, splits: bool) -> RawTable:
    """The table of unpacked images.

    Args:
        rows: What is known of each image, from `unpacked_rows`.
        notes: What the user has to know.
        folder: Where the images are.
        splits: Whether the names of all shards have the name of a split.
    """
    kept = rows if splits else [{name: value for name, value in row.items() if name != SPLIT} for row in rows]
    found = text_tables.of_records(kept, notes)
    return RawTable(found.columns, notes=found.notes, images=IMAGE, folder=folder)


def matching(pattern: Path) -> list[Path]:
    """The files that a pattern such as `train-{000..127}.tar` or `*.tar` means, in order; those of braces may miss."""
    found: list[Path] = []
    for path in map(Path, expanded(str(pattern))):
        here = Path(path.anchor)
        wild = any(char in str(path) for char in "*?[")
        found += sorted(here.glob(str(path.relative_to(here)))) if wild else [path]
    return found


def expanded(pattern: str) -> list[str]:
    """The texts that braces stand for: `{000..127}` for numbers, `{a,b}` for texts."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if not match:
        return [pattern]
    if numbers := re.fullmatch(r"(\d+)\.\.(\d+)", match[1]):
        low, high = numbers.groups()
        if int(high) - int(low) > unpacked.MAX_FILES:
            raise DataError(f"{pattern}: more than {unpacked.MAX_FILES:,} files")
        options = [f"{number:0{len(low)}}" for number in range(int(low), int(high) + 1)]
    else:
        options = match[1].split(",")
    rest = expanded(pattern[match.end() :])
    return [pattern[: match.start()] + option + end for option in options for end in rest]


# ---------------------------------------------------------------- unpacking


@dataclass
class Sample:
    """The files of a shard with the same stem.

    Attributes:
        image: The member with the image.
        content: Its bytes.
        labels: What the other files say, by column.
    """

    image: str = ""
    content: bytes = b""
    labels: dict[str, Any] = field(default_factory=dict)


def unpack(shards: Iterable[tuple[str, Path]], folder: Path, *, apart: bool = False) -> None:
    """Writes all images, one after the other, and what is known of each.

    Args:
        shards: The name of each shard and where it is.
        folder: Where to write them.
        apart: Whether the images of each shard go into a folder that is called like it. By default, only those do that
            are called like an earlier one.

    Raises:
        DataError: As `read`.
    """
    used: Counter[str] = Counter()
    without, rows = 0, folder / f"{_ROWS}.part"
    with rows.open("w", encoding="utf-8") as lines:
        for called, shard in shards:
            stem = PurePosixPath(called).with_suffix("")
            split = split_of_part(stem.name)
            for sample in samples(shard, folder):
                if not sample.image:
                    without += 1
                    continue
                name = f"{stem}/{sample.image}" if apart or used[sample.image] else sample.image
                used[sample.image] += 1
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    file.write(sample.content)
                lines.write(json.dumps({**sample.labels, IMAGE: name, SPLIT: split}) + "\n")
    notes = [f"left out: {counted(without, 'sample')} without an image"] if without else []
    with (folder / _ROWS).open("w", encoding="utf-8") as whole, rows.open(encoding="utf-8") as lines:
        whole.write(json.dumps({"notes": notes}) + "\n")
        shutil.copyfileobj(lines, whole)
    rows.unlink()


def unpacked_rows(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What is known of each image that `unpack` has written, by column, and what the user has to know."""
    with (folder / _ROWS).open(encoding="utf-8") as file:
        first, *rows = map(json.loads, file)
    return rows, first["notes"]


def samples(shard: Path, folder: Path) -> Iterator[Sample]:
    """Yields the samples of a shard in order.

    Args:
        shard: The tar file.
        folder: Where the caller writes what is in it: no file may be larger than the disk has room for.

    Raises:
        DataError: As `read`.
    """
    sample, current = Sample(), ""
    for member, content in _members(shard, folder):
        path = PurePosixPath(member)
        stem, _, ending = path.name.partition(".")
        key, suffix = str(path.parent / stem), f".{ending.lower()}"
        if key != current and current:
            yield sample
            sample = Sample()
        current = key
        if suffix in _LABELS:
            sample.labels |= _labels(f"{shard}: {member}", suffix, content)
        elif not sample.image:
            sample.image, sample.content = member, content
    if current:
        yield sample


def _labels(where: str, suffix: str, content: bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8")
        if suffix != ".json":
            return {"class" if suffix == ".cls" else "text": text.strip()}
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not {'JSON' if suffix == '.json' else 'a text in UTF-8'} ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f'{where}: must be an object of labels, such as {{"season": "winter"}}')
    return {name: value for name, value in found.items() if name not in (IMAGE, SPLIT)}


def _members(shard: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of the images and labels in a shard."""
    with _damage(shard), machine.bounded(_MEMORY), open_regular(shard) as file:
        archive = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115  (its file is closed)
        while member := archive.next():
            archive.members = []  # type: ignore[attr-defined]  # or else it would keep all of them
            if _is_wanted(shard, member):
                if member.size > shutil.disk_usage(folder).free:
                    raise DataError(f"{shard}: {member.name}: the disk is full; set STARGAN_CACHE to a larger one")
                opened = archive.extractfile(member)
                yield member.name, opened.read() if opened else b""
        _check_end(shard, archive)


def _is_wanted(shard: Path, member: tarfile.TarInfo) -> bool:
    """Whether a member is an image or has labels.

    Raises:
        DataError: It is a link or the like, has a path outside of the shard, or is too large.
    """
    path = PurePosixPath(member.name)
    why = ""
    if not (member.isreg() or member.isdir()) or member.issparse():
        why = "a link, a device or a sparse file"
    elif path.is_absolute() or ".." in path.parts or set(member.name) & {"\\", "\0"}:
        why = "a path that leads out of the shard"
    suffix = f".{path.name.partition('.')[2].lower()}"
    wanted = member.isreg() and (suffix in SUFFIXES or suffix in _LABELS)
    most = _MAX_LABELS if suffix in _LABELS else MAX_FILE
    if wanted and not 0 <= member.size <= most:
        why = f"{member.size:,} bytes, more than {most:,}"
    if why:
        raise DataError(f"{shard}: {member.name}: {why}; a shard has only regular files, images and their labels")
    return wanted and not any(map(image_files.hidden, path.parts))


def _check_end(shard: Path, archive: tarfile.TarFile) -> None:
    """Refuses a shard that is cut off: `tarfile` takes a damaged header for the end."""
    file: BinaryIO = archive.fileobj  # type: ignore[assignment]
    file.seek(archive.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or any(block):
        raise DataError(f"{shard}: damaged or cut off at byte {archive.offset:,}")


@contextlib.contextmanager
def _damage(shard: Path) -> Iterator[None]:
    try:
        yield
    except (DataError, OSError):
        raise
    except MemoryError as error:
        raise DataError(f"{shard}: would take over {_MEMORY >> 20:,} MiB of memory; damaged") from error
    except Exception as error:  # of damaged files: tarfile's, of zlib, of lzma, and more
        raise DataError(f"{shard}: damaged or not a tar file") from error
