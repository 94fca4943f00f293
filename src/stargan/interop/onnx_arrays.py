"""The arrays of a model, recovered from its `.onnx` file.

Its graphs keep the names of most arrays. But the exporter folds norms into plain constants and merges equal ones, and
PyTorch's engine rewrites some layers of G for CPUs (`engine/pytorch/fast`). So norms are found by their order, the
rewritten layers are put back, and the result has to translate like the graph.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stargan import engine
from stargan.engine import Framework
from stargan.errors import MissingExtraError, ModelError, require
from stargan.model import onnx_file, onnx_graph
from stargan.model.info import ModelInfo
from stargan.model.onnx_session import session
from stargan.model.safetensors_file import Arrays

TOLERANCE = 1e-3  # largest difference between the images of the graph and of the recovered arrays
PURPOSE = "use the weights of .onnx files"


def read(path: Path, framework: str | None = None) -> tuple[ModelInfo, Arrays]:
    """Reads the generator and the attribute classifier of an `.onnx` file as arrays.

    Args:
        path: The model file.
        framework: The name of the framework that will use them, which checks them; by default, the one that trained.

    Raises:
        ModelError: The file is missing, damaged, not one of ours or not safe to load, or its graphs are not those that
            this package writes.
        MissingExtraError: The framework is not installed.
    """
    file = onnx_file.read(path)
    library = engine.framework(framework or file.info.engine, PURPOSE)
    if framework is None and file.info.architecture.method != "stargan":
        raise ModelError(
            f"{path}: the weights of {file.info.architecture.method}'s networks cannot be taken from .onnx files; "
            "export the run or its .safetensors file instead"
        )
    check_method(path, file.info)
    try:
        arrays = _generator(_graph(file.generator), file.info, library)
        if file.classifier:
            arrays |= _classifier(_graph(base64.b64decode(file.classifier, validate=True)))
        difference = _difference(file, arrays, library)
    except MissingExtraError:
        raise
    except Exception as error:  # protobuf, ONNX Runtime and the frameworks raise unrelated classes
        if b"DequantizeLinear" in file.generator:
            raise ModelError(f"{path}: is in int8; export the model that it was made of instead") from error
        why = error if isinstance(error, ModelError) else type(error).__name__
        raise ModelError(f"{path}: its graphs are not those that stargan export writes ({why})") from error
    if not difference <= TOLERANCE:
        raise ModelError(
            f"{path}: the weights found in it give other images than its graph (a difference of {difference:.1e}); "
            "export the run or its .safetensors file instead"
        )
    return file.info, arrays


def check_method(path: Path, info: ModelInfo) -> None:
    """Refuses networks that TensorFlow's engine does not have.

    Raises:
        ModelError: They are of another method than StarGAN.
    """
    if info.architecture.method != "stargan":
        raise ModelError(
            f"{path}: TensorFlow's engine does not have {info.architecture.method}'s networks; .onnx and .safetensors "
            "files can contain them"
        )


def check_size(info: ModelInfo, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses a description of networks far larger than the arrays, before memory is taken for them.

    Raises:
        ModelError: It states such sizes.
    """
    count = sum(array.size for array in arrays.values())
    if info.architecture.least_weights > count:
        raise ModelError(
            f"its arrays have {count} numbers, its description needs {info.architecture.least_weights} at least"
        )


def _graph(content: bytes) -> Any:
    onnx_graph.check(content)
    return require("onnx", "tensorflow", PURPOSE).load_from_string(content).graph


def _constants(graph: Any) -> Arrays:
    """The stored arrays by name; those of float16 as float32, with the name that follows the conversion."""
    from onnx import numpy_helper

    found, converted = {}, {}
    for stored in graph.initializer:
        array, name = numpy_helper.to_array(stored), stored.name.removesuffix(".half")
        found[name] = array.astype(np.float32) if array.dtype == np.float16 else array
        converted[stored.name] = name
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in converted:
            converted[node.output[0]] = converted[node.input[0]]
        node.input[:] = [converted.get(name, name) for name in node.input]
    for node in graph.node:  # PyTorch's exporter merges equal arrays, and biases may all be zero
        if node.op_type in ("Conv", "ConvTranspose", "Gemm") and len(node.input) == 3 and node.input[1] in found:
            found[f"{node.input[1].removesuffix('.weight')}.bias"] = found[node.input[2]]
    return found


def _generator(graph: Any, info: ModelInfo, framework: Framework) -> Arrays:
    constants = _constants(graph)
    check_size(info, constants)
    named = _restored(constants, info) if info.architecture.has_papers_generator else constants
    shapes = framework.parameter_shapes(info.architecture, info.domains.num_labels, None)
    norms = _norms(graph, constants, grouped=info.architecture.generator == "edit")
    layers = [name.removesuffix(".weight") for name, shape in shapes.items() if len(shape) == 1 and ".weight" in name]
    found: Arrays = {}
    for index, layer in enumerate(layers):
        found |= {f"{layer}.{field}": norms[index][field] for field in ("weight", "bias") if index < len(norms)}
    found |= {f"generator/{name}": array for name, array in named.items() if f"generator/{name}" in shapes}
    # PyTorch's exporter leaves out biases that are all zero, as they are before training.
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if name.endswith(".bias")}
    return zeros | found


def _classifier(graph: Any) -> Arrays:
    return {
        f"classifier/{name}": array for name, array in _constants(graph).items() if name.endswith((".weight", ".bias"))
    }


def _norms(graph: Any, constants: Arrays, *, grouped: bool) -> list[Arrays]:
    """The scales and shifts of the norms in their order, as `weight` and `bias`, for those that have lost their names.

    Those of instance norms are inputs of their nodes; those of group norms and of rewritten layers are factors and
    summands with as many elements as there are channels.
    """
    scales, shifts = [], []
    for node in graph.node:
        vectors = [constants[name].ravel() for name in node.input if name in constants and constants[name].size > 1]
        if node.op_type == "InstanceNormalization" and not grouped:
            scales.append(vectors[0])
            shifts.append(vectors[1])
        elif node.op_type in ("Mul", "Add") and vectors:
            (scales if node.op_type == "Mul" else shifts).append(vectors[0])
    return [{"weight": scale, "bias": shift} for scale, shift in zip(scales, shifts, strict=False)]


def _restored(constants: Arrays, info: ModelInfo) -> Arrays:
    """The arrays of the paper's G by the names and in the form that they have before `engine/pytorch/fast`."""
    blocks = info.architecture.blocks
    rewritten = any(".blocks." in name for name in constants)
    found: Arrays = {}
    for name, array in constants.items():
        head, _, rest = name.partition(".")
        index, _, rest = rest.partition(".")
        if head != "layers" or not index.isdigit():
            continue
        number = int(index)
        if rewritten and rest.startswith("blocks."):  # of a `winograd.Trunk`, which takes the place of all blocks
            inner, _, rest = rest.removeprefix("blocks.").partition(".")
            number += int(inner)
            array = array.reshape(3, 3, *array.shape[1:]).transpose(3, 2, 0, 1) if array.ndim == 3 else array
        elif rewritten and number > 9:
            number += blocks - 1
        found[f"layers.{number}.{rest}"] = array
    last = max((name for name in found if found[name].ndim == 4), key=lambda name: int(name.split(".")[1]))
    if found[last].shape[2:] == (7, 1):  # of a `ColumnConv`
        columns = found[last]
        found[last] = columns.reshape(7, -1, columns.shape[1], 7).transpose(1, 2, 3, 0)
    return found


def _difference(file: onnx_file.OnnxFile, arrays: Mapping[str, np.ndarray], framework: Framework) -> float:
    """The largest difference between what the graph and the arrays make of random images."""
    info, random = file.info, np.random.default_rng(0)
    width, height = info.image_size
    images = random.uniform(-1, 1, (2, 3, height, width)).astype(np.float32)
    values = info.domains.random_values(random, 2)
    condition = info.architecture.condition(info.domains, info.domains.labels(values, 0), values[::-1])
    predictor = framework.predictor(info.architecture, info.domains, arrays)
    inputs = {"images": images, info.architecture.condition_name: condition}
    (expected,) = session(file.generator).run(["translated"], inputs)
    difference = float(np.abs(predictor.generate(images, condition) - expected).max())
    if not file.classifier:
        return difference
    (logits,) = session(base64.b64decode(file.classifier)).run(["logits"], {"images": images})
    return max(difference, float(np.abs(predictor.classify(images) - logits).max()))
