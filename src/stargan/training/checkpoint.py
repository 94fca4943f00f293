"""Checkpoints: everything needed to continue a run exactly, written atomically."""

import math
import os
from pathlib import Path

import numpy as np

from stargan.errors import CheckpointError, ModelError, TrainingError
from stargan.model import run_folder, safetensors_file
from stargan.model.info import ModelInfo


def save(
    run: Path, arrays: safetensors_file.Arrays, info: ModelInfo, *, data_key: str, keep: int, seconds: float = 0.0
) -> Path:
    """Writes the checkpoint for step `info.steps` and deletes all but the newest `keep` checkpoints.

    Args:
        run: The run folder.
        arrays: The result of `Engine.state`.
        info: The description of the model.
        data_key: Identifies the content of the training data, see `load`.
        keep: The number of checkpoints to keep.
        seconds: How long the run has trained.

    Raises:
        TrainingError: A weight is not finite; nothing is written or deleted.
    """
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise TrainingError(f"{broken[0]} is not finite after step {info.steps}; this checkpoint was not written")
    path = run / run_folder.CHECKPOINTS / f"step-{info.steps:08}.safetensors"
    safetensors_file.write(path, info, arrays, {"data_key": data_key, "seconds": f"{seconds:.3f}"})
    for old in run_folder.checkpoints(run)[:-keep]:
        old.unlink()
    return path


def data_key(run: Path) -> str | None:
    """What identifies the training data of the newest checkpoint of a run folder; None if it cannot be read."""
    found = run_folder.checkpoints(run)
    try:
        return safetensors_file.read(found[-1], networks=())[2].get("data_key") if found else None
    except ModelError:
        return None  # `load` says why


def seconds(run: Path) -> float:
    """How long a run had trained at its newest checkpoint; 0 if that is not known."""
    found = run_folder.checkpoints(run)
    try:
        trained = float(safetensors_file.read(found[-1], networks=())[2].get("seconds", 0)) if found else 0.0
    except (ModelError, ValueError):
        return 0.0
    return trained if 0 <= trained < math.inf else 0.0


def load(run: Path, *, data_key: str) -> tuple[ModelInfo, safetensors_file.Arrays]:
    """Reads the newest checkpoint of a run folder, which has one.

    Args:
        run: The run folder.
        data_key: Identifies the training data. It must equal that of the checkpoint, since a run cannot continue
            exactly with other data.

    Raises:
        CheckpointError: It is damaged, or was trained on other data.
    """
    found = run_folder.checkpoints(run)
    try:
        info, arrays, metadata = safetensors_file.read(found[-1], training=True)
    except ModelError as error:
        damaged = os.access(found[-1], os.R_OK)
        hint = f"; delete it to continue from {found[-2].name}" if len(found) > 1 and damaged else ""
        raise CheckpointError(f"{error}{hint}") from error
    if metadata.get("data_key") != data_key:
        raise CheckpointError(
            f"{run}: the images or labels have changed since this run; start a new run with --start-from {found[-1]}"
        )
    return info, arrays
