"""ONNX graphs that compute their convolutions in whole numbers (`stargan export FILE.onnx --quantize int8`).

ONNX Runtime's tools write them: weights as int8, with a scale for each channel; the inputs and outputs of convolutions
as uint8, whose range is the mean of the ranges in the images to calibrate on. Everything else, which takes little time,
stays float32. So do convolutions that no other layer follows: they make colours and mask, where rounding shows most.
"""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stargan.engine import OnnxGraphs
from stargan.errors import require
from stargan.interop import comparison
from stargan.interop.form import Form
from stargan.interop.sample_requests import Classify, Samples, requests
from stargan.model import onnx_file
from stargan.model.info import ModelInfo
from stargan.model.onnx_session import session
from stargan.progress import counted
from stargan.storage import atomic_write

_log = logging.getLogger(__name__)

Feed = Mapping[str, np.ndarray]
"""The inputs of a graph by name."""


def write(path: Path, info: ModelInfo, graphs: OnnxGraphs, form: Form, samples: Samples) -> None:
    """Writes an `.onnx` file in whole numbers, and says its size, its speed and how far its images are from float32.

    Args:
        path: The file.
        info: The description of the model.
        graphs: Its networks in float32, with their layers as they are.
        form: How the file stores them.
        samples: The images to calibrate on, and those to compare.

    Raises:
        ModelError: ONNX Runtime cannot write or run it.
        MissingExtraError: The package `onnx` is not installed.
    """
    _log.info("%s: calibrating on %s", path.name, counted(len(samples[0]), "image"))
    with comparison.in_one_line(path, "ONNX Runtime"), atomic_write(path, ending=".onnx") as temporary:
        run = _run(graphs.generator, info)
        calibration, measured = (requests(each, info, _classify(graphs.classifier, info)) for each in samples)
        generator = quantize(graphs.generator, [_feed(info, *each) for each in calibration])
        classifier = graphs.classifier
        if classifier is not None:
            classifier = quantize(classifier, [{"images": images} for images, _ in calibration])
            session(classifier)
        onnx_file.write(temporary, info, generator, classifier)
        where = f" on one thread ({comparison.milliseconds(run, measured):.0f} in float32, --plain)"
        found = comparison.measure(temporary, _run(generator, info), run, measured, where)
    comparison.report(path, found, form, "--half changes")


def quantize(graph: bytes, feeds: Sequence[Feed]) -> bytes:
    """Returns a serialised graph in whole numbers.

    Args:
        graph: What `Framework.export_onnx` returns, in float32 and with its layers as they are.
        feeds: The inputs to calibrate on.

    Raises:
        MissingExtraError: The package `onnx` is not installed.
    """
    onnx = require("onnx", "train", "write .onnx files")
    from onnxruntime import quantization

    class Inputs(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(feeds)

        def get_next(self) -> Feed | None:
            return next(self._rest, None)

    model = onnx.load_from_string(graph)
    for index, node in enumerate(model.graph.node):
        node.name = f"n{index}"  # TensorFlow's engine gives none
    chosen = _inner_convolutions(model.graph)
    if not chosen:  # which would mean all nodes
        return graph
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            model,
            path,
            Inputs(),
            per_channel=True,
            reduce_range=True,  # 7 bits: CPUs without instructions for int8 add products in 16 bits, which 8 overflow
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=chosen,
            extra_options={"CalibMovingAverage": True},
        )
        made = onnx.load(path)
    del made.metadata_props[:]
    made.graph.ClearField("value_info")  # every runtime infers the shapes
    return made.SerializeToString()


def _feed(info: ModelInfo, images: np.ndarray, condition: np.ndarray) -> Feed:
    return {"images": images, info.architecture.condition_name: condition}


def _run(generator: bytes, info: ModelInfo) -> comparison.Run:
    graph = session(generator, threads=1)
    return lambda *inputs: graph.run(["translated"], _feed(info, *inputs))[0]


def _classify(classifier: bytes | None, info: ModelInfo) -> Classify | None:
    if classifier is None:
        return None
    graph = session(classifier, threads=1)
    return lambda images: info.probabilities(graph.run(["logits"], {"images": images})[0])


def _inner_convolutions(graph: Any) -> list[str]:
    """The names of the convolutions that another layer follows, at whatever distance."""
    leads: set[str] = set()  # arrays from which a layer computes
    found = []
    for node in reversed(graph.node):  # graphs are sorted: an array is computed before it is used
        follows = leads.intersection(node.output)
        if node.op_type == "Conv" and follows:
            found.append(node.name)
        if node.op_type in ("Conv", "ConvTranspose", "Gemm") or follows:
            leads.update(node.input)
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the tools' advice to optimize the graph first, which leads to the same file here."""
    before, handler = logging.root.manager.disable, logging.NullHandler()
    logging.disable(max(before, logging.WARNING))
    logging.root.addHandler(handler)  # without any, the first message would add one that prints all later ones
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        logging.disable(before)
