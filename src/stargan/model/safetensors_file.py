"""Files of named arrays that describe themselves: `model.safetensors` and the checkpoints of a run.

Both hold the arrays `generator/...` (the running mean of G's weights, which is what translates),
`discriminator/...` and `classifier/...`, and a `ModelInfo` as JSON. A checkpoint holds `training/...` besides, so that
it is also a model file, and reading a model from either is the same.
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
    """Writes a file whole or not at all: temporary name, fsync, rename, fsync of the folder.

    Args:
        path: Ends in `.safetensors`.
        info: What the file says about itself.
        arrays: By name; any numeric dtype.
        extra: More metadata by name, as text.
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
        networks: Read only the arrays of these.

    Returns:
        What it says about itself, its arrays by name, and its other metadata.

    Raises:
        ModelError: It is missing, truncated, not a safetensors file or not one of ours.
    """
    library = require("safetensors", "train", "read .safetensors files")
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        with library.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            if "stargan" not in metadata:
                raise ModelError("no description of a stargan model in it; `stargan import` reads foreign files")
            info = ModelInfo.loads(metadata.pop("stargan"))
            names = [name for name in file.keys() if training or not name.startswith(TRAINING)]  # noqa: SIM118
            kept = tuple(f"{network}/" for network in networks) if networks is not None else ("",)
            arrays = {_name(n): file.get_tensor(n) for n in names if _name(n).startswith(kept)}
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (library.SafetensorError, OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: damaged or not a .safetensors file ({error})") from error
    return info, arrays, metadata


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """The arrays whose names begin with `prefix/`, without it."""
    return {name.removeprefix(prefix + "/"): array for name, array in arrays.items() if name.startswith(prefix + "/")}


def _name(name: str) -> str:
    """An array's name as it is now, of a file that an earlier version may have written."""
    return "/".join(NETWORKS.get(part, part) for part in name.split("/"))
