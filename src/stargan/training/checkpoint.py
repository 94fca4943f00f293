"""Checkpoints: everything that an exact continuation needs, written whole or not at all."""

from pathlib import Path

import numpy as np

from stargan.errors import CheckpointError, ModelError, TrainingError
from stargan.model import run_folder, safetensors_file
from stargan.model.info import ModelInfo


def save(run: Path, arrays: safetensors_file.Arrays, info: ModelInfo, *, data_key: str, keep: int) -> Path:
    """Writes the checkpoint of `info.steps` and removes all but the newest `keep`.

    Args:
        run: The run folder.
        arrays: What `Engine.state` gave.
        info: What the model says about itself.
        data_key: Stands for the content of the training data, see `load`.
        keep: How many checkpoints stay.

    Raises:
        TrainingError: A weight is not finite; nothing is written or removed.
    """
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise TrainingError(f"{broken[0]} is not finite after step {info.steps}; no checkpoint of it was written")
    path = run / run_folder.CHECKPOINTS / f"step-{info.steps:08}.safetensors"
    safetensors_file.write(path, info, arrays, {"data_key": data_key})
    for old in run_folder.checkpoints(run)[:-keep]:
        old.unlink()
    return path


def load(run: Path, *, data_key: str) -> tuple[ModelInfo, safetensors_file.Arrays]:
    """Reads the newest checkpoint of a run folder.

    Args:
        run: The run folder.
        data_key: Must be that of the checkpoint: with other data a run would not go on but become another.

    Raises:
        CheckpointError: There is none, it is damaged, or it was trained on other data.
    """
    found = run_folder.checkpoints(run)
    if not found:
        raise CheckpointError(f"{run}: no checkpoint to go on from")
    try:
        info, arrays, metadata = safetensors_file.read(found[-1], training=True)
    except ModelError as error:
        hint = f"; delete it to go on from {found[-2].name}" if len(found) > 1 else ""
        raise CheckpointError(f"{error}{hint}") from error
    if metadata.get("data_key") != data_key:
        raise CheckpointError(
            f"{run}: the images or labels of the data have changed since; start a new run with --start-from {found[-1]}"
        )
    return info, arrays
