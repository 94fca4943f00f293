"""`stargan export`: one kind of model file into another."""

from collections.abc import Callable
from pathlib import Path

from stargan import modelfile
from stargan.config import ModelInfo
from stargan.errors import ModelError
from stargan.interop import onnx


def export(source: Path, out: Path, *, overwrite: bool = False) -> ModelInfo:
    """Writes the model of a run folder or of a `.safetensors` file as another file.

    Args:
        source: A run folder (its newest checkpoint, else its model) or a `.safetensors` file.
        out: The file to write; its ending says the kind.
        overwrite: Whether `out` may exist.

    Returns:
        What the model says about itself.

    Raises:
        ModelError: The source cannot be read, the kind is unknown, or `out` exists.
    """
    if out.suffix not in WRITERS:
        raise ModelError(f"{out}: cannot write this kind of model; known: {', '.join(WRITERS)}")
    if out.exists() and not overwrite:
        raise ModelError(f"{out}: exists; say --overwrite to replace it")
    info, arrays = read_model(source)
    WRITERS[out.suffix](out, info, arrays)
    return info


def read_model(source: Path) -> tuple[ModelInfo, modelfile.Arrays]:
    """Reads what is to be exported; the argument and the errors are those of `export`."""
    # The newest checkpoint goes first: the model files of a run that was prolonged are those of before.
    kept = modelfile.checkpoints(source)
    path = kept[-1] if kept else modelfile.locate(source)
    if path.suffix == ".onnx":
        raise ModelError(f"{path}: an .onnx file is an end product; export from the .safetensors file or the run")
    info, arrays, _ = modelfile.read(path)
    return info, arrays


def _safetensors(path: Path, info: ModelInfo, arrays: modelfile.Arrays) -> None:
    modelfile.write(path, info, arrays, {})


def _onnx(path: Path, info: ModelInfo, arrays: modelfile.Arrays) -> None:
    onnx.write(path, info, arrays)


WRITERS: dict[str, Callable[[Path, ModelInfo, modelfile.Arrays], None]] = {
    ".onnx": _onnx,
    ".safetensors": _safetensors,
}
