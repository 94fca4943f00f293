"""A model whose translations are means: of the image's, and of its mirror image's, turned back.

What G paints in only one of the two fades. It takes twice the time, and the file is for `stargan evaluate` and
`stargan translate` only.
"""

import argparse
import base64
import sys
from pathlib import Path

import numpy as np
from options import Parser, command

from stargan.errors import ConfigError
from stargan.model import locations, onnx_file, onnx_graph


def mirrored(content: bytes) -> bytes:
    """Adds the mirror image to each image before G, and takes the mean behind it.

    Args:
        content: A serialised graph from `images` and another input to `translated`.
    """
    import onnx
    from onnx import helper, numpy_helper

    onnx_graph.check(content)
    model = onnx.load_from_string(onnx_graph.without_metadata(content))
    graph = model.graph
    label = graph.input[1].name
    graph.ClearField("value_info")  # its shapes are of half as many images
    for node in graph.node:
        node.input[:] = [f"both.{name}" if name in ("images", label) else name for name in node.input]
        node.output[:] = ["both.translated" if name == "translated" else name for name in node.output]
    # The slice [::-1] of the last axis.
    for name, value in (("start", -1), ("end", -(2**31)), ("axis", 3), ("step", -1)):
        graph.initializer.append(numpy_helper.from_array(np.array([value]), f"mirror.{name}"))
    graph.initializer.append(numpy_helper.from_array(np.array(0.5, np.float32), "mirror.half"))
    turn = [f"mirror.{name}" for name in ("start", "end", "axis", "step")]
    nodes = [
        helper.make_node("Slice", ["images", *turn], ["mirror.images"]),
        helper.make_node("Concat", ["images", "mirror.images"], ["both.images"], axis=0),
        helper.make_node("Concat", [label, label], [f"both.{label}"], axis=0),
        *graph.node,
        helper.make_node(
            "Split", ["both.translated"], ["plain.translated", "mirror.translated"], axis=0, num_outputs=2
        ),
        helper.make_node("Slice", ["mirror.translated", *turn], ["turned.translated"]),
        helper.make_node("Add", ["plain.translated", "turned.translated"], ["sum.translated"]),
        helper.make_node("Mul", ["sum.translated", "mirror.half"], ["translated"]),
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def main() -> None:
    """Writes the model."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an .onnx file, or the name of a model that comes with the package")
    parser.add_argument("out", type=Path, help="the .onnx file to write")
    options = parser.parse_args()
    path = locations.locate(options.model, locations.BEST_FOR_USE)
    if path.suffix != ".onnx" or options.out.suffix != ".onnx":
        raise ConfigError("both files must end in .onnx; `stargan export` makes one of a run")
    file = onnx_file.read(path)
    classifier = base64.b64decode(file.classifier, validate=True) if file.classifier else None
    onnx_file.write(options.out, file.info, mirrored(file.generator), classifier)
    print(options.out)


if __name__ == "__main__":
    sys.exit(command(main))
