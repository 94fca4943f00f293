"""Small shards, and what must be the same in two data sets."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from stargan.data.sources import Source


def image(colour: int = 0, side: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (colour, 90, 90)).save(file, "PNG")
    return file.getvalue()


def write_shard(path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content, io.BytesIO(b"\0" * content.size))
            else:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def samples(first: int, count: int) -> dict[str, bytes | tarfile.TarInfo]:
    found: dict[str, bytes | tarfile.TarInfo] = {}
    for index in range(first, first + count):
        labels = {"season": ("summer", "winter")[index % 2], "snow": index % 2, "caption": f"photo {index}"}
        found[f"{index:05}.png"] = image(index)
        found[f"{index:05}.json"] = json.dumps(labels).encode()
    return found


def assert_same(one: Source, other: Source) -> None:
    """Compares a data set with shards that were written of it, in whose names the rows are numbered."""
    assert one.label_set.groups == other.label_set.groups
    for split in ("train", "val", "test"):
        rows, others = one.rows(split), sorted(other.rows(split), key=lambda row: other.path(row).name)
        assert np.array_equal(one.labels[rows], other.labels[others])
        assert [one.path(row).read_bytes() for row in rows] == [other.path(row).read_bytes() for row in others]
