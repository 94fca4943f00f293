"""The cost of a network, counted in its graph."""

import math

import tensorflow as tf

from stargan.engine.tensorflow.edit.generator import EditGenerator
from stargan.engine.tensorflow.network import Network
from stargan.engine.tensorflow.networks import Generator


def multiply_adds(network: Network, image_size: tuple[int, int]) -> int:
    """The multiply-adds of one image's forward pass through convolutions and matrix products."""
    width, height = image_size
    shapes: list[tuple[int, ...]] = [(1, height, width, 3)]
    if isinstance(network, Generator | EditGenerator):
        shapes.append((1, network.num_labels))
    function = tf.function(network.call, autograph=False).get_concrete_function(
        *(tf.TensorSpec(shape) for shape in shapes)
    )
    return sum(map(_multiply_adds, function.graph.get_operations()))


def _multiply_adds(operation: tf.Operation) -> int:
    if operation.type == "Conv2D":
        height, width = operation.outputs[0].shape[1:3]
        return int(height * width * math.prod(operation.inputs[1].shape))
    if operation.type == "Conv2DBackpropInput":  # a transposed convolution: each input pixel meets the whole kernel
        height, width = operation.inputs[2].shape[1:3]
        return int(height * width * math.prod(operation.inputs[1].shape))
    if operation.type in ("MatMul", "BatchMatMulV2"):
        return int(math.prod(operation.outputs[0].shape) * operation.inputs[0].shape[-1])
    return 0
