"""`.safetensors` files, which contain named arrays and a description: model files and the checkpoints of a run.

Both contain a `ModelInfo` as JSON and the arrays `generator/...` (the EMA weights, which are used to translate),
`discriminator/...` and `classifier/...`. A checkpoint also contains `training/...`. So every checkpoint is a model file
as well, and both are read in the same way.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stargan.errors import ModelError, require
from stargan.model import digest
from stargan.model.info import ModelInfo
from stargan.old_names import NETWORKS
from stargan.storage import atomic_write, open_regular

Arrays = dict[str, np.ndarray]

TRAINING = "training/"

TYPES = ("F32", "F16", "F64")
"""The types that arrays of a network may have, as safetensors calls them."""


def write(path: Path, info: ModelInfo, arrays: Mapping[str, np.ndarray], extra: Mapping[str, str]) -> None:
    """Writes a model file or a checkpoint atomically: temporary name, fsync, rename, fsync of the folder.

    Args:
        path: The file to write, ending in `.safetensors`.
        info: The description of the model.
        arrays: The arrays by name, of any numeric dtype.
        extra: Additional metadata by name, as text.
    """
    ordered = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)  # so that each array is aligned
    arrays = {name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in ordered}
    metadata = {"stargan": info.dumps(), **extra}
    metadata[digest.ARRAYS_KEY] = digest.of_arrays(arrays, metadata)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(_header(arrays, metadata))
        for array in arrays.values():
            file.write(array.reshape(-1).view(np.uint8).data)


def _header(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """What stands before the arrays, which follow in the same order without gaps.

    The format is that of https://huggingface.co/docs/safetensors. Its library would hold a copy of the whole file, and
    one of each array, in memory: a gigabyte with the networks for 512 pixels.
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        kind = "BOOL" if array.dtype == bool else f"{array.dtype.kind.upper()}{8 * array.dtype.itemsize}"
        entries[name] = {"dtype": kind, "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


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
        ModelError: The file is missing, damaged, not a safetensors file or not one of ours, or a network has an array
            of another type than `TYPES` or one that is not finite. Of the arrays, only those that are read are checked.
    """
    library = require("safetensors", "train", "read .safetensors files")
    try:
        open_regular(path).close()
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        with library.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            digests = digest.parse(metadata)
            if "stargan" not in metadata:
                raise ModelError("not a stargan model: it has no description; `stargan import` reads foreign files")
            info = ModelInfo.loads(metadata.pop("stargan"))
            names = [name for name in file.keys() if training or not name.startswith(TRAINING)]  # noqa: SIM118
            prefixes = tuple(f"{network}/" for network in networks) if networks is not None else ("",)
            arrays = {_name(n): _array(file, n, digests) for n in names if _name(n).startswith(prefixes)}
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (library.SafetensorError, OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: damaged or not a .safetensors file ({error})") from error
    return info, arrays, metadata


def _array(file: Any, name: str, digests: dict[str, int] | None) -> np.ndarray:
    kind = file.get_slice(name).get_dtype()
    if kind not in TYPES and not name.startswith(TRAINING):
        raise ModelError(f"its array {name[:60]} has the type {kind}; must be {', '.join(TYPES)}")
    array: np.ndarray = file.get_tensor(name)
    digest.check_array(name, array, digests)
    if not np.isfinite(array).all():
        raise ModelError(f"its array {name[:60]} contains numbers that are not finite")
    return array


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """Returns the arrays whose names start with `prefix/`, with that prefix removed."""
    return {name.removeprefix(prefix + "/"): array for name, array in arrays.items() if name.startswith(prefix + "/")}


def _name(name: str) -> str:
    """Returns the current name of an array from a file that an earlier version may have written."""
    return "/".join(NETWORKS.get(part, part) for part in name.split("/"))
