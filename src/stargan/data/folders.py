"""A folder of folders: each folder with pictures in it is a domain."""

from pathlib import Path

import numpy as np

from stargan.data.columns import Columns
from stargan.errors import DataError
from stargan.images import SUFFIXES

SPLIT_FOLDERS = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}


def read(path: Path) -> Columns:
    """Reads `PATH/<domain>/...`, or `PATH/train/<domain>/...` with `val` and `test` beside `train`.

    Raises:
        DataError: Fewer than two domains; the line says what was found and which folder may have been meant.
    """
    parts = {folder.name: SPLIT_FOLDERS[folder.name.lower()] for folder in _folders(path) if _is_split(folder)}
    if parts and len(parts) == len(_folders(path)):
        trees = [(path / name, split) for name, split in sorted(parts.items())]
    else:
        trees = [(path, -1)]
    files: list[str] = []
    domains: list[str] = []
    splits: list[int] = []
    for tree, split in trees:
        for folder in _folders(tree):
            inside = [str(file.relative_to(path).as_posix()) for file in _pictures(folder)]
            files += inside
            domains += [folder.name] * len(inside)
            splits += [split] * len(inside)
    names = tuple(sorted(set(domains)))
    if len(names) < 2:
        raise DataError(_too_few(path, names, len(files)))
    return Columns(
        path=path,
        kind="folders",
        root=path,
        files=tuple(files),
        groups={"domain": (names, np.array([names.index(domain) for domain in domains]))},
        split=np.array(splits, np.uint8) if splits[0] >= 0 else None,
    )


def _folders(path: Path) -> list[Path]:
    hidden = ("__MACOSX",)
    return sorted(p for p in path.iterdir() if p.is_dir() and p.name not in hidden and not p.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    found = folder.rglob("*")
    return sorted(f for f in found if f.suffix.lower() in SUFFIXES and not f.name.startswith(".") and f.is_file())


def _is_split(folder: Path) -> bool:
    return folder.name.lower() in SPLIT_FOLDERS and any(_pictures(inner) for inner in _folders(folder))


def _too_few(path: Path, names: tuple[str, ...], count: int) -> str:
    rule = "must be a folder with one folder of pictures for each domain, at least two"
    if not names:
        beside = sum(file.suffix.lower() in SUFFIXES for file in path.iterdir())
        if beside:
            return f"{path}: {beside} pictures but no folders or list of labels; {rule}, or {path.resolve().parent}?"
        return f"{path}: no pictures and no list of labels; {rule}"
    inner = [folder for folder in _folders(path / names[0]) if _pictures(folder)]
    if len(inner) > 1:
        return f"{path}: only one domain, {names[0]!r} with {count} pictures; did you mean {path / names[0]}?"
    return f"{path}: only one domain, {names[0]!r} with {count} pictures; {rule}"
