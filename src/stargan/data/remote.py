"""Data at addresses such as `s3://bucket/faces`. fsspec copies them once, into the folder of caches."""

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from stargan.data import shards
from stargan.errors import DataError, MissingExtraError, require
from stargan.progress import Progress
from stargan.storage import atomic_write, cache_folder

_THREADS = 16  # files that are copied at once: small ones mostly wait
_WILD = "*?["


def address(path: Path | str) -> str | None:
    """The address that a path stands for, such as `s3://bucket/faces`; None if it is none."""
    match = re.fullmatch(r"(\w{2,}):/+(.*)", str(path), re.DOTALL)  # of the two slashes, a path keeps one
    return f"{match[1]}://{match[2]}" if match else None


def local(where: str) -> Path:
    """Copies what is at an address, unless that was done before and nothing has changed there.

    An interrupted copy goes on where it was.

    Args:
        where: The address of a file, of a folder, or of several files, as `s3://bucket/train-{000..127}.tar`.

    Returns:
        The copy: a file, or a folder.

    Raises:
        MissingExtraError: fsspec or its part for this kind of address is not installed.
        DataError: It cannot be read, or is larger than the disk has room for.
    """
    with _readable(where):
        system, root, files = _listing(where)
    state = json.dumps([where, sorted((name, *map(str, _state(info))) for name, info in files.items())])
    base = cache_folder() / "remote" / hashlib.sha256(state.encode()).hexdigest()[:24]
    folder = base / _name(root)
    if list(files) == [""]:
        paths = {folder: (root, files[""])}
    else:
        paths = {folder / name: (f"{root.rstrip('/')}/{name}", info) for name, info in files.items()}
    missing = {path: entry for path, entry in paths.items() if not path.exists()}
    _check_room(where, sum(info.get("size") or 0 for _, info in missing.values()), base)
    with Progress(f"copy {where}", len(paths), "files", len(paths) - len(missing)) as progress:

        def copy(item: tuple[Path, tuple[str, dict[str, Any]]]) -> None:
            path, (remote, _) = item
            with _readable(where), atomic_write(path, sync=False) as temporary:
                system.get_file(remote, str(temporary))

        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(copy, missing.items()):
                progress.update(progress.done + 1)
    return folder


def write(file: Path, where: str) -> None:
    """Writes a file to an address.

    Raises:
        MissingExtraError: As `local`.
        DataError: It cannot be written.
    """
    with _readable(where, "written"):
        system, path = _system(where)
        system.put_file(str(file), path)


def write_bytes(where: str, content: bytes) -> None:
    """Writes a small file to an address.

    Raises:
        MissingExtraError, DataError: As `write`.
    """
    with _readable(where, "written"):
        system, path = _system(where)
        system.pipe_file(path, content)


def remove(where: str) -> None:
    """Removes a file at an address, if there is one.

    Raises:
        MissingExtraError: As `local`.
        DataError: It cannot be removed.
    """
    with _readable(where, "removed"), contextlib.suppress(FileNotFoundError):
        system, path = _system(where)
        system.rm_file(path)


def listed(where: str) -> tuple[str, dict[str, int | None]]:
    """The address of the folder at an address, and the sizes in bytes of the files below it, by their paths, in order.

    They are not copied. Not all servers tell sizes.

    Raises:
        MissingExtraError, DataError: As `local`.
    """
    with _readable(where):
        system, root, files = _listing(where)
        if list(files) == [""]:
            root, _, name = root.rpartition("/")
            files = {name: files[""]}
        sizes = {name: files[name].get("size") for name in sorted(files)}
        return str(system.unstrip_protocol(root.rstrip("/"))), sizes


def fetch(where: str, file: Path) -> None:
    """Copies one file from an address, over another.

    Raises:
        MissingExtraError, DataError: As `local`.
    """
    with _readable(where):
        system, path = _system(where)
        system.get_file(path, str(file))


def read(where: str) -> bytes | None:
    """The content of a small file at an address; None if there is none.

    Raises:
        MissingExtraError, DataError: As `local`.
    """
    with _readable(where):
        system, path = _system(where)
        try:
            found: bytes = system.cat_file(path)
        except FileNotFoundError:
            return None
        return found


def read_bytes(where: str) -> bytes:
    """The content of a file at an address.

    Raises:
        MissingExtraError, DataError: As `local`.
    """
    content = read(where)
    if content is None:
        raise DataError(f"{where}: no such file")
    return content


def names_below(where: str) -> set[str]:
    """The paths of all files below an address, in it and in its folders; none if nothing is there.

    Raises:
        MissingExtraError, DataError: As `local`.
    """
    with _readable(where):
        system, root = _system(where)
        try:
            return {path.removeprefix(root).lstrip("/") for path in system.find(root)}
        except FileNotFoundError:
            return set()


def names(where: str) -> set[str]:
    """The names of the files right below an address; none if nothing is there.

    Raises:
        MissingExtraError, DataError: As `local`.
    """
    with _readable(where):
        system, root = _system(where)
        try:
            return {PurePosixPath(path).name for path in system.ls(root, detail=False)}
        except FileNotFoundError:
            return set()


def _system(where: str) -> tuple[Any, str]:
    library = require("fsspec", "remote", "use data at addresses")
    system, root = library.core.url_to_fs(where)
    system.invalidate_cache()
    return system, root


def _listing(where: str) -> tuple[Any, str, dict[str, dict[str, Any]]]:
    """The file system, the folder at an address, and its files by their names below it; a single file is called ""."""
    patterns = shards.expanded(where)
    system, root = _system(patterns[0])
    if len(patterns) > 1 or any(char in root for char in _WILD):
        roots = [system._strip_protocol(pattern) for pattern in patterns]

        def look(each: str) -> dict[str, dict[str, Any]]:
            if any(char in each for char in _WILD):
                there: dict[str, dict[str, Any]] = system.glob(each, detail=True)
                return there
            return {each: system.info(each)}

        pool = ThreadPoolExecutor(_THREADS)
        try:
            found = {path: info for there in pool.map(look, roots) for path, info in there.items()}
        finally:
            pool.shutdown(cancel_futures=True)
        root = re.split(r"[*?\[{]", system._strip_protocol(where))[0].rpartition("/")[0]
    elif system.isfile(root):
        return system, root, {"": system.info(root)}
    else:
        found = system.find(root, detail=True)
    if not found:
        raise FileNotFoundError(where)
    files = {path.removeprefix(root).lstrip("/"): info for path, info in found.items()}
    for name in files:
        if not name or {"", ".", ".."} & set(name.split("/")):
            raise DataError(f"{where}: {name!r} cannot be the name of a file here; rename it, or name other files")
    return system, root, files


def _state(info: dict[str, Any]) -> tuple[object, object]:
    """What changes with a file: its size, and the first that the server tells of a checksum or a time."""
    kinds = (
        "ETag",
        "etag",
        "md5Hash",
        "crc32c",
        "sha256",
        "LastModified",
        "last_modified",
        "updated",
        "mtime",
        "blob_id",
    )
    return info.get("size"), next((info[kind] for kind in kinds if info.get(kind)), None)


def _name(root: str) -> str:
    name = PurePosixPath(re.sub(r"[?#].*", "", root)).name
    return name if name not in ("", ".", "..") else "data"


def _check_room(where: str, size: int, base: Path) -> None:
    base.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(base).free
    if size > free:
        needed = f"{size / 1e9:.1f} GB to copy, {free / 1e9:.1f} GB are free"
        raise DataError(f"{where}: has {needed}; set STARGAN_CACHE to a larger disk")


@contextlib.contextmanager
def _readable(where: str, done: str = "read") -> Iterator[None]:
    """Turns what any of fsspec's libraries raises into one line."""
    try:
        yield
    except (DataError, MissingExtraError):
        raise
    except FileNotFoundError as error:
        raise DataError(f"{where}: no such file or folder") from error
    except ImportError as error:
        scheme = where.partition(":")[0]
        library = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub"}.get(scheme, error.name)
        raise MissingExtraError(f"{library} is needed for {scheme}:// addresses: pip install {library}") from error
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(f"{where}: cannot be {done} ({first[:200]})") from error
