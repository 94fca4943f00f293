"""Writes three data sets on which `quality.py` can compare recipes, besides aligned faces.

- `emoji`: a folder for each of four styles of drawing. SOURCE holds the unpacked packages emoji-datasource-apple,
  -google, -twitter and -facebook, each in a folder of any name. The same emoji is in the same split in all styles.
- `unaligned`: a table of photographs in which the faces are not aligned: CelebA's images, each turned by up to 20
  degrees, enlarged or reduced and moved at random.
- `hair`: a table with one column of four values, of the images of CelebA with exactly one of four hair colours.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from options import Parser, command
from PIL import Image

from stargan.data import sources
from stargan.data.splits import SPLITS
from stargan.errors import DataError

STYLES = ("apple", "google", "twitter", "facebook")
SKIN_TONES = ("1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff")  # the same drawing in other colours: left out
HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
LABELS = (*HAIR[:3], "Male", "Smiling")  # of `unaligned`
SIDE = 128  # pixels of the unaligned photographs


def main() -> int:
    """Writes one data set."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("emoji", "unaligned", "hair"))
    parser.add_argument("source", type=Path, help="the packages of the emoji, or a folder in CelebA's format")
    parser.add_argument("out", type=Path, help="folder to write")
    options = parser.parse_args()
    if options.out.exists():
        raise DataError(f"{options.out}: exists; name a folder that does not")
    count = {"emoji": emoji, "unaligned": unaligned, "hair": hair}[options.kind](options.source, options.out)
    print(f"{options.out}: {count} images")
    return 0


def emoji(source: Path, out: Path) -> int:
    """Writes `out`/split/style/name.png, on white; a tenth of the names is for validation and a tenth for the test."""
    count = 0
    for style in STYLES:
        drawings = sorted(source.glob(f"**/img/{style}/64/*.png"))
        if not drawings:
            raise DataError(
                f"{source}: no img/{style}/64/*.png in it; unpack the package emoji-datasource-{style} there"
            )
        for path in drawings:
            if any(tone in path.stem for tone in SKIN_TONES):
                continue
            part = int(hashlib.sha256(path.stem.encode()).hexdigest(), 16) % 10
            folder = out / {0: "val", 1: "test"}.get(part, "train") / style
            folder.mkdir(parents=True, exist_ok=True)
            drawn = Image.open(path).convert("RGBA")
            Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB").save(folder / path.name)
            count += 1
    return count


def unaligned(source: Path, out: Path) -> int:
    """Writes `out`/images and `out`/labels.csv."""
    images = list(_celeba(source, LABELS))
    (out / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for path, values, split in images:
        _moved(Image.open(path).convert("RGB"), rng).save(out / "images" / path.name, quality=92)
        rows.append((f"images/{path.name}", *values, split))
    return _table(out, ("path", *LABELS, "split"), rows)


def hair(source: Path, out: Path) -> int:
    """Writes `out`/labels.csv, with the paths of the images where they are."""
    rows = [
        (path.resolve(), HAIR[values.index(1)], split)
        for path, values, split in _celeba(source, HAIR)
        if sum(values) == 1
    ]
    out.mkdir(parents=True)
    return _table(out, ("path", "hair", "split"), rows)


def _celeba(folder: Path, labels: tuple[str, ...]) -> Iterator[tuple[Path, tuple[int, ...], str]]:
    """Yields the path, the labels as 1 and 0, and the split of each image."""
    data = sources.find(folder, labels)
    for row, own in enumerate(data.labels):
        yield data.path(row), tuple(int(value == 1) for value in own), SPLITS[data.split[row]]


def _moved(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A square view of the image: turned, from 0.65 to 1.1 of its width, and off centre; mirrored beyond its edge."""
    pixels = np.asarray(image)
    border = max(image.size)
    wide = Image.fromarray(np.pad(pixels, ((border, border), (border, border), (0, 0)), "reflect"))
    angle, share = np.radians(rng.uniform(-20, 20)), rng.uniform(0.65, 1.1)
    scale = share * image.width / SIDE
    middle = np.array(wide.size) / 2 + rng.uniform(-0.12, 0.12, 2) * image.width
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    x, y = middle - (SIDE / 2) * np.array([cos + sin, cos - sin])
    return wide.transform((SIDE, SIDE), Image.Transform.AFFINE, (cos, sin, x, -sin, cos, y), Image.Resampling.BICUBIC)


def _table(out: Path, header: tuple[str, ...], rows: list[tuple]) -> int:
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return len(rows)


if __name__ == "__main__":
    sys.exit(command(main))
