"""What is common to the experiments on cartoon faces: training in a folder, figures against true translations."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stargan import load, training
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cartoons
from stargan.inference.translator import Translator
from stargan.interop.export import export
from stargan.progress import Progress
from stargan.storage import write_bytes

TEST_SEED = 2  # faces that no training and no demo has seen


def arguments(about: str | None, steps: int) -> argparse.Namespace:
    """The options that both experiments take."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the data and the runs; a run that is there goes on")
    parser.add_argument("--steps", type=int, default=steps, help="updates of D")
    parser.add_argument("--pairs", type=int, default=450, help="translations that are compared with the truth")
    return parser.parse_args()


def settings(data: Sequence[Path], exclusive: Sequence[str] = cartoons.EXCLUSIVE, **changes: Any) -> Config:
    """The demo's settings, with some changed."""
    groups = (",".join(exclusive),) if exclusive else ()
    return replace(recipe("demo"), data=tuple(map(str, data)), exclusive=groups, sample_every=1000, **changes)


def draw(folder: Path, count: int, seed: int, columns: Sequence[str] = cartoons.ATTRIBUTES) -> Path:
    """A drawn set, of whose labels only some are told."""
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
    """The model of a run, which is begun, gone on with or finished already."""
    if not (run / "model.onnx").exists():
        training.train(config, run, resume=bool(list((run / "checkpoints").glob("*.safetensors"))))
        export(run, run / "model.onnx", overwrite=True)
    return load(run / "model.onnx")


def report(out: Path, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Keeps the figures as JSON and prints them as a Markdown table; numbers with two decimals."""
    write_bytes(out / f"{name}.json", (json.dumps(rows, indent=1) + "\n").encode())
    heads = list(rows[0])
    print("| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), sep="\n")
    for row in rows:
        print("| " + " | ".join(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
