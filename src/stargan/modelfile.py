"""Files of named arrays that describe themselves: `model.safetensors` and the checkpoints of a run.

Both hold the arrays `generator/...` (the running mean of G's weights, which is what translates),
`discriminator/...` and `labeller/...`, and a `ModelInfo` as JSON. A checkpoint holds `training/...` besides, so that
it is also a model file, and reading a model from either is the same.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stargan.config import ModelInfo
from stargan.errors import ModelError, require

Arrays = dict[str, np.ndarray]

CHECKPOINTS = "checkpoints"
SHIPPED = Path(__file__).parent / "models"
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


def write_bytes(path: Path, content: bytes) -> None:
    """Writes bytes to a temporary file beside `path` and renames it, so that `path` is old or new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # the rename itself must survive a power cut (not on Windows)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


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
            arrays = {name: file.get_tensor(name) for name in names if name.startswith(kept)}
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except (library.SafetensorError, OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: damaged or not a .safetensors file ({error})") from error
    return info, arrays, metadata


def under(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """The arrays whose names begin with `prefix/`, without it."""
    return {name.removeprefix(prefix + "/"): array for name, array in arrays.items() if name.startswith(prefix + "/")}


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run folder, oldest first."""
    return sorted((run / CHECKPOINTS).glob("step-*.safetensors"))


def shipped() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.onnx"))


def locate(path: Path, kinds: tuple[str, ...] = (".safetensors", ".onnx")) -> Path:
    """The model file that `path` means: itself, of a run folder its model or newest checkpoint, or a shipped one.

    Args:
        path: A file, a run folder, or the name of a model that comes with the package.
        kinds: Which kinds of model file a run folder is searched for, the best first.

    Raises:
        ModelError: There is none.
    """
    if not path.is_dir():
        if path.exists():
            return path
        if str(path) in shipped():  # a name alone; a file or run folder of that name goes first
            return SHIPPED / f"{path}.onnx"
        known = f"; models that come with stargan: {', '.join(shipped())}" if len(path.parts) == 1 else ""
        raise ModelError(f"{path}: no such model file or run folder{known}")
    for kind in kinds:
        if (path / f"model{kind}").is_file():
            return path / f"model{kind}"
    found = checkpoints(path)
    if not found and str(path) in shipped():  # somebody's pictures in a folder of that name
        return SHIPPED / f"{path}.onnx"
    if not found:
        raise ModelError(f"{path}: a folder without model.onnx, model.safetensors or checkpoints")
    return found[-1]
