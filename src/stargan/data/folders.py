"""A folder of folders: each folder with images in it is a domain."""

from pathlib import Path

import numpy as np

from stargan.data.columns import Columns
from stargan.errors import DataError
from stargan.images import SUFFIXES

SPLIT_FOLDERS = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}


def read(path: Path) -> Columns:
    """Reads `PATH/<domain>/...`, or `PATH/train/<domain>/...` with `val` and `test` beside `train`.

    Raises:
        DataError: Fewer than two domains; the line says what was found and suggests another folder.
    """
    parts = {folder.name: SPLIT_FOLDERS[folder.name.lower()] for folder in _folders(path) if _is_split(folder)}
    others = [folder.name for folder in _folders(path) if folder.name not in parts and _images(folder)]
    if parts and others:
        raise DataError(f"{path}: {', '.join(parts)} are splits, but {', '.join(others)} beside them is not")
    trees = [(path / name, split) for name, split in sorted(parts.items())] if parts else [(path, -1)]
    files: list[str] = []
    domains: list[str] = []
    splits: list[int] = []
    for tree, split in trees:
        for folder in _folders(tree):
            inside = [str(file.relative_to(path).as_posix()) for file in _images(folder)]
            files += inside
            domains += [folder.name] * len(inside)
            splits += [split] * len(inside)
    names = tuple(sorted(set(domains)))
    flat = [name for name in names if name.lower() in SPLIT_FOLDERS]
    if len(flat) == len(names) > 1:
        raise DataError(f"{path}: images directly in {', '.join(flat)}; each must contain one folder for each domain")
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
    return sorted(inner for inner in path.iterdir() if inner.is_dir() and not _hidden(inner.name))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _images(folder: Path) -> list[Path]:
    found = [file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
    return sorted(file for file in found if not any(map(_hidden, file.relative_to(folder).parts)))


def _is_split(folder: Path) -> bool:
    return folder.name.lower() in SPLIT_FOLDERS and any(_images(inner) for inner in _folders(folder))


def _too_few(path: Path, names: tuple[str, ...], count: int) -> str:
    rule = "must be a folder with one folder of images for each domain, at least two"
    if not names:
        beside = sum(file.suffix.lower() in SUFFIXES for file in path.iterdir())
        if beside:
            return f"{path}: {beside} images but no folders or list of labels; {rule}, or {path.resolve().parent}?"
        return f"{path}: no images and no list of labels; {rule}"
    empty = [folder.name for folder in _folders(path) if not _images(folder)]
    if empty:
        return f"{path}: only one domain, {names[0]!r} with {count} images; no images in {', '.join(empty)}"
    inner = [folder for folder in _folders(path / names[0]) if _images(folder)]
    if len(inner) > 1:
        return f"{path}: only one domain, {names[0]!r} with {count} images; did you mean {path / names[0]}?"
    return f"{path}: only one domain, {names[0]!r} with {count} images; {rule}"
