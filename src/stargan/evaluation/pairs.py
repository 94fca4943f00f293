"""Image pairs with known translations: a folder with a pairs.csv."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan import images
from stargan.domains import requests
from stargan.errors import DataError, DomainError
from stargan.evaluation.measure import BATCH, Measurements, compare_with_truth, figures_of
from stargan.evaluation.tasks import ALL
from stargan.inference.translator import Translator
from stargan.progress import Progress

TABLE = "pairs.csv"
COLUMNS = ("source", "truth", "target")
SHOWS = "shows"  # an optional column


@dataclass(frozen=True)
class Pair:
    """An image and its true translation.

    Attributes:
        source: The image file.
        truth: The file with its true translation.
        target: The words that request the translation.
        known: Words for known labels of the source; the model estimates the others.
    """

    source: Path
    truth: Path
    target: tuple[str, ...]
    known: tuple[str, ...] = ()


def read(folder: Path) -> list[Pair]:
    """Reads `pairs.csv`: columns `source` and `truth` (files, relative to the folder), `target` and optionally `shows`.

    The last two hold words separated by spaces, as for `stargan translate --to`.

    Raises:
        DataError: It is missing or malformed; the message names the line.
    """
    table = folder / TABLE
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lines = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as a table in UTF-8 ({error})") from error
    if set(header) - {SHOWS} != set(COLUMNS) or not lines:
        raise DataError(
            f"{table}: must have the columns {', '.join(COLUMNS)} and optionally {SHOWS}, and one line per pair"
        )
    for number, row in lines:
        _check_row(folder, row, f"{table}: line {number}")
    return [
        Pair(folder / r["source"], folder / r["truth"], tuple(r["target"].split()), tuple((r.get(SHOWS) or "").split()))
        for _, r in lines
    ]


def _check_row(folder: Path, row: dict[str, str], place: str) -> None:
    if None in row:  # csv's key for surplus cells
        raise DataError(f"{place}: more cells than columns; separate words with spaces, not commas")
    for name in COLUMNS:
        if not (row[name] or "").strip():
            raise DataError(f"{place}: {name} is empty")
    for name in ("source", "truth"):
        if not (folder / row[name]).is_file():
            raise DataError(f"{place}: {row[name]}: no such file")


def check(pairs: list[Pair], model: Translator) -> None:
    """Raises a DomainError if the words of a pair are not among a model's domains."""
    for pair in pairs:
        for words in filter(None, (pair.target, pair.known)):
            try:
                requests.check_plain(model.domains, words)
                requests.apply(model.domains, np.zeros(model.domains.num_classes), words)
            except DomainError as error:
                raise DomainError(f"{pair.source}: {error}") from error


def measure(model: Translator, pairs: list[Pair], seed: int) -> Measurements:
    """Compares a model's translations with the true ones.

    Raises:
        ImageError: An image cannot be read.
    """
    tasks, rows = np.array([" ".join(pair.target) for pair in pairs]), np.arange(len(pairs))
    batches = []
    with Progress("translate pairs", len(pairs), "pairs") as progress:
        for start in range(0, len(pairs), BATCH):
            part = pairs[start : start + BATCH]
            batches.append(_measure_batch(model, part))
            progress.update(start + len(part))
    values = {name: np.concatenate([found[name] for found, _ in batches]) for name in batches[0][0]}
    joined = [np.concatenate(parts) for parts in zip(*(batch_images for _, batch_images in batches), strict=True)]
    parts = {ALL: rows, **{task: np.flatnonzero(tasks == task) for task in dict.fromkeys(tasks.tolist())}}
    figures = figures_of(values, rows, parts, seed)
    return Measurements(figures, values, tasks, rows, lambda index: [part[index] for part in joined])


def _measure_batch(model: Translator, pairs: list[Pair]) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """The values by metric, and sources, translations and truths, each (N, H, W, 3) uint8."""
    source = model.prepare([pair.source for pair in pairs])
    truth = images.to_pixels(model.prepare([pair.truth for pair in pairs]))
    values = [model.values(one[None], pair.known)[0] for one, pair in zip(source, pairs, strict=True)]
    labels = [requests.target(model.domains, own, pair.target) for own, pair in zip(values, pairs, strict=True)]
    pixels = images.to_pixels(model.generate(source, np.stack(labels), np.stack(values)))
    return compare_with_truth(source, images.to_array(pixels), list(truth)), [images.to_pixels(source), pixels, truth]
