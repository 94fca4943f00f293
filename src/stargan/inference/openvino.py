"""OpenVINO as another runtime for `.onnx` files."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stargan.errors import ModelError, require


def generator(
    path: Path, graph: bytes, condition: str, threads: int = 0
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Compiles the generator of an `.onnx` file.

    Args:
        path: The file, for messages.
        graph: Its content.
        condition: The name of the graph's second input.
        threads: The number of threads that compute; by default, one for each processor.

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
    if threads:
        settings["INFERENCE_NUM_THREADS"] = str(threads)
    try:
        core = library.Core()
        compiled = core.compile_model(core.read_model(io.BytesIO(graph)), "CPU", settings)
    except RuntimeError as error:
        *_, reason = ["no reason given", *str(error).strip().splitlines()]  # the lines above it are source positions
        raise ModelError(f"{path}: OpenVINO cannot run it ({reason})") from error
    lock = threading.Lock()  # all calls share the memory of one inference request

    def generate(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        with lock:
            translated: np.ndarray = compiled({"images": images, condition: labels})["translated"]
            return translated

    return generate
