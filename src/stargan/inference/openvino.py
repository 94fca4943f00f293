"""OpenVINO as another runtime for `.onnx` files."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stargan.errors import ModelError, require


def generator(file: Path, condition: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Compiles the generator of an `.onnx` file.

    Args:
        file: The file.
        condition: The name of the graph's second input.

    Returns:
        A function from (N, 3, H, W) images and (N, L), see `Architecture.condition`, to (N, 3, H, W) images, all
        float32. It may be called from several threads; the calls wait for each other.

    Raises:
        ModelError: OpenVINO cannot run the graph.
        MissingExtraError: OpenVINO is not installed.
    """
    library = require("openvino", "openvino", "run models with OpenVINO")
    # On CPUs with bf16 OpenVINO would compute in that, and the images would differ.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    try:
        compiled = library.Core().compile_model(file, "CPU", settings)
    except RuntimeError as error:
        *_, reason = ["no reason given", *str(error).strip().splitlines()]  # the lines above it are source positions
        raise ModelError(f"{file}: OpenVINO cannot run it ({reason})") from error
    lock = threading.Lock()  # all calls share the memory of one inference request

    def generate(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        with lock:
            translated: np.ndarray = compiled({"images": images, condition: labels})["translated"]
            return translated

    return generate
