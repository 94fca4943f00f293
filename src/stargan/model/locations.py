"""Where model files are: in run folders, and in the package itself."""

from pathlib import Path

from stargan.errors import ModelError
from stargan.model.run_folder import checkpoints

SHIPPED = Path(__file__).parent / "shipped"
# The kinds of model file, the best first: for training on and exporting, and for use.
BEST_FOR_TRAINING = (".safetensors", ".onnx")
BEST_FOR_USE = (".onnx", ".safetensors")


def shipped() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.onnx"))


def locate(path: Path, kinds: tuple[str, ...] = BEST_FOR_TRAINING) -> Path:
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
    if not found and str(path) in shipped():  # somebody's images in a folder of that name
        return SHIPPED / f"{path}.onnx"
    if not found:
        raise ModelError(f"{path}: a folder without model.onnx, model.safetensors or checkpoints")
    return found[-1]
