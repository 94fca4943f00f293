"""Export of the networks as ONNX graphs."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from stargan.config import Architecture
from stargan.domains import Domains
from stargan.engine.interface import OnnxGraphs
from stargan.engine.pytorch import networks
from stargan.engine.pytorch.fast import rewrite
from stargan.errors import require
from stargan.model.onnx_session import session

TOLERANCE = 1e-4  # the rewritten G is kept if its results differ from PyTorch's by no more than this


def export(
    architecture: Architecture, domains: Domains, arrays: Mapping[str, np.ndarray], *, half: bool, plain: bool
) -> OnnxGraphs:
    """Exports G and, if `arrays` contain one, the attribute classifier.

    Unless `plain`, G's convolutions take the form that CPUs compute faster (`fast/rewrite.py`). The arguments and
    errors are those of `Framework.export_onnx`.
    """
    for library in ("onnx", "onnxscript"):
        require(library, "train", "write .onnx files")
    multiple = architecture.side_multiple
    # A side of one pixel somewhere in G, as at the bottom of a U-Net, would be taken for constant.
    width, height = (max(side, 2 * multiple) for side in architecture.image_size)
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    values = np.eye(2, domains.num_classes, dtype=np.float32)
    condition = architecture.condition(domains, domains.labels(values, 0), values[::-1])
    plain = plain or not architecture.has_papers_generator  # no other G has a rewritten form

    if half:
        arrays = {name: array.astype(np.float16).astype(array.dtype) for name, array in arrays.items()}
    generator = networks.restore("generator", architecture, domains, arrays)
    inputs = {"images": images, architecture.condition_name: torch.from_numpy(condition)}
    expected = generator(*inputs.values())
    if not plain:
        rewrite.rewrite(generator, architecture)
    graph, difference = _graph(generator, inputs, "translated", expected, half, multiple)
    if not plain and difference > TOLERANCE:  # with these weights the rewritten form loses too many digits
        generator = networks.restore("generator", architecture, domains, arrays)
        graph, difference = _graph(generator, inputs, "translated", expected, half)
    if not any(name.startswith("classifier/") for name in arrays):
        return OnnxGraphs(graph, None, difference)
    classifier = networks.restore("classifier", architecture, domains, arrays)
    small, other = _graph(classifier, {"images": images}, "logits", classifier(images), half, multiple)
    return OnnxGraphs(graph, small, max(difference, other))


def _graph(
    network: Any, inputs: Mapping[str, Any], output: str, expected: Any, half: bool, multiple: int = 0
) -> tuple[bytes, float]:
    """Exports one network, see `exported`; also returns its largest difference from `expected`."""
    model = exported(network, inputs, output, multiple)
    _remove_source_notes(model.graph)
    if half:
        _halve(model.graph)
    content = model.SerializeToString()
    (result,) = session(content).run([output], {name: tensor.numpy() for name, tensor in inputs.items()})
    return content, float(np.abs(result - expected.numpy()).max())


def exported(network: Any, inputs: Mapping[str, Any], output: str, multiple: int) -> Any:
    """The ONNX model that PyTorch's exporter makes of a network, with a dynamic batch size.

    Unless `multiple` is 0, images may also have any sides that are multiples of it.
    """
    batch = torch.export.Dim("batch")
    sides = {2: multiple * torch.export.Dim("rows"), 3: multiple * torch.export.Dim("columns")} if multiple else {}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple({0: batch, **(sides if name == "images" else {})} for name in inputs),
        )
        assert program is not None  # None only without dynamo
    return program.model_proto


def _remove_source_notes(graph: Any) -> None:
    """Removes the exporter's notes: on each node, lines of source code, with paths on this machine; and inner shapes.

    Every runtime infers the shapes.
    """
    graph.ClearField("value_info")
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _halve(graph: Any) -> None:
    """Stores weights that float16 holds exactly (as rounded ones do) as float16, each followed by a cast to float32."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        name, values = weight.name, numpy_helper.to_array(weight)
        short = values.astype(np.float16)
        if (short.astype(np.float32) != values).any():
            continue  # a constant of the graph, not a rounded weight
        weight.CopyFrom(numpy_helper.from_array(short, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's messages, among them one that torchvision is not installed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
