"""`.safetensors` files, which contain named arrays and a description: model files and the checkpoints of a run.

Both contain a `ModelInfo` as JSON and the arrays `generator/...` (the EMA weights, which are used to translate),
`discriminator/...` and `classifier/...`. A checkpoint also contains `training/...`. So every checkpoint is a model file
as well, and both are read in the same way.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stargan.errors import ModelError, require
from stargan.model.info import ModelInfo
from stargan.old_names import NETWORKS
from stargan.storage import write_bytes

Arrays = dict[str, np.ndarray]

TRAINING = "training/"


def write(path: Path, info: ModelInfo, arrays: Mapping[str, np.ndarray], extra: Mapping[str, str]) -> None:
    """Writes a model file or a checkpoint atomically: temporary name, fsync, rename, fsync of the folder.

    Args:
        path: The file to write, ending in `.safetensors`.
        info: The description of the model.
        arrays: The arrays by name, of any numeric dtype.
        extra: Additional metadata by name, as text.
    """
    library = require("safetensors.numpy", "train", "write .safetensors files")
    content = library.save(
        {name: np.asarray(array, order="C") for name, array in arrays.items()},
        metadata={"stargan": info.dumps(), **extra},
    )
    write_bytes(path, content)


def read(
    path: Path, *, training: bool = False, networks: Sequence[str] | None = None
) -> tuple[ModelInfo, Arrays, dict[str, str]]:
    """Reads a model file or a checkpoint.

    Args:
        path: The `.safetensors` file.
        training: Whether to read the arrays under `training/` as well.
        networks: The networks whose arrays to read; by default all.

    Returns:
        The description, the arrays by name, and the remaining metadata.

    Raises:
        ModelError: The file is missing, truncated, not a safetensors file or not one of ours.
    """
    library = require("safetensors", "train", "read .safetensors files")
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        with library.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            if "stargan" not in metadata:
                raise ModelError("not a stargan model: it has no description; `stargan import` reads foreign files")
            info = ModelInfo.loads(metadata.pop("stargan"))
            names = [name for name in file.keys() if training or not name.startswith(TRAINING)]  # noqa: SIM118
            prefixes = tuple(f"{network}/" for network in networks) if networks is not None else ("",)
            arrays = {_name(n): file.get_tensor(n) for n in names if _name(n).startswith(prefixes)}
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (library.SafetensorError, OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: damaged or not a .safetensors file ({error})") from error
    return info, arrays, metadata


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """Returns the arrays whose names start with `prefix/`, with that prefix removed."""
    return {name.removeprefix(prefix + "/"): array for name, array in arrays.items() if name.startswith(prefix + "/")}


def _name(name: str) -> str:
    """Returns the current name of an array from a file that an earlier version may have written."""
    return "/".join(NETWORKS.get(part, part) for part in name.split("/"))
