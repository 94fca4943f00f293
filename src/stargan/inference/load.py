"""Loading models."""

from pathlib import Path
from typing import get_args

from stargan import engine
from stargan.errors import ConfigError, ModelError
from stargan.inference.onnx import OnnxBackend, Runtime
from stargan.inference.translator import Translator
from stargan.model import locations, onnx_file, safetensors_file
from stargan.model.info import ModelInfo


def load(path: str | Path, *, runtime: Runtime = "onnxruntime", spin: bool = True, threads: int = 0) -> Translator:
    """Loads a model.

    Args:
        path: An `.onnx` file, a `.safetensors` file, a run folder (its finished model, else its newest checkpoint), or
            the name of a model that comes with the package: `celeba`, `cartoons`.
        runtime: What runs an `.onnx` file. OpenVINO needs `pip install 'stargan[openvino]'`; it takes longer to load
            and less time for each image (docs/performance.md), and calls from several threads wait for each other.
        spin: Whether idle threads of ONNX Runtime wait actively for work. That is fastest for translating without
            pause; a server, which waits for requests, saves half of its computing without it.
        threads: The number of threads that run an `.onnx` file; by default, one for each processor.

    Raises:
        ModelError: The model is missing, damaged or not one of ours; or `runtime` cannot run it.
        MissingExtraError: A `.safetensors` file without PyTorch, or a runtime that is not installed.
        ConfigError: There is no such runtime.
    """
    if runtime not in get_args(Runtime):
        raise ConfigError(f"runtime {runtime}: must be {' or '.join(get_args(Runtime))}")
    file = locations.locate(Path(path), locations.BEST_FOR_USE)
    if file.suffix == ".onnx":
        content = onnx_file.read(file)
        return Translator(content.info, OnnxBackend(content, runtime, spin=spin, threads=threads))
    if file.suffix == ".safetensors" and runtime != "onnxruntime":
        raise ModelError(f"{file}: {runtime} runs .onnx files; `stargan export` makes one of it")
    if file.suffix == ".safetensors":
        return _load_safetensors(file)
    raise ModelError(f"{file}: not a model file; must be .onnx, .safetensors or a run folder")


def describe(path: str | Path) -> ModelInfo:
    """Reads the description of a model and loads nothing else, so it is safe for any file.

    Args:
        path: As for `load`.

    Raises:
        ModelError, MissingExtraError: As `load`.
    """
    file = locations.locate(Path(path), locations.BEST_FOR_USE)
    if file.suffix == ".onnx":
        return onnx_file.read(file).info
    if file.suffix == ".safetensors":
        return safetensors_file.read(file, networks=())[0]
    raise ModelError(f"{file}: not a model file; must be .onnx, .safetensors or a run folder")


def _load_safetensors(path: Path) -> Translator:
    # The discriminator is the largest network, and of no use here.
    info, arrays, _ = safetensors_file.read(path, networks=("generator", "classifier"))
    try:
        framework = engine.framework(info.engine, "use .safetensors files (an .onnx file needs nothing more)")
        return Translator(info, framework.predictor(info.architecture, info.domains, arrays))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
