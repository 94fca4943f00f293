"""Atomic writes: at any moment a file is the old one or the new one, whole."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside `path`, for a file or a folder, and renames it to `path` at the end.

    If the body raises, what it wrote is removed and `path` stays as it was.

    Args:
        path: The file, or a folder that is missing or empty. Missing parents are created.
        sync: Whether the file must also survive a power cut. This takes an fsync of the file and one of its folder,
            each a few milliseconds.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not made of `path.name`: a name of 255 bytes is allowed and leaves no room for more.
    temporary = path.with_name(f".{os.urandom(8).hex()}.partial")
    try:
        yield temporary
        if sync:
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # A write to a full disk names no file, and the temporary name says nothing to the user.
        if error.filename is None or str(error.filename).startswith(str(temporary)):
            raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
    if sync:
        _sync_folder(path.parent)


def cache_folder() -> Path:
    """Where files are kept that can be made again: $STARGAN_CACHE, $XDG_CACHE_HOME/stargan or ~/.cache/stargan."""
    if os.environ.get("STARGAN_CACHE"):
        return Path(os.environ["STARGAN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stargan"


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically and durably, see `atomic_write`.

    Args:
        path: The file. Missing parents are created.
        content: All bytes of the file.

    Raises:
        OSError: It cannot be written. Nothing is left behind.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def reserve(path: Path) -> None:
    """Takes all the disk space that a file with holes may need, so that writing to it in memory cannot fail.

    Raises:
        OSError: There is not enough space; the error names what is needed and what is free.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise OSError(error.errno, f"{size} bytes are needed, {free} are free") from error
            raise


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading. Never waits, as opening a pipe would.

    Raises:
        OSError: It cannot be read, or is a folder, pipe, socket or device.
    """

    def regular(mode: int) -> None:
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a pipe, socket or device, not a file", str(path))

    regular(path.stat().st_mode)  # first, since opening a device may already do something
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  (the caller closes it)
    try:
        regular(os.fstat(file.fileno()).st_mode)  # again, since it may have been replaced meanwhile
    except OSError:
        file.close()
        raise
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no such call
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
