"""Data too large for a disk: shards that are read a window at a time, a few of them in a random order.

Each epoch takes all shards of the training split, in an order that follows from the seed and the number of the epoch. A
window is a few of them in a row. The first one shows what the labels are; the shards of later ones must have the same.
All files are in one folder, which belongs to a run alone, so that what a window has left can be deleted.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from stargan.config import Config
from stargan.data import image_files, legends, remote, shards, sources
from stargan.data.sources import Source
from stargan.data.splits import split_of_part
from stargan.data.window_labels import like_first
from stargan.domains import Domains
from stargan.domains.sharing import with_shared
from stargan.errors import DataError
from stargan.progress import Progress, counted
from stargan.storage import atomic_write, cache_folder, lock

FIRST = "first"  # the folder of the first window's images
_ORDER = 2  # the random stream of the shards' order
_THREADS = 8  # shards that are copied at once


@dataclass(frozen=True)
class Windows:
    """The shards of a data set, and which of them are in which window. Windows are counted from 0 over all epochs.

    Attributes:
        where: The path, pattern or address, as the user says it.
        root: The folder or address that names are relative to.
        sizes: By name, the size of each shard in bytes; not all servers tell.
        names: The training shards.
        held_out: The shards of the validation split, if names tell the split.
        named: Whether the name of every shard has the name of a split.
        size: The number of shards in a window, at most.
        seed: Of the order.
    """

    where: str
    root: str
    sizes: Mapping[str, int | None]
    names: tuple[str, ...]
    held_out: tuple[str, ...]
    named: bool
    size: int
    seed: int

    @property
    def count(self) -> int:
        """The number of windows in an epoch."""
        return -(-len(self.names) // self.size)

    @property
    def key(self) -> str:
        """Identifies all shards by their names and sizes, wherever they are."""
        return hashlib.sha256(json.dumps(sorted(self.sizes.items())).encode()).hexdigest()

    def shards(self, number: int) -> tuple[str, ...]:
        """The names of a window's shards. The windows of an epoch have the same number of them, or one less."""
        epoch, index = divmod(number, self.count)
        order = np.random.default_rng([self.seed, _ORDER, epoch]).permutation(len(self.names))
        return tuple(self.names[place] for place in np.array_split(order, self.count)[index])

    def place(self, name: str) -> str:
        """The path or address of a shard."""
        return f"{self.root.rstrip('/')}/{name}"

    def title(self, number: int) -> str:
        """A window for people: `window 3 of 40`, of the second epoch on with the number of the epoch."""
        epoch, index = divmod(number, self.count)
        return f"window {index + 1} of {self.count}" + (f", epoch {epoch + 1}" if epoch else "")


def folder_of(run: Path) -> Path:
    """The folder of a run's windows, in the folder of caches."""
    return cache_folder() / "windows" / hashlib.sha256(os.fsencode(run.resolve())).hexdigest()[:24]


def find(config: Config) -> Windows:
    """Lists the shards of the only data set of a configuration; nothing of them is read.

    Raises:
        DataError: There are no shards, or no more than fit into one window.
    """
    (path,) = config.data
    where = remote.address(path)
    root, sizes = remote.listed(where) if where else _listed(Path(path))
    places = {name: PurePosixPath(name).parent for name in sizes if name.lower().endswith(shards.SUFFIX)}
    if _is_folder(where or path):  # as without windows: the shards in it, or else those in the first of its folders
        first = min((len(place.parts), str(place)) for place in places.values()) if places else (0, "")
        places = {name: place for name, place in places.items() if first == (len(place.parts), str(place))}
    if not places:
        raise DataError(
            f"{where or path}: no shards (.tar), which --window reads a few at a time; stargan data PATH --shards OUT "
            "writes some"
        )
    split = {name: split_of_part(PurePosixPath(name).stem) for name in places}
    named = all(split.values())
    names = tuple(name for name in places if not named or split[name] == "train")
    other = "val" if "val" in split.values() else "eval"
    held_out = tuple(name for name in places if named and split[name] == other)
    size = config.window or len(names)
    if size >= len(names):
        count = counted(len(names), "shard")
        raise DataError(
            f"{where or path}: has {count} to train on, and --window {size} needs more; leave it out, or write smaller "
            "shards"
        )
    return Windows(
        where or path, root, {name: sizes[name] for name in places}, names, held_out, named, size, config.seed
    )


def first(config: Config, windows: Windows, folder: Path) -> tuple[Source, Domains]:
    """Unpacks the first window and reads its labels; with it, as many shards of the validation split, if there are any.

    Args:
        config: All settings.
        windows: All windows.
        folder: Where to unpack it.

    Raises:
        DataError: A shard cannot be read, or its labels cannot be learned.
    """
    names = (*windows.shards(0), *windows.held_out[: windows.size])
    made_once(folder / FIRST, lambda made: unpack(windows, names, made))
    rows, notes = shards.unpacked_rows(folder / FIRST)
    if not rows:
        raise DataError(f"{windows.place(names[0])}: no images in it and the other shards of the first window")
    raw = shards.table(rows, notes, folder / FIRST, splits=windows.named)
    with naming(windows, folder) as path:
        columns = sources.columns_of_table(path, raw, config.attributes, config.bins)
        source = sources.of_columns(path, columns, config.attributes, config.exclusive)
        domains = Domains(with_shared([source.label_set], config.share))
    return split_by_member(windows, source), domains


def later(config: Config, windows: Windows, number: int, folder: Path, images: Path) -> Source:
    """Unpacks a later window, and reads its labels as those of the first one.

    Args:
        config: All settings.
        windows: All windows.
        number: Which of them.
        folder: Where `first` has unpacked the first one; its images may be gone.
        images: Where to unpack it.

    Returns:
        Its training images.

    Raises:
        DataError: A shard cannot be read, or has a label or a value that the first window does not have.
    """

    def shard(file: str) -> str:
        return windows.place(member(windows, file)[0])

    names = windows.shards(number)
    unpack(windows, names, images)
    rows, _ = shards.unpacked_rows(images)
    empty = set(map(windows.place, names)) - {shard(row[shards.IMAGE]) for row in rows}
    if empty:
        raise DataError(f"{min(empty)}: no images in it")
    known, _ = shards.unpacked_rows(folder / FIRST)
    with naming(windows, folder) as path:
        source = like_first(config, path, known, rows, images, splits=windows.named, shard=shard)
    source = split_by_member(windows, source)
    chosen = source.rows("train")
    files = tuple(source.files[row] for row in chosen)
    return replace(source, files=files, labels=source.labels[chosen], split=source.split[chosen])


# ---------------------------------------------------------------- parts


def unpack(windows: Windows, names: Sequence[str], folder: Path) -> None:
    """Unpacks shards, each into a folder of its name. Those at an address are copied first; the copies do not stay."""
    copies, needed = folder / "copies", sum(windows.sizes[name] or 0 for name in names)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: {needed / 1e9:.1f} GB are needed for {len(names)} shards, {free / 1e9:.1f} GB are free; set "
            "STARGAN_CACHE to a larger disk, or take a smaller --window"
        )
    try:
        with saying(copies, windows.root.rstrip("/")):
            shards.unpack(_brought(windows, names, copies), folder, apart=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); set STARGAN_CACHE") from error
    shutil.rmtree(copies, ignore_errors=True)


def _brought(windows: Windows, names: Sequence[str], copies: Path) -> Iterator[tuple[str, Path]]:
    """Yields the name of each shard and where it is on this machine; a copy is deleted after that."""
    where = remote.address(windows.root)

    def bring(name: str) -> Path:
        if where is None:
            return Path(windows.place(name))
        with atomic_write(copies / name, sync=False) as temporary:
            remote.fetch(windows.place(name), temporary)
        return copies / name

    work = "copy and unpack" if where else "unpack"
    with Progress(f"{work} {windows.where}", len(names), "shards") as progress:
        pool = ThreadPoolExecutor(_THREADS)
        try:
            for name, path in zip(names, pool.map(bring, names), strict=True):
                yield name, path
                if where:
                    path.unlink()
                progress.update(progress.done + 1)
        finally:
            pool.shutdown(cancel_futures=True)


def made_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Makes a folder, unless it is there; other processes of the run wait for it meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            with atomic_write(folder, sync=False, folder=True) as making:
                make(making)


def member(windows: Windows, file: str) -> tuple[str, str]:
    """The shard that an unpacked image is from, and its name in there."""
    parts = PurePosixPath(file).parts
    for count in range(1, len(parts)):
        name = f"{'/'.join(parts[:count])}{shards.SUFFIX}"
        if name in windows.sizes:
            return name, "/".join(parts[count:])
    raise ValueError(file)


def split_by_member(windows: Windows, source: Source) -> Source:
    """A data set whose hashed split does not depend on the names of its shards, as without windows."""
    if not source.hashed:
        return source
    return replace(source, split=sources.hashed_split([member(windows, file)[1] for file in source.files]))


@contextlib.contextmanager
def naming(windows: Windows, folder: Path) -> Iterator[Path]:
    """Yields a path that gives the data set its name, and replaces it in errors by what the user has said.

    Files that name numbered labels are beside shards, also at an address, from where they are copied.
    """
    if remote.address(windows.root) is None:
        yield Path(windows.where)
        return
    path = folder / "names" / (PurePosixPath(windows.root).name or "data")
    path.mkdir(parents=True, exist_ok=True)
    for name in remote.names(windows.root) & {*legends.MAPPINGS, *legends.LISTS}:
        if not (path / name).exists():
            with atomic_write(path / name, sync=False) as temporary:
                remote.fetch(windows.place(name), temporary)
    with saying(path, windows.where):
        yield path


@contextlib.contextmanager
def saying(path: Path, where: str) -> Iterator[None]:
    """Replaces a path in the folder of windows, of which the user knows nothing, in errors."""
    try:
        yield
    except DataError as error:
        raise DataError(str(error).replace(str(path), where)) from error


def _is_folder(where: str) -> bool:
    return not where.lower().endswith(shards.SUFFIX) and not set(where) & set("*?[{")


def _listed(path: Path) -> tuple[str, dict[str, int | None]]:
    """The folder that a path or a pattern is about, and the sizes of its shards by their names, in order."""
    if path.is_dir():
        found = [*path.glob(f"*{shards.SUFFIX}"), *path.glob(f"*/*{shards.SUFFIX}")]
        if not found or image_files.find(path).files:  # beside images, a tar file is where they came from
            return str(path), {}
        root = path
    else:
        found = shards.matching(path)
        missing = [file for file in found if not file.is_file()]
        if missing or not found:
            raise DataError(f"{missing[0] if missing else path}: no such file")
        root = Path(os.path.commonpath([file.parent for file in found]))
    names = {file.relative_to(root).as_posix(): file.stat().st_size for file in found}
    return str(root), {name: names[name] for name in sorted(names) if not image_files.hidden(PurePosixPath(name).name)}
