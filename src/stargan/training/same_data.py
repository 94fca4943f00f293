"""Whether the data of a resumed run are those it was begun with: the labels, and the content of the images."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stargan.data.cache import CachedImages
from stargan.data.sources import Source
from stargan.data.windows import Windows
from stargan.errors import CheckpointError
from stargan.model import run_folder
from stargan.storage import read_text, write_bytes

NAMED = 3  # changed images that an error names


def data_key(found: Sequence[Source], windows: Windows | None = None) -> str:
    """Returns a digest of which images have which labels and split; it does not depend on their folder.

    If the data are read in windows, `found` is the first one, and the names and sizes of all shards are added.
    """
    digest = hashlib.sha256()
    for source in found:
        digest.update(json.dumps([source.files, source.label_set.names]).encode())
        digest.update(np.ascontiguousarray(source.labels).tobytes() + source.split.tobytes())
    if windows:
        digest.update(windows.key.encode())
    return digest.hexdigest()


def save(run: Path, key: str, cached: Sequence[CachedImages]) -> None:
    """Writes what `check` compares: the key of the data, and the digest of every image's file."""
    content = {"data_key": key, "images": [images.digests for images in cached]}
    write_bytes(run / run_folder.DATA, (json.dumps(content) + "\n").encode())


def check(run: Path, key: str, found: Sequence[Source], cached: Sequence[CachedImages]) -> str:
    """Compares the data with those of a run; a run of an earlier version has nothing to compare with.

    Returns:
        What has changed in the images, in words; empty if nothing has.

    Raises:
        CheckpointError: The labels have changed, or what is saved is damaged.
    """
    path = run / run_folder.DATA
    try:
        saved = json.loads(read_text(path))
        before = [list(map(int, digests)) for digests in saved["images"]]
        same_key = saved["data_key"] == key
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged; delete it to resume without comparing the images") from error
    now = [images.digests for images in cached]
    if not same_key or list(map(len, before)) != list(map(len, now)):
        hint = f" with --start-from {run}" if run_folder.checkpoints(run) else ""
        raise CheckpointError(f"{run}: the images or labels have changed since this run; start a new run{hint}")
    changed = [
        source.files[row]
        for source, old, new in zip(found, before, now, strict=True)
        for row in range(len(old))
        if old[row] != new[row]
    ]
    if not changed:
        return ""
    named = ", ".join(changed[:NAMED]) + (", ..." if len(changed) > NAMED else "")
    return f"{len(changed)} of {sum(map(len, now))} images have changed since this run or are gone: {named}"
