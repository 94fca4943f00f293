"""Atomic writes: at any moment a file is the old one or the new one, whole. And locks between processes."""

import contextlib
import errno
import functools
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def atomic_write(path: Path, *, sync: bool = True, folder: bool = False, ending: str = "") -> Iterator[Path]:
    """Yields a temporary path beside `path`, an empty file or folder, and renames it to `path` at the end.

    If the body raises, what it wrote is removed and `path` stays as it was.

    Args:
        path: The file, or a folder that is missing or empty. Missing parents are created.
        sync: Whether the file must also survive a power cut. This takes an fsync of the file and one of its folder,
            each a few milliseconds.
        folder: Whether to write a folder.
        ending: What the temporary path must end in, such as `.mp4`.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers_once(path.parent.resolve())
    with naming(path):
        with temporary_path(path.parent, folder=folder, ending=ending) as temporary:
            yield temporary
            if sync:
                with temporary.open("r+b") as file:
                    os.fsync(file.fileno())
            temporary.replace(path)
        if sync:
            _sync_folder(path.parent)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names the file in errors of the system: a write to a full disk names none, and temporary names say nothing."""
    try:
        yield
    except OSError as error:
        if error.filename is None or is_temporary(Path(error.filename).name):
            raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
        raise


@contextlib.contextmanager
def temporary_path(parent: Path, *, folder: bool = False, ending: str = "") -> Iterator[Path]:
    """Yields an empty file or folder and removes it at the end; after a crash, `remove_leftovers` removes it.

    It is locked, by which other processes see that it is in use. So it may be overwritten, but not replaced.

    Args:
        parent: The folder to make it in.
        folder: Whether to make a folder.
        ending: What its name must end in.
    """
    while True:
        # Not made of the name of the result: a name of 255 bytes is allowed and leaves no room for more.
        path = parent / f".{os.urandom(8).hex()}.partial{ending}"
        if folder:
            path.mkdir()
        with _locked(path, create=not folder) as still_there:
            if not still_there:  # `remove_leftovers` was between the two
                continue
            try:
                yield path
            finally:
                _remove(path)
            return


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders in a folder that killed processes have left.

    Those of living processes are locked and stay. Where the system has no such locks, everything stays.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in [entry for entry in entries if is_temporary(entry.name)]:
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError), _locked(Path(entry.path), wait=False, required=True):
                    _remove(Path(entry.path))


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is one of `temporary_path`."""
    return _TEMPORARY.fullmatch(name) is not None


@functools.cache
def _remove_leftovers_once(folder: Path) -> None:
    remove_leftovers(folder)


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.partial(\.\w{1,6})?")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Lets one process at a time go on. A crash unlocks the file. Where the system has no such locks, all go on.

    Args:
        path: The file to lock, in a folder that exists. It is made, and removed at the end.
        wait: Whether to wait for the process that has the lock.

    Raises:
        BlockingIOError: Another process has the lock; its text names the process.
    """
    while True:
        with _locked(path, create=True, wait=wait) as still_there:
            if not still_there:  # the process that had the lock has removed the file meanwhile
                continue
            try:
                with naming(path):
                    path.write_text(str(os.getpid()))
                yield
            finally:
                path.unlink(missing_ok=True)
            return


@contextlib.contextmanager
def _locked(path: Path, *, create: bool = False, wait: bool = True, required: bool = False) -> Iterator[bool]:
    """Locks a file or folder; yields whether the path still names it. `required`: raises if there are no locks."""
    try:
        is_folder = path.is_dir()
        flags = (os.O_RDONLY if is_folder else os.O_RDWR) | getattr(os, "O_NOFOLLOW", 0)  # no link to other files
        descriptor = os.open(path, flags | (os.O_CREAT if create and not is_folder else 0), 0o666)
    except FileNotFoundError:
        yield False
        return
    try:
        if fcntl is None:
            raise OSError(errno.ENOTSUP, "no such locks")
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        owner = b"" if is_folder else os.read(descriptor, 20)
        os.close(descriptor)
        raise BlockingIOError(error.errno, f"process {owner.decode()}" if owner.isdigit() else "a process") from error
    except OSError:  # not all file systems have them
        if required or fcntl is None:  # Windows does not rename files that are open
            os.close(descriptor)
            descriptor = -1
        if required:
            raise
    try:
        yield descriptor < 0 or _names(path, descriptor)
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _names(path: Path, descriptor: int) -> bool:
    """Whether a path names the file or folder that is open."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


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


def read_text(path: Path, *, errors: str = "strict") -> str:
    """Reads a text file in UTF-8, see `open_regular`."""
    with open_regular(path) as file:
        return file.read().decode("utf-8", errors)


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
