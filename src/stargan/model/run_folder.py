"""The layout of a run folder: settings, logged figures, checkpoints, samples."""

import contextlib
import json
import math
from pathlib import Path

from stargan.config import Config
from stargan.errors import CheckpointError, ConfigError
from stargan.storage import write_bytes

CONFIG = "config.json"
STATS = "stats.jsonl"
SAMPLES = "samples"
CHECKPOINTS = "checkpoints"
Curve = tuple[list[float], list[float]]
"""The steps and values of a logged figure."""


def checkpoints(run: Path) -> list[Path]:
    """Returns the checkpoints of a run folder, oldest first."""
    return sorted((run / CHECKPOINTS).glob("step-*.safetensors"))


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
        return Config.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise CheckpointError(f"{run}: not a run folder (it has no {CONFIG})") from error
    except (ConfigError, ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged ({error})") from error


def stats(run: Path) -> dict[str, Curve]:
    """Reads the logged figures of a run folder by name; empty if there are none."""
    path = run / STATS
    points: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        # A killed run may leave half a line, and a file from another source may contain anything.
        with contextlib.suppress(ValueError, AttributeError, KeyError, TypeError, OverflowError, RecursionError):
            row = json.loads(line)
            step = float(row.pop("step"))
            values = {name: float(value) for name, value in row.items() if value is not None}
            for name, value in values.items():
                if name not in ("lr", "steps_per_second") and math.isfinite(value) and math.isfinite(step):
                    points.setdefault(name, []).append((step, value))
    return {name: ([s for s, _ in pairs], [v for _, v in pairs]) for name, pairs in points.items()}
