"""Models in `.onnx` files, run by ONNX Runtime or OpenVINO."""

import base64
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np

from stargan.errors import ModelError, require
from stargan.inference import openvino
from stargan.model.onnx_file import OnnxFile
from stargan.model.onnx_session import session

Runtime = Literal["onnxruntime", "openvino"]
"""What can run an `.onnx` file."""

Run = Callable[..., np.ndarray]
"""Runs a graph on arrays and returns its result, unchecked."""


class OnnxBackend:
    """The generator, ready to run, and the attribute classifier, which is loaded when it is first used.

    ONNX Runtime loads the generator in any case, so that either runtime gives the same messages about a bad one. Every
    result is checked: its count, shape, type, and that it is finite.

    Args:
        file: The model file.
        runtime: What runs the generator.
        spin: Whether ONNX Runtime's idle threads wait actively between the generator's runs.
        threads: The number of threads that compute; by default, one for each processor.

    Raises:
        ModelError: The generator is damaged, not safe to load (see `onnx_graph.check`) or does not fit the description,
            or the runtime cannot run it.
        MissingExtraError: The runtime is not installed.
    """

    def __init__(
        self, file: OnnxFile, runtime: Runtime = "onnxruntime", *, spin: bool = True, threads: int = 0
    ) -> None:
        if runtime == "openvino":
            require("openvino", "openvino", "run models with OpenVINO")
        self._path, self._info = file.path, file.info
        condition = file.info.architecture.condition_name
        self._generator = self._load(
            file.generator,
            ("images", condition),
            "translated",
            optimize=runtime == "onnxruntime",
            spin=spin,
            threads=threads,
        )
        if runtime == "openvino":
            # ONNX Runtime bounds the memory of a graph, OpenVINO does not. So the graph first shows that it needs
            # little, on one image.
            width, height = file.info.image_size
            labels = np.zeros((1, file.info.domains.num_labels), np.float32)
            self.generate(np.zeros((1, 3, height, width), np.float32), labels)
            del self._generator  # frees its memory before OpenVINO needs as much
            self._generator = openvino.generator(file.path, file.generator, condition, threads)

        @cache
        def load_classifier() -> Run:
            try:
                graph = base64.b64decode(file.classifier, validate=True)
                return self._load(
                    graph, ("images",), "logits", spin=False, threads=threads
                )  # it runs once a batch, between the generator's calls
            except (ModelError, ValueError) as error:
                reason = str(error).removeprefix(f"{file.path}: ")
                raise ModelError(f"{file.path}: its attribute classifier is damaged ({reason})") from error

        self._classifier = load_classifier

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) images and (N, L), see `Architecture.condition`, to (N, 3, H, W) images, float32.

        Raises:
            ModelError: The generator does not give such images.
        """
        return self._run(self._generator, (images, labels), images.shape)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) images to (N, C) logits, float32.

        Raises:
            ModelError: The attribute classifier is damaged, or does not give such logits.
        """
        return self._run(self._classifier(), (images,), (len(images), self._info.domains.num_classes))

    def _load(self, graph: bytes, names: tuple[str, ...], output: str, **how: Any) -> Run:
        """Loads a graph with these inputs and this output into ONNX Runtime."""
        width, height = self._info.image_size
        any_size = self._info.architecture.side_multiple > 0
        image = [3, None, None] if any_size else [3, height, width]
        inputs = {name: image if name == "images" else [self._info.domains.num_labels] for name in names}
        try:
            loaded = session(graph, **how)
            _check_graph(loaded, inputs, output)
        except ModelError as error:
            raise ModelError(f"{self._path}: {error}") from error
        except Exception as error:  # ONNX Runtime raises its own unrelated classes
            raise ModelError(f"{self._path}: damaged or not an .onnx file ({_first_line(error)})") from error

        def run(*arrays: np.ndarray) -> np.ndarray:
            result: np.ndarray = loaded.run([output], dict(zip(names, arrays, strict=True)))[0]
            return result

        return run

    def _run(self, run: Run, arrays: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
        try:
            result = run(*arrays)
        except Exception as error:  # the runtimes raise their own unrelated classes
            raise ModelError(f"{self._path}: its graph cannot be run ({_first_line(error)})") from error
        if result.shape != shape or result.dtype != np.float32:
            raise ModelError(
                f"{self._path}: its graph gives {result.dtype} of shape {result.shape} where float32 of shape {shape} "
                "is expected"
            )
        if not np.isfinite(result).all():
            raise ModelError(f"{self._path}: its graph gives numbers that are not finite")
        return result


def _check_graph(graph: Any, inputs: Mapping[str, Sequence[int | None]], output: str) -> None:
    """Checks that a graph takes such float32 arrays, any number of each at once, and gives a float32 array.

    Where a side is None, the graph must take any.
    """
    found = {node.name: (node.type, list(node.shape)) for node in graph.get_inputs()}
    fits = found.keys() == inputs.keys() and all(
        kind == "tensor(float)" and [None if isinstance(side, str) else side for side in shape] == [None, *inputs[name]]
        for name, (kind, shape) in found.items()
    )
    if not fits or (output, "tensor(float)") not in [(node.name, node.type) for node in graph.get_outputs()]:
        words = ", ".join(f"{name} {kind} {shape}" for name, (kind, shape) in found.items())
        raise ModelError(f"its description does not fit its graph, whose inputs are {words}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
