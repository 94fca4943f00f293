"""Pictures whose true translations somebody has: a folder with a pairs.csv."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stargan import images
from stargan.domains import requests
from stargan.errors import DataError, DomainError
from stargan.evaluation.measure import CHUNK, Measured, against_truth, figures_of
from stargan.evaluation.tasks import ALL
from stargan.evaluation.test_set import prepared
from stargan.inference.translator import Translator
from stargan.progress import Progress

TABLE = "pairs.csv"
COLUMNS = ("source", "truth", "target")
SHOWS = "shows"  # a column that may be left out


@dataclass(frozen=True)
class Pair:
    """One picture and its true translation.

    Attributes:
        source: The picture.
        truth: Its true translation.
        target: The words that ask for it.
        shows: The words that hold for the source; what they do not say is estimated by each model.
    """

    source: Path
    truth: Path
    target: tuple[str, ...]
    shows: tuple[str, ...] = ()


def read(folder: Path) -> list[Pair]:
    """Reads `pairs.csv`: columns `source` and `truth` (files, relative to the folder), `target`, and perhaps `shows`.

    The last two are words with spaces between, as behind `--to` of `stargan translate`.

    Raises:
        DataError: It is missing or malformed; the line is named.
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
            f"{table}: must have columns {', '.join(COLUMNS)} and perhaps {SHOWS}, and a line for each pair"
        )
    for number, row in lines:
        if None in row:
            raise DataError(f"{table}: line {number}: more cells than columns; words have spaces between, not commas")
        for name in COLUMNS:
            if not (row[name] or "").strip():
                raise DataError(f"{table}: line {number}: {name} is empty")
        for name in ("source", "truth"):
            if not (folder / row[name]).is_file():
                raise DataError(f"{table}: line {number}: {row[name]}: no such file")
    return [
        Pair(folder / r["source"], folder / r["truth"], tuple(r["target"].split()), tuple((r.get(SHOWS) or "").split()))
        for _, r in lines
    ]


def check(pairs: list[Pair], model: Translator) -> None:
    """Raises DomainError where a model does not understand the words of a pair."""
    for pair in pairs:
        for words in filter(None, (pair.target, pair.shows)):
            try:
                requests.apply(model.domains, np.zeros(model.domains.num_classes), words)
            except DomainError as error:
                raise DomainError(f"{pair.source}: {error}") from error


def measure(model: Translator, pairs: list[Pair], seed: int) -> Measured:
    """Compares a model's translations with the true ones.

    Raises:
        ImageError: One of the pictures cannot be read.
    """
    tasks, rows = np.array([" ".join(pair.target) for pair in pairs]), np.arange(len(pairs))
    sources, made, truths, found = [], [], [], []
    with Progress("translate pairs", len(pairs), "pairs") as progress:
        for start in range(0, len(pairs), CHUNK):
            part = pairs[start : start + CHUNK]
            source = model.prepare([pair.source for pair in part])
            truth = images.to_pixels(model.prepare([pair.truth for pair in part]))
            values = [model.values(one[None], pair.shows)[0] for one, pair in zip(source, part, strict=True)]
            labels = [
                requests.target(model.domains, shown, pair.target) for shown, pair in zip(values, part, strict=True)
            ]
            pixels = images.to_pixels(model.generate(source, np.stack(labels)))
            found.append(against_truth(source, prepared(pixels), list(truth)))
            sources.append(images.to_pixels(source))
            made.append(pixels)
            truths.append(truth)
            progress.update(start + len(part))
    each = {name: np.concatenate([numbers[name] for numbers in found]) for name in found[0]}
    shown = [np.concatenate(pictures) for pictures in (sources, made, truths)]
    parts = {ALL: rows, **{task: np.flatnonzero(tasks == task) for task in dict.fromkeys(tasks.tolist())}}
    figures = figures_of(each, rows, parts, seed)
    return Measured(figures, each, tasks, rows, lambda index: [pictures[index] for pictures in shown])
