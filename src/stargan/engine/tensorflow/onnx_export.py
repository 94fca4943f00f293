"""ONNX graphs of the networks, written layer by layer from a model's arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stargan.config import Architecture
from stargan.domains import Domains
from stargan.engine.constants import MASK_FLOOR
from stargan.engine.interface import OnnxGraphs
from stargan.engine.tensorflow import networks
from stargan.engine.tensorflow.edit.onnx_export import edit_generator
from stargan.engine.tensorflow.onnx_graph import Graph
from stargan.model.onnx_session import session
from stargan.model.safetensors_file import under

Arrays = Mapping[str, np.ndarray]


def export(architecture: Architecture, domains: Domains, arrays: Arrays, *, half: bool) -> OnnxGraphs:
    """Exports G and, if `arrays` contain one, the attribute classifier; see `Framework.export_onnx`."""
    width, height = architecture.image_size
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (2, 3, height, width)).astype(np.float32)
    labels = domains.labels(np.eye(2, domains.num_classes, dtype=np.float32), 0)  # or, for an edit generator, a change
    if half:
        arrays = {name: array.astype(np.float16).astype(array.dtype) for name, array in arrays.items()}
    inputs = {"images": images, architecture.condition_name: labels}
    write = edit_generator if architecture.generator == "edit" else _generator
    content = write(architecture, domains.num_labels, under(arrays, "generator"), half)
    difference = _difference(content, "generator", architecture, domains, arrays, inputs)
    if not under(arrays, "classifier"):
        return OnnxGraphs(content, None, difference)
    small = _classifier(architecture, domains.num_classes, under(arrays, "classifier"), half)
    other = _difference(small, "classifier", architecture, domains, arrays, {"images": images})
    return OnnxGraphs(content, small, max(difference, other))


def _difference(
    content: bytes, name: str, architecture: Architecture, domains: Domains, arrays: Arrays, inputs: Arrays
) -> float:
    """The largest difference of a graph's results from Keras' own."""
    network = networks.restore(name, architecture, domains, arrays)
    (result,) = session(content).run(None, dict(inputs))
    expected = network(inputs["images"].transpose(0, 2, 3, 1), *list(inputs.values())[1:]).numpy()
    if expected.ndim == 4:
        expected = expected.transpose(0, 3, 1, 2)
    return float(np.abs(result - expected).max())


def _generator(architecture: Architecture, num_labels: int, weights: Arrays, half: bool) -> bytes:
    width, height = architecture.image_size
    graph = Graph(weights, half)
    planes = graph.node("Unsqueeze", "labels", graph.constant(np.array([2, 3])))
    planes = graph.node("Expand", planes, graph.constant(np.array([1, 1, height, width])))
    x, index = graph.node("Concat", "images", planes, axis=1), 0

    def stage(x: str, index: int, operator: str = "Conv", **attributes: Any) -> str:
        x = graph.convolution(x, f"layers.{index}", operator, **attributes)
        return graph.node("Relu", graph.norm(x, f"layers.{index + 1}"))

    for padding, stride in ((3, 1), (1, 2), (1, 2)):
        x, index = stage(x, index, pads=[padding] * 4, strides=[stride] * 2), index + 3
    for _ in range(architecture.blocks):
        name = f"layers.{index}.layers"
        inner = graph.norm(graph.convolution(x, f"{name}.0", pads=[1] * 4), f"{name}.1")
        inner = graph.convolution(graph.node("Relu", inner), f"{name}.3", pads=[1] * 4)
        x, index = graph.node("Add", x, graph.norm(inner, f"{name}.4")), index + 1
    for _ in range(2):
        if architecture.resize_conv:
            scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
            nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            x, index = graph.node("Resize", x, "", scales, **nearest), index + 1
            x, index = stage(x, index, pads=[1] * 4), index + 3
        else:
            x, index = stage(x, index, "ConvTranspose", pads=[1] * 4, strides=[2, 2]), index + 3
    x = graph.convolution(x, f"layers.{index}", pads=[3] * 4)
    x = _masked(graph, x) if architecture.attention_mask else graph.node("Tanh", x)
    inputs: dict[str, list[int | str]] = {"images": ["batch", 3, height, width], "labels": ["batch", num_labels]}
    return graph.finish(x, "translated", ["batch", 3, height, width], inputs)


def _masked(graph: Graph, x: str) -> str:
    """images + mask * (tanh(colours) - images)."""
    parts = graph.constant(np.array([3, 1]))
    colours, mask = graph.nodes_of("Split", [x, parts], 2, axis=1)
    mask = graph.node("Mul", graph.node("Sigmoid", mask), graph.constant(np.array(1 - MASK_FLOOR, np.float32)))
    mask = graph.node("Add", mask, graph.constant(np.array(MASK_FLOOR, np.float32)))
    change = graph.node("Sub", graph.node("Tanh", colours), "images")
    return graph.node("Add", "images", graph.node("Mul", mask, change))


def _classifier(architecture: Architecture, num_classes: int, weights: Arrays, half: bool) -> bytes:
    width, height = architecture.image_size
    graph, x = Graph(weights, half), "images"
    for level in range(architecture.d_layers):
        x = graph.convolution(x, f"layers.{2 * level}", pads=[1] * 4, strides=[2, 2], bias=True)
        x = graph.node("LeakyRelu", x, alpha=0.01)
    x = graph.node("ReduceMean", x, graph.constant(np.array([2, 3])), keepdims=0)
    x = graph.node("Gemm", x, graph.weight("cls.weight"), graph.weight("cls.bias"), transB=1)
    return graph.finish(x, "logits", ["batch", num_classes], {"images": ["batch", 3, height, width]})
