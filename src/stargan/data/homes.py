"""Data sets as other programs keep them: Hugging Face's folders and Parquet files, WebDataset's shards, StyleGAN's."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from stargan import machine
from stargan.data import image_files, legends, shards, text, text_tables, unpacked
from stargan.data.splits import split_of, split_of_part
from stargan.data.text_tables import Cell, RawTable, cell
from stargan.errors import DataError, require

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
STYLEGAN = "dataset.json"
SPLIT = "split"
_PARQUET_MEMORY, _PARQUET_RATIO = 2**30, 64  # bytes that any file may take; and for each of its own
_ALONE = {"use_threads": False, "pre_buffer": False}  # threads would take address space, which is bounded
_NAMES = "names.json"  # in a folder of unpacked images: their names by row


def find(folder: Path) -> RawTable | None:
    """The table of a folder in one of these forms, or None.

    `metadata.jsonl` (or .csv, .parquet) beside the images, or one for each folder of a split; Parquet files, in it or
    in a folder such as `data`, with the split at the beginning of their names; shards, likewise; `dataset.json`.

    Raises:
        DataError: A file is malformed.
    """
    if (folder / STYLEGAN).is_file():
        return read_json(folder / STYLEGAN)
    places = [folder, *_folders(folder)]
    found = [(place, file) for place in places if (file := _metadata(place))]
    if found:
        return _joined(folder, found)
    for place in places:
        for ending, reader in PARTS.items():
            parts = sorted(path for path in place.glob(f"*{ending}") if not image_files.hidden(path.name))
            # Beside images, a tar file is where they came from.
            if parts and not (ending == shards.SUFFIX and image_files.find(folder).files):
                return reader(*parts)
    return None


def of_pattern(pattern: Path) -> RawTable | None:
    """The table of all files that a pattern such as `train-{000..127}.tar` means; None if it means none.

    Raises:
        DataError: A file is malformed or of another kind than the others.
    """
    parts = shards.matching(pattern)
    endings = {path.suffix.lower() for path in parts}
    if not parts or not endings <= PARTS.keys() or not parts[0].exists():
        return None
    if len(endings) > 1:
        raise DataError(f"{pattern}: files of several kinds: {', '.join(sorted(endings))}; name one of them")
    return PARTS[endings.pop()](*parts)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not image_files.hidden(path.name) and path.is_dir())


def _metadata(folder: Path) -> Path | None:
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def _joined(folder: Path, found: Sequence[tuple[Path, Path]]) -> RawTable:
    """One table of those in a folder and in the folders of its splits."""
    tables = []
    for place, file in found:
        table = READERS[file.suffix](file)
        if place != folder:
            names = table.columns.get("file_name", [])
            table.columns["file_name"] = [f"{place.name}/{name}" if name else name for name in names]
        tables.append((split_of(place.name) if place != folder else None, table))
    return _concatenated(tables)


def _concatenated(tables: Sequence[tuple[str | None, RawTable]]) -> RawTable:
    """The rows of all tables, each of which may be a split."""
    columns: dict[str, list[Cell]] = {name: [] for _, table in tables for name in table.columns}
    splits: list[Cell] = []
    for split, table in tables:
        for name, cells in columns.items():
            cells += table.columns.get(name, [""] * table.count)
        splits += [split or ""] * table.count
    if all(splits):
        columns[SPLIT] = splits
    notes = [note for _, table in tables for note in table.notes]
    return RawTable(columns, {name: names for _, table in tables for name, names in table.legends.items()}, notes)


# ---------------------------------------------------------------- Parquet


def read_parquet(*files: Path) -> RawTable:
    """Reads a Parquet file, or all parts of a data set; images in it are unpacked.

    Raises:
        MissingExtraError: PyArrow is not installed.
        DataError: A file is damaged, or needs far more memory than its size explains.
    """
    library = require("pyarrow.parquet", "parquet", "read .parquet tables")
    size = sum(file.stat().st_size for file in files)
    limit = _PARQUET_MEMORY + _PARQUET_RATIO * size
    try:
        with machine.bounded(limit):  # damaged pages claim any size
            return _parquet(library, files)
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f"{files[0]}: {size:,} bytes of Parquet that would take over {limit >> 20:,} MiB of memory; damaged, or "
            "to be written again with smaller pages"
        ) from error
    except Exception as error:  # pyarrow's errors share no base class
        raise DataError(f"{files[0]}: not a parquet table ({str(error).splitlines()[0][:200]})") from error


def _parquet(library: Any, files: Sequence[Path]) -> RawTable:
    schema = library.read_schema(files[0])
    images = next((field.name for field in schema if _has_images(field.type)), None)
    others = [name for name in schema.names if name != images]
    tables = [(split_of_part(file.stem), _table(library, file, others)) for file in files]
    table = _concatenated(tables) if len(files) > 1 else tables[0][1]
    legend = _legends(schema.metadata or {})
    if images is None:
        return RawTable(table.columns, legend)
    folder = unpacked.once(files, lambda folder: _unpack(library, files, images, folder))
    names = json.loads((folder / _NAMES).read_text("utf-8"))
    return RawTable({images: names, **table.columns}, legend, images=images, folder=folder)


def _has_images(kind: Any) -> bool:
    """Whether a column has the bytes of files, as `datasets` writes them: alone, or beside a path."""
    children = {kind.field(index).name for index in range(kind.num_fields)} if str(kind).startswith("struct") else set()
    return "bytes" in children or str(kind) in ("binary", "large_binary")


def _table(library: Any, file: Path, names: Sequence[str]) -> RawTable:
    read = library.read_table(file, columns=list(names), **_ALONE).to_pydict() if names else {}
    return RawTable({name: [cell(value) for value in values] for name, values in read.items()})


def _legends(metadata: dict[bytes, bytes]) -> dict[str, dict[str, str]]:
    """The names of labels that `datasets` keeps in a Parquet file."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: legends.names_of(of["names"]) for name, of in features.items() if "names" in of}
    except (KeyError, TypeError, ValueError):
        return {}


def _unpack(library: Any, files: Sequence[Path], images: str, folder: Path) -> None:
    """Writes all images, one batch of rows at a time, and their names by row."""
    written: list[str] = []
    used: Counter[str] = Counter()
    for file in files:
        reader = library.ParquetFile(file, pre_buffer=False)
        for batch in reader.iter_batches(columns=[images], batch_size=64, use_threads=False):
            for value in batch.column(0).to_pylist():
                content, path = (value, None) if not isinstance(value, dict) else (value["bytes"], value.get("path"))
                name = PurePosixPath((path or "").replace("\\", "/")).name
                name = name if name and not used[name] else f"{len(written):08}{PurePosixPath(name).suffix}"
                used[name] += 1
                written.append(name)
                if content is None and path and (file.parent / path).is_file():  # `datasets` may keep paths alone
                    content = (file.parent / path).read_bytes()
                if content:  # without it, the row counts as an unreadable image
                    (folder / name).write_bytes(content)
    (folder / _NAMES).write_text(json.dumps(written), "utf-8")


# ---------------------------------------------------------------- JSON


def read_json(path: Path) -> RawTable:
    """Reads StyleGAN's `dataset.json`, or a list of objects, one for each image.

    Raises:
        DataError: It is neither, or has no labels.
    """
    try:
        data = json.loads(text.read(path)[0])
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if isinstance(data, list) and data and all(isinstance(item, dict) for item in data):
        return text_tables.of_records(data)
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, list) or not labels or not all(isinstance(x, list) and len(x) == 2 for x in labels):
        raise DataError(f"{path}: has no labels; must have 'labels': [['1.png', 0], ...], or be a list of objects")
    return RawTable({"path": [cell(name) for name, _ in labels], "label": [cell(label) for _, label in labels]})


PARTS: dict[str, Callable[..., RawTable]] = {".parquet": read_parquet, shards.SUFFIX: shards.read}
"""The function that reads several files of a kind as one table."""
READERS: dict[str, Callable[[Path], RawTable]] = {
    ".csv": text_tables.read,
    ".tsv": text_tables.read,
    ".txt": text_tables.read,
    ".jsonl": text_tables.read_json_lines,
    ".ndjson": text_tables.read_json_lines,
    ".json": read_json,
    **PARTS,
}
"""The function that reads each kind of table."""
