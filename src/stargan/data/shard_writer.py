"""Writes a data set as WebDataset shards, which any program that knows these can read."""

import contextlib
import io
import json
import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from stargan.data import remote
from stargan.data.sources import Source
from stargan.data.splits import SPLITS
from stargan.domains import UNKNOWN
from stargan.errors import ConfigError
from stargan.images import SUFFIXES
from stargan.progress import Progress
from stargan.storage import atomic_write, cache_folder, temporary_path

_SEED = 0  # of the order of the images


def write(
    source: Source, out: Path, size: int, left_out: Collection[int] = (), *, keep_order: bool = False
) -> list[str]:
    """Writes the images of a data set as they are, with their labels, into `train-000000.tar` and so on.

    The same data give the same bytes, in an order that is random but always the same. Reading the shards gives the same
    labels and splits.

    Args:
        source: The data set.
        out: A folder that is empty or does not exist, or an address.
        size: The number of images in a shard.
        left_out: Rows that are not written.
        keep_order: Whether to write the images in the order of the data. Of sorted data, a shard then has one label.

    Returns:
        The names of the shards.

    Raises:
        ConfigError: There is something already.
        DataError: The address cannot be written.
        OSError: A file cannot be read or written.
    """
    where = remote.address(out)
    cache_folder().mkdir(parents=True, exist_ok=True)
    plan = _plan(source, size, set(left_out), keep_order)
    with Progress(f"write {where or out}", sum(map(len, plan.values())), "images") as progress:
        for name, rows in plan.items():
            with contextlib.ExitStack() as stack:
                if where:
                    file = stack.enter_context(temporary_path(cache_folder()))
                else:
                    file = stack.enter_context(atomic_write(out / name))
                _write_shard(source, rows, file)
                if where:
                    remote.write(file, f"{where.rstrip('/')}/{name}")
            progress.update(progress.done + len(rows))
    return list(plan)


def check_empty(out: Path) -> None:
    """Refuses to write shards beside other files, which would be read with them.

    Raises:
        ConfigError: There is something.
    """
    where = remote.address(out)
    if remote.names(where) if where else out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--shards {where or out}: exists and is not an empty folder; choose another name")


def _plan(source: Source, size: int, left_out: set[int], keep_order: bool) -> dict[str, np.ndarray]:
    """The rows of each shard, by its name."""
    plan = {}
    for split in SPLITS:
        rows = np.array([row for row in source.rows(split) if row not in left_out], int)
        if not keep_order:
            rows = np.random.default_rng(_SEED).permutation(rows)
        for index, start in enumerate(range(0, len(rows), size)):
            plan[f"{split}-{index:06}.tar"] = rows[start : start + size]
    return plan


def _write_shard(source: Source, rows: np.ndarray, path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for row in rows.tolist():
            file = source.path(row)
            suffix = file.suffix.lower() if file.suffix.lower() in SUFFIXES else ".jpg"  # the content decides
            _add(archive, f"{row:09}{suffix}", file.read_bytes())
            _add(archive, f"{row:09}.json", json.dumps(_labels(source, row)).encode())


def _labels(source: Source, row: int) -> dict[str, Any]:
    """The labels of an image, as a table has them: a group is a column, unknown labels are null."""
    found: dict[str, Any] = {}
    column = 0
    for group in source.label_set.groups:
        values = source.labels[row, column : column + len(group.names)]
        column += len(group.names)
        if group.categorical:
            known = values.max() == 1
            found[group.name or "domain"] = group.names[int(values.argmax())] if known else None
        else:
            pairs = zip(group.names, values.tolist(), strict=True)
            found |= {name: None if value == UNKNOWN else value for name, value in pairs}
    return found


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
