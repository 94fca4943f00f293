"""ONNX files: they run anywhere without PyTorch."""

import base64
import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stargan.errors import ModelError, require
from stargan.model import safetensors_file
from stargan.model.info import ModelInfo
from stargan.model.onnx_session import session

TOLERANCE = 1e-4  # largest difference to PyTorch that an exported file may show


def write(
    path: Path, info: ModelInfo, arrays: Mapping[str, np.ndarray], *, half: bool = False, plain: bool = False
) -> float:
    """Writes G as an ONNX graph: `images` (N, 3, H, W) and `labels` (N, L) to `translated` (N, 3, H, W).

    The attribute classifier, if the model has one, is a second small graph, base64 in the metadata `classifier`: only
    images whose labels are unknown need it.

    Args:
        path: Ends in `.onnx`.
        info: What the file says about itself.
        arrays: The weights by name, as in `stargan.model.safetensors_file`.
        half: Whether weights are rounded to float16 and kept so; what runs the file turns them back as it loads them.
        plain: Whether G's convolutions stay such; else they are written out as a CPU does them faster, see
            `stargan.engine.pytorch.inference`, and within `TOLERANCE`.

    Returns:
        The largest difference to PyTorch, with the same weights, on random pictures.

    Raises:
        ModelError: A weight is missing or wrong, or the file's results differ by more than `TOLERANCE`.
    """
    require("torch", "train", "write .onnx files")
    require("onnx", "train", "write .onnx files")
    require("onnxscript", "train", "write .onnx files")
    import torch

    from stargan.engine.pytorch import networks
    from stargan.engine.pytorch.fast import rewrite

    width, height = info.image_size
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.from_numpy(info.domains.labels(np.eye(2, info.domains.num_classes, dtype=np.float32), 0))

    if half:
        arrays = {name: array.astype(np.float16).astype(array.dtype) for name, array in arrays.items()}
    generator = networks.restore("generator", info.architecture, info.domains, arrays)
    expected = generator(images, labels)
    inputs = {"images": images, "labels": labels}
    if not plain:
        rewrite.rewrite(generator, info.architecture)
    model, difference = _graph(generator, inputs, "translated", expected, half)
    if not plain and difference > TOLERANCE:  # weights with which other sums lose too many digits
        generator = networks.restore("generator", info.architecture, info.domains, arrays)
        model, difference = _graph(generator, inputs, "translated", expected, half)
    metadata = {"stargan": info.dumps()}
    if info.classifier:
        classifier = networks.restore("classifier", info.architecture, info.domains, arrays)
        small, other = _graph(classifier, {"images": images}, "logits", classifier(images), half)
        metadata["classifier"] = base64.b64encode(small.SerializeToString()).decode()
        difference = max(difference, other)
    if difference > TOLERANCE:
        raise ModelError(f"{path}: its results differ from PyTorch's by {difference:.1e}; nothing was written")
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    safetensors_file.write_bytes(path, model.SerializeToString())
    return difference


def describe(source: Path, path: Path, change: Callable[[ModelInfo], ModelInfo]) -> ModelInfo:
    """Writes an `.onnx` file of ours again, with the same graph and another description.

    Args:
        source: The file.
        path: The file to write, which may be the same.
        change: Makes the new description of the old one.

    Returns:
        The new description.

    Raises:
        ModelError: The file is missing, damaged or not ours; or what `change` raises.
    """
    library = require("onnx", "train", "write .onnx files")
    try:
        model = library.load(source)
        (said,) = (entry for entry in model.metadata_props if entry.key == "stargan")
        info = ModelInfo.loads(said.value)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    except Exception as error:  # protobuf raises its own unrelated classes for damaged files
        raise ModelError(f"{source}: damaged or not an .onnx file of stargan ({error})") from error
    info = change(info)
    said.value = info.dumps()
    safetensors_file.write_bytes(path, model.SerializeToString())
    return info


def _graph(network: Any, inputs: Mapping[str, Any], output: str, expected: Any, half: bool) -> tuple[Any, float]:
    """Exports one network with a free batch size; also its largest difference to what is expected."""
    import torch

    batch = torch.export.Dim("batch")
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple({0: batch} for _ in inputs),
        )
        assert program is not None  # only so without dynamo
    model = program.model_proto
    _forget_origin(model.graph)
    if half:
        _halve(model.graph)
    (found,) = session(model.SerializeToString()).run(
        [output], {name: tensor.numpy() for name, tensor in inputs.items()}
    )
    return model, float(np.abs(found - expected.numpy()).max())


def _forget_origin(graph: Any) -> None:
    """Drops what the exporter notes of each node: lines of source code, with paths of this machine."""
    for part in (*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _halve(graph: Any) -> None:
    """Keeps in float16 what that holds exactly, which rounded weights are, each behind a node that makes it float32."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        name, values = weight.name, numpy_helper.to_array(weight)
        short = values.astype(np.float16)
        if (short.astype(np.float32) != values).any():
            continue  # a constant of the graph
        weight.CopyFrom(numpy_helper.from_array(short, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's remarks, among them one that torchvision is not installed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
