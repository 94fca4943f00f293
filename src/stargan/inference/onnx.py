"""Models in `.onnx` files, run by ONNX Runtime or OpenVINO."""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stargan.errors import ModelError, require
from stargan.inference import openvino
from stargan.model.info import ModelInfo
from stargan.model.onnx_session import session
from stargan.old_names import NETWORKS, renamed

Runtime = Literal["onnxruntime", "openvino"]
"""What can run an `.onnx` file."""


class OnnxBackend:
    """The generator, ready to run, and the attribute classifier, which is loaded when it is first used.

    Args:
        path: The file, for messages.
        generate: From (N, 3, H, W) images and (N, L), see `Architecture.condition`, to (N, 3, H, W) images.
        load_classifier: Makes the attribute classifier's session.
    """

    def __init__(
        self,
        path: Path,
        generate: Callable[[np.ndarray, np.ndarray], np.ndarray],
        load_classifier: Callable[[], Any],
    ) -> None:
        self._path = path
        self.generate = generate
        self._classifier = cache(load_classifier)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) images to (N, C) logits, float32.

        Raises:
            ModelError: The attribute classifier is damaged.
        """
        try:
            classifier = self._classifier()
        except Exception as error:  # ONNX Runtime raises its own unrelated classes
            raise ModelError(f"{self._path}: its attribute classifier is damaged ({_first_line(error)})") from error
        logits: np.ndarray = classifier.run(["logits"], {"images": images})[0]
        return logits


def open_model(path: Path, runtime: Runtime) -> tuple[ModelInfo, OnnxBackend]:
    """Opens a model file.

    ONNX Runtime looks at the file in any case, so that either runtime gives the same messages about a bad one.

    Raises:
        ModelError: The file is missing, damaged or not ours, or the runtime cannot run it.
        MissingExtraError: The runtime is not installed.
    """
    if runtime == "openvino":
        require("openvino", "openvino", "run models with OpenVINO")
    try:
        generator = session(str(path), optimize=runtime == "onnxruntime")
        metadata = renamed(generator.get_modelmeta().custom_metadata_map, NETWORKS)
    except Exception as error:  # ONNX Runtime raises its own unrelated classes
        raise ModelError(f"{path}: damaged or not an .onnx file ({_first_line(error)})") from error
    if "stargan" not in metadata:
        raise ModelError(f"{path}: an .onnx file, but not one that stargan wrote")
    info = _description(path, metadata, generator)
    condition = info.architecture.condition_name

    def load_classifier() -> Any:
        graph = base64.b64decode(metadata.get("classifier", ""), validate=True)
        classifier = session(graph, spin=False)  # it runs once a batch, between the generator's calls
        _check_graph(classifier, _image_input(info), "logits")
        return classifier

    if runtime == "openvino":
        del generator  # frees its memory before OpenVINO needs as much
        return info, OnnxBackend(path, openvino.generator(path, condition), load_classifier)

    def generate(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        translated: np.ndarray = generator.run(["translated"], {"images": images, condition: labels})[0]
        return translated

    return info, OnnxBackend(path, generate, load_classifier)


def _description(path: Path, metadata: Mapping[str, str], generator: Any) -> ModelInfo:
    """The file's description, checked against its graph."""
    try:
        info = ModelInfo.loads(metadata["stargan"])
        condition = {info.architecture.condition_name: [info.domains.num_labels]}
        _check_graph(generator, _image_input(info) | condition, "translated")
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return info


def _image_input(info: ModelInfo) -> dict[str, list[int]]:
    width, height = info.image_size
    return {"images": [3, height, width]}


def _check_graph(graph: Any, inputs: dict[str, list[int]], output: str) -> None:
    """Checks that a graph has these inputs, with these shapes behind the batch axis, and this output."""
    shapes = {node.name: node.shape[1:] for node in graph.get_inputs()}
    if shapes != inputs or output not in [node.name for node in graph.get_outputs()]:
        raise ModelError(f"its description does not fit its graph, whose inputs are {shapes}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
