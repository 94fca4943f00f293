"""The layout of a run folder: settings, logged figures, checkpoints, samples."""

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from stargan.config import Config
from stargan.domains import Domains
from stargan.errors import CheckpointError, ConfigError
from stargan.storage import is_temporary, lock, read_text, remove_leftovers, write_bytes

CONFIG = "config.json"
DATA = "data.json"
WINDOWS = "windows.json"
STATS = "stats.jsonl"
SAMPLES = "samples"
CHECKPOINTS = "checkpoints"
MODEL = "model.onnx"
LOCK = ".lock"
PACE = ("lr", "steps_per_second", "seconds", "waited")
"""Figures about how the training goes on, beside those about the networks."""

MAX_CONFIG = 2**24  # characters; thousands of paths are far less
Curve = tuple[list[float], list[float]]
"""The steps and values of a logged figure."""


def checkpoints(run: Path) -> list[Path]:
    """Returns the checkpoints of a run folder, oldest first. Files of other names, such as copies, are not its own.

    Raises:
        OSError: The folder of the checkpoints cannot be read.
    """
    try:
        names = [path.name for path in (run / CHECKPOINTS).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [match for match in map(_CHECKPOINT.fullmatch, names) if match]
    return [run / CHECKPOINTS / match[0] for match in sorted(found, key=lambda match: int(match[1]))]


_CHECKPOINT = re.compile(r"step-([0-9]{8,})\.safetensors")


def is_unused(run: Path) -> bool:
    """Whether a folder has nothing in it but what a run leaves that is killed before its settings are saved."""
    own = {run / LOCK, run / CHECKPOINTS, run / CHECKPOINTS / f"step-{0:08}.safetensors"}
    return run.is_dir() and all(path in own or is_temporary(path.name) for path in run.rglob("*"))


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Lets one process at a time train in a run folder, and removes what killed ones have left in it.

    A folder that is still empty at the end is removed again, with the folders above it that were made for it.

    Raises:
        ConfigError: Another process trains in it.
    """
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    run.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock(run / LOCK, wait=False))
            except BlockingIOError as error:
                line = f"{run}: {error.strerror} is training in this run folder; wait for its end, or stop it"
                raise ConfigError(line) from error
            for folder in (run, run / CHECKPOINTS, run / SAMPLES):
                remove_leftovers(folder)
            yield
    finally:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()


def save_config(run: Path, config: Config) -> None:
    """Writes the settings into a run folder and creates the folder if necessary."""
    write_bytes(run / CONFIG, (json.dumps(config.to_json(), indent=1) + "\n").encode())


def saved_config(run: Path) -> Config:
    """Reads the settings of a run folder.

    Raises:
        CheckpointError: The folder has no settings, or they cannot be read.
    """
    path = run / CONFIG
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise ConfigError(f"more than {MAX_CONFIG} bytes; a run's settings are far less")
        settings = json.loads(read_text(path))
        if isinstance(settings, dict):
            settings.setdefault("share", ["none"])  # a run of an earlier version
        return Config.from_json(settings)
    except FileNotFoundError as error:
        raise CheckpointError(f"{run}: not a run folder (it has no {CONFIG})") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    except (ConfigError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged ({error})") from error


def stats(run: Path) -> dict[str, Curve]:
    """Reads the logged figures of a run folder by name, without `PACE`; empty if there are none."""
    path = run / STATS
    points: dict[str, list[tuple[float, float]]] = {}
    for line in read_text(path, errors="replace").splitlines() if path.exists() else []:
        step, values = figures(line)
        for name, value in values.items():
            if name not in PACE:
                points.setdefault(name, []).append((step, value))
    return {name: ([s for s, _ in pairs], [v for _, v in pairs]) for name, pairs in points.items()}


def figures(line: str) -> tuple[float, dict[str, float]]:
    """The step and the finite figures of a line of stats.jsonl.

    There are no figures if the line is damaged: a killed run may leave half a line, and a file from another source may
    contain anything.
    """
    with contextlib.suppress(ValueError, AttributeError, KeyError, TypeError, OverflowError, RecursionError):
        row = json.loads(line)
        step = float(row.pop("step"))
        values = {name: float(value) for name, value in row.items() if value is not None}
        if math.isfinite(step):
            return step, {name: value for name, value in values.items() if math.isfinite(value)}
    return 0.0, {}


def samples(run: Path) -> dict[int, Path]:
    """The grids of samples by step, in order.

    Raises:
        OSError: Their folder cannot be read.
    """
    try:
        with os.scandir(run / SAMPLES) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    steps = sorted(int(match[1]) for match in map(_SAMPLE.fullmatch, names) if match)
    return {step: sample_path(run, step) for step in steps}


_SAMPLE = re.compile(r"step-([0-9]{8,15})\.png")


def sample_path(run: Path, step: int) -> Path:
    """Where the grid of samples of a step is."""
    return run / SAMPLES / f"step-{step:08}.png"


def sample_titles(domains: Domains, *, with_truth: bool = False) -> list[str]:
    """The titles of the columns of a grid of samples.

    The same column turns an attribute on for one image and off for another, so its title is only the name. The last
    column has the true translations, if they are known.
    """
    return ["source", *domains.names, *(["truth"] if with_truth else [])]
