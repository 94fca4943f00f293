"""Small data sets of every kind, which the tests write."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stargan.data.sources import find
from stargan.errors import StarganError

HAIR = "Black,Blond,Brown"


def write_image(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def celeba(root: Path, names: str, rows: dict[str, str], *, images: str = "img_align_celeba") -> Path:
    """A folder in CelebA format; each row is an image and its values, each + or -."""
    values = {name: " ".join(" 1" if sign == "+" else "-1" for sign in signs) for name, signs in rows.items()}
    lines = [str(len(rows)), names, *(f"{name}  {signs}" for name, signs in values.items())]
    for name in rows:
        write_image(root / images / name)
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return root


def faces(root: Path) -> Path:
    """Ten images: hair colours (two images show none), Male, and Bald, which nobody is."""
    signs = ["+----", "-+-+-", "--+--", "+--+-", "-----", "-+---", "--++-", "+----", "-+-+-", "-----"]
    return celeba(root, "Black Blond Brown Male Bald", {f"{i:03}.png": s for i, s in enumerate(signs)})


def table(path: Path, rows: list[dict[str, object]], delimiter: str = ",") -> Path:
    for row in rows:
        write_image(path.parent / str(row["path"]))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def some_rows() -> list[dict[str, object]]:
    return [
        {"path": f"images/{i}.png", "smiling": i % 2, "season": ("winter", "summer")[i // 2 % 2], "age": i * 1.5}
        for i in range(8)
    ]


def error_line(path: Path, *args: list[str]) -> str:
    """The error's text, which is one line."""
    with pytest.raises(StarganError) as caught:
        find(path, *args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_photo(path: Path, seed: int = 0) -> Path:
    """An image with as many colours as a photo has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_mask(path: Path) -> Path:
    """A black image with a white square."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (24, 24))
    image.paste(255, (6, 6, 18, 18))
    image.save(path)
    return path
