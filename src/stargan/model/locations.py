"""The places of model files: in run folders and in the package itself."""

from pathlib import Path

from stargan.errors import ModelError
from stargan.model.run_folder import checkpoints

SHIPPED = Path(__file__).parent / "shipped"
# The kinds of model file in order of preference: to continue training or export, and to translate.
BEST_FOR_TRAINING = (".safetensors", ".onnx")
BEST_FOR_USE = (".onnx", ".safetensors")


def shipped() -> list[str]:
    """Returns the names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.onnx"))


def locate(path: Path, kinds: tuple[str, ...] = BEST_FOR_TRAINING) -> Path:
    """Finds the model file for a path.

    Args:
        path: A model file, a run folder (its model, else its newest checkpoint), or the name of a model that comes
            with the package.
        kinds: The kinds of model file to look for in a run folder, in order of preference.

    Raises:
        ModelError: There is no such model file.
    """
    if not path.is_dir():
        if path.exists():
            return path
        if str(path) in shipped():  # a file or run folder of the same name takes precedence
            return SHIPPED / f"{path}.onnx"
        known = f"; models that come with stargan: {', '.join(shipped())}" if len(path.parts) == 1 else ""
        raise ModelError(f"{path}: no such model file or run folder{known}")
    for kind in kinds:
        if (path / f"model{kind}").is_file():
            return path / f"model{kind}"
    saved = checkpoints(path)
    if not saved and str(path) in shipped():  # the folder is not a run, perhaps a folder of images
        return SHIPPED / f"{path}.onnx"
    if not saved:
        raise ModelError(f"{path}: a folder without model.onnx, model.safetensors or checkpoints")
    return saved[-1]


def name_of(path: Path) -> str:
    """What people call a model: the name of its file, or of its run folder."""
    return path.parent.name if path.stem == "model" and path.parent.name else path.stem
