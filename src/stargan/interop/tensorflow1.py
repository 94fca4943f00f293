"""Conversion from the variable names of the simple TensorFlow 1 code (taki0112/StarGAN-Tensorflow) to ours.

Its kernels are (height, width, in, out), those of its transposed convolutions (height, width, out, in). PyTorch has
(out, in, height, width) and (in, out, height, width), so the same permutation of axes converts both. Its SAME padding
removes one pixel from every side of a 4x4 transposed convolution of stride 2, as ours does.
"""

import re
from collections.abc import Mapping

import numpy as np

from stargan.interop.official import Naming, Sizes, rename
from stargan.model.safetensors_file import Arrays

_IGNORED = re.compile(r".*/Adam(_\d+)?|(.*/)?beta[12]_power(_\d+)?|global_step")


def tensorflow1_names(sizes: Sizes) -> dict[str, str]:
    """Returns the names in the TensorFlow code by ours, for networks of given sizes."""
    table = {"layers.0": "conv/conv2d", "layers.1": "ins_norm"}
    for i in range(2):
        table[f"layers.{3 + 3 * i}"] = f"conv_{i}/conv2d"
        table[f"layers.{4 + 3 * i}"] = f"down_ins_norm_{i}"
    for i in range(sizes.architecture.blocks):
        for part, conv, norm in (("res1", 0, 1), ("res2", 3, 4)):
            table[f"layers.{9 + i}.layers.{conv}"] = f"resblock_{i}/{part}/conv_0/conv2d"
            table[f"layers.{9 + i}.layers.{norm}"] = f"resblock_{i}/{part}/instance_norm"
    up = 9 + sizes.architecture.blocks
    for i in range(2):
        table[f"layers.{up + 3 * i}"] = f"deconv_{i}/conv2d_transpose"
        table[f"layers.{up + 1 + 3 * i}"] = f"up_ins_norm{i}"
    table[f"layers.{up + 6}"] = "G_logit/conv2d"
    layers = {f"generator/{ours}": f"generator/{theirs}" for ours, theirs in table.items()}

    if sizes.num_classes is not None:
        layers |= {
            f"discriminator/layers.{2 * i}": f"discriminator/conv_{i}/conv2d"
            for i in range(sizes.architecture.d_layers)
        }
        layers |= {
            "discriminator/src": "discriminator/D_logit/conv2d",
            "discriminator/cls": "discriminator/D_label/conv2d",
        }
    names: dict[str, str] = {}
    for ours, theirs in layers.items():
        weight, bias = ("gamma", "beta") if "norm" in theirs else ("kernel", "bias")
        names |= {f"{ours}.weight": f"{theirs}/{weight}", f"{ours}.bias": f"{theirs}/{bias}"}
    return names


TENSORFLOW1 = Naming(
    first="generator/conv/conv2d/kernel",
    block=r"generator/resblock_\d+/res1/conv_0/conv2d/kernel",
    layer=r"discriminator/conv_\d+/conv2d/kernel",
    classes="discriminator/D_label/conv2d/kernel",
    names=tensorflow1_names,
)


def from_tensorflow1(variables: Mapping[str, np.ndarray]) -> tuple[Arrays, Sizes]:
    """Converts weights of the TensorFlow code to our names.

    Args:
        variables: All variables of its checkpoint by name. Those of Adam are ignored; those of the discriminator may be
            missing.

    Returns:
        The arrays `generator/...` and `discriminator/...`, float32, and the sizes of the networks.

    Raises:
        ModelError: A variable is missing, unexpected or of the wrong shape; the message names it.
    """
    weights = {name: array for name, array in variables.items() if not _IGNORED.fullmatch(name)}
    return rename({name: _transposed(array) for name, array in weights.items()}, TENSORFLOW1)


def _transposed(array: np.ndarray) -> np.ndarray:
    """Converts the axes of a kernel to PyTorch's order; other arrays stay unchanged."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
