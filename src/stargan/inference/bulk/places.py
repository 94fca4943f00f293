"""Files of a job, which are on disks or at addresses."""

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stargan.data import remote
from stargan.storage import atomic_write, cache_folder, read_text, temporary_path, write_bytes


@contextlib.contextmanager
def local(where: str) -> Iterator[Path]:
    """Yields a file under its own name; of one at an address, a copy for this time only."""
    if not remote.address(where):
        yield Path(where)
        return
    with _scratch() as folder:
        file = folder / PurePosixPath(where).name
        remote.fetch(where, file)
        yield file


@contextlib.contextmanager
def written(where: str) -> Iterator[Path]:
    """Yields a file that is at its place, whole, at the end."""
    if not remote.address(where):
        with atomic_write(Path(where)) as file:
            yield file
        return
    with _scratch() as folder:
        file = folder / "out"
        yield file
        remote.write(file, where)


def read(where: str) -> bytes:
    """The content of a file.

    Raises:
        DataError, OSError: It cannot be read.
    """
    return remote.read_bytes(where) if remote.address(where) else Path(where).read_bytes()


def read_marker(where: str) -> str | None:
    """The text of a small file; None if there is none."""
    if remote.address(where):
        content = remote.read(where)
        return None if content is None else content.decode("utf-8", "replace")
    return read_text(Path(where)) if Path(where).exists() else None


def write(where: str, content: bytes, *, sync: bool = True) -> None:
    """Writes a file, whole or not at all; without `sync`, it may get lost in a power cut."""
    if remote.address(where):
        remote.write_bytes(where, content)
    elif sync:
        write_bytes(Path(where), content)
    else:
        with atomic_write(Path(where), sync=False) as file:
            file.write_bytes(content)


def remove(where: str) -> None:
    """Removes a file, if there is one."""
    if remote.address(where):
        remote.remove(where)
    else:
        Path(where).unlink(missing_ok=True)


def names(where: str) -> set[str]:
    """The paths of all files below a folder or an address; none if there is no such place. Listed once."""
    if remote.address(where):
        return remote.names_below(where)
    root = Path(where)
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with temporary_path(cache_folder(), folder=True) as folder:
        yield folder
