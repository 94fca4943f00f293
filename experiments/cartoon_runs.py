"""Shared by the experiments on cartoon faces: options, data, training and tables."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from options import Parser, at_least_one

from stargan import load, training
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cartoons
from stargan.inference.translator import Translator
from stargan.interop.export import export
from stargan.model import run_folder
from stargan.progress import Progress
from stargan.storage import write_bytes

TEST_SEED = 2  # used by no training and no demo


def arguments(description: str | None, steps: int) -> argparse.Namespace:
    """The options of these experiments."""
    parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the data and the runs; existing runs are resumed")
    parser.add_argument("--steps", type=at_least_one, default=steps, help="updates of D")
    parser.add_argument(
        "--pairs", type=at_least_one, default=450, help="number of translations that are compared with the true ones"
    )
    return parser.parse_args()


def settings(data: Sequence[Path], exclusive: Sequence[str] = cartoons.EXCLUSIVE, **changes: Any) -> Config:
    """The settings of the demo with some changes."""
    groups = (",".join(exclusive),) if exclusive else ()
    return replace(recipe("demo"), data=tuple(map(str, data)), exclusive=groups, sample_every=1000, **changes)


def draw(folder: Path, count: int, seed: int, columns: Sequence[str] = cartoons.ATTRIBUTES) -> Path:
    """Draws a data set with only some of the labels."""
    if folder.exists():
        return folder
    with Progress(f"draw {folder.name}", count, "faces") as progress:
        cartoons.write(folder, count, seed=seed, size=recipe("demo").image_size[0], progress=progress.update)
    path = folder / cartoons.LIST
    header, names, *rows = path.read_text(encoding="utf-8").splitlines()
    kept = [1 + names.split().index(name) for name in columns]
    lines = [header, " ".join(columns)]
    lines += [" ".join([row.split()[0], *(row.split()[index] for index in kept)]) for row in rows]
    write_bytes(path, ("\n".join(lines) + "\n").encode())
    return folder


def train(config: Config, run: Path) -> Translator:
    """Trains a run, or resumes it, unless it is finished; returns its model."""
    if not (run / "model.onnx").exists():
        training.train(config, run, resume=bool(run_folder.checkpoints(run)))
        export(run, run / "model.onnx", overwrite=True)
    return load(run / "model.onnx")


def report(out: Path, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the figures as JSON and prints them as a Markdown table; numbers with two decimals."""
    write_bytes(out / f"{name}.json", (json.dumps(rows, indent=1) + "\n").encode())
    heads = list(rows[0])
    print("| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), sep="\n")
    for row in rows:
        print("| " + " | ".join(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
