"""Cartoon data sets: a folder in CelebA's format, and pairs of images and their true translations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stargan.data.cartoons.drawing import draw
from stargan.data.cartoons.faces import ATTRIBUTES, EXCLUSIVE, PAIRS, sample, sample_face
from stargan.errors import DataError
from stargan.storage import atomic_write

LIST = "list_attr_cartoons.txt"
IMAGES = "images"


@dataclass(frozen=True)
class Pair:
    """An image and its one true translation.

    Attributes:
        image: The source, RGB.
        source: Its labels, (9,) uint8 in the order of `ATTRIBUTES`.
        target: The target labels: another hair colour, or one binary attribute flipped.
        truth: The same face drawn with `target`.
    """

    image: Image.Image
    source: np.ndarray
    target: np.ndarray
    truth: Image.Image


def pairs(count: int, seed: int, size: int) -> Iterator[Pair]:
    """Yields images with their true translations, each of which changes one thing.

    The targets take turns: the four hair colours, each on a face with another one, then each binary attribute, added in
    one round and removed in the next. No face is one that `sample` returns, whatever its seed.

    Args:
        count: Number of pairs.
        seed: The same seed gives the same pairs.
        size: Side of the images in pixels.
    """
    for index in range(count):
        rng = np.random.default_rng([seed, index, PAIRS])
        face, source = sample_face(rng)
        turn, kind = divmod(index, len(ATTRIBUTES))
        target = source.copy()
        if kind < len(EXCLUSIVE):
            # Some other colour, each equally often.
            before = (kind + 1 + int(rng.integers(len(EXCLUSIVE) - 1))) % len(EXCLUSIVE)
            source[: len(EXCLUSIVE)] = np.arange(len(EXCLUSIVE)) == before
            target[: len(EXCLUSIVE)] = np.arange(len(EXCLUSIVE)) == kind
        else:
            source[kind] = turn % 2
            target[kind] = 1 - source[kind]
        yield Pair(draw(face, source, size), source, target, draw(face, target, size))


def write(
    out: Path, count: int, *, seed: int = 0, size: int = 128, progress: Callable[[int], None] | None = None
) -> None:
    """Writes a data set in CelebA's format: `list_attr_cartoons.txt` and `images/000001.png` onwards.

    The folder appears when it is complete; an interrupted run leaves nothing.

    Args:
        out: The folder; it must be missing or empty. Missing parents are created.
        count: Number of images.
        seed: Image i shows `sample(seed, i)`.
        size: Side of the images in pixels.
        progress: Called after each image with the number of images done.

    Raises:
        DataError: `out` exists and is not an empty folder, or `count` is below 1.
    """
    if count < 1:
        raise DataError(f"count is {count}; must be at least 1")
    out = out.resolve()  # "." has no name of its own to rename to
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists and is not an empty folder; give another folder")
    # Not synced: one fsync takes longer than drawing one face, and the same command draws the same faces again.
    with atomic_write(out, sync=False, folder=True) as temporary:
        _write_into(temporary, count, seed, size, progress)
        if out.exists():
            out.rmdir()


def _write_into(out: Path, count: int, seed: int, size: int, progress: Callable[[int], None] | None) -> None:
    (out / IMAGES).mkdir(parents=True)
    lines = [str(count), " ".join(ATTRIBUTES)]
    for index in range(count):
        face, labels = sample(seed, index)
        name = f"{index + 1:06d}.png"
        draw(face, labels, size).save(out / IMAGES / name)
        lines.append(" ".join([name, *("1" if label else "-1" for label in labels)]))
        if progress:
            progress(index + 1)
    (out / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
