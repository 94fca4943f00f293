"""Conversion of the tensor names of junyanz/pytorch-CycleGAN-and-pix2pix to ours.

Its networks match ours layer by layer; only the names of the containers differ. In its code, G_A translates from A to B
and D_A scores images of B. Instance norms of its early versions stored running statistics, which are not used.
"""

import re
from collections.abc import Mapping

import numpy as np

from stargan.config import Architecture
from stargan.errors import ModelError
from stargan.interop.official import Sizes, kernel, matched, shapes
from stargan.model.safetensors_file import Arrays

NETWORKS = {"generator/to_b": "G_A", "generator/to_a": "G_B", "discriminator/b": "D_A", "discriminator/a": "D_B"}
"""Its networks by ours."""

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
_FIRST = "model.1.weight"
_BLOCK = r"model\.\d+\.conv_block\.1\.weight"


def is_resnet(state: Mapping[str, np.ndarray]) -> bool:
    """Returns whether a state dict is that of a residual generator of this code."""
    return _FIRST in state and not any(name.startswith("model.model.") for name in state)


def from_cyclegan(networks: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[Arrays, Sizes]:
    """Converts the networks of a CycleGAN to our names.

    Args:
        networks: The state dicts by its names: `G_A` and `G_B`, and, if available, both `D_A` and `D_B`.

    Returns:
        The arrays `generator/...` and `discriminator/...`, float32, and the sizes of the networks.

    Raises:
        ModelError: A tensor is missing, unexpected or of the wrong shape; the message names it: `G_A/model.1.bias`.
    """
    theirs = {
        f"{network}/{name}": array
        for network, state in networks.items()
        for name, array in state.items()
        if not name.endswith(_BUFFERS)
    }
    width, blocks = _resnet_sizes(theirs, "G_A")
    with_d = "D_A" in networks
    d_layers = _d_layers(theirs, "D_A") if with_d else 3
    architecture = Architecture((256, 256), width, blocks, d_layers, method="cyclegan")
    sizes = Sizes(architecture, 2, 2 if with_d else None)
    expected = shapes(sizes)
    return matched(theirs, {ours: their_name(ours) for ours in expected}, expected, "CycleGAN"), sizes


def from_resnet(state: Mapping[str, np.ndarray]) -> tuple[Arrays, Sizes]:
    """Converts a single generator of CycleGAN, which translates in one direction.

    Returns, Raises:
        As `from_cyclegan`.
    """
    theirs = {f"G/{name}": array for name, array in state.items() if not name.endswith(_BUFFERS)}
    if "G/model.2.weight" in theirs:
        raise ModelError("has batch norms; only generators with instance norms (--norm instance) are supported")
    width, blocks = _resnet_sizes(theirs, "G")
    architecture = Architecture((256, 256), width, blocks, 3, generator="resnet", method="pix2pix")
    sizes = Sizes(architecture, 1)
    expected = shapes(sizes)
    names = {ours: their_name(ours).replace("G_A/", "G/") for ours in expected}
    return matched(theirs, names, expected, "CycleGAN"), sizes


def _resnet_sizes(theirs: Mapping[str, np.ndarray], network: str) -> tuple[int, int]:
    """The width and the number of residual blocks of a generator."""
    width, channels = kernel(theirs, f"{network}/{_FIRST}")[:2]
    if channels != 3:
        raise ModelError(f"{network}/{_FIRST} has {channels} input channels; only images with 3 are supported")
    return width, sum(bool(re.fullmatch(f"{network}/{_BLOCK}", name)) for name in theirs)


def is_unet(state: Mapping[str, np.ndarray]) -> bool:
    """Returns whether a state dict is that of a U-Net of this code."""
    return "model.model.0.weight" in state


def from_pix2pix(networks: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[Arrays, Sizes]:
    """Converts the networks of pix2pix to our names; the running statistics of its norms are dropped.

    Args:
        networks: The state dicts by its names: `G` and, if available, `D`.

    Returns, Raises:
        As `from_cyclegan`.
    """
    theirs = {
        f"{network}/{name}": array
        for network, state in networks.items()
        for name, array in state.items()
        if not name.endswith(_BUFFERS)
    }
    width, channels = kernel(theirs, "G/model.model.0.weight")[:2]
    if channels != 3:
        raise ModelError(f"G/model.model.0.weight has {channels} input channels; only images with 3 are supported")
    levels = max(name.count(".model") for name in theirs if name.startswith("G/"))
    layers = _d_layers(theirs, "D") if "D" in networks else 3
    side = max(256, 2**levels)
    architecture = Architecture((side, side), width, levels, layers, method="pix2pix")
    sizes = Sizes(architecture, 1, 1 if "D" in networks else None)
    expected = shapes(sizes)
    names = {ours: their_pair_name(ours, levels) for ours in expected}
    return matched(theirs, names, expected, "pix2pix"), sizes


def their_pair_name(ours: str, levels: int) -> str:
    """Converts `generator/to_b.down.1.1.weight` to `G/model.model.1.model.1.weight`; levels are nested there."""
    if ours.startswith("discriminator/"):
        return ours.replace("discriminator/layers", "D/model")
    _, side, level, layer, kind = ours.split(".")
    at = int(level)
    place = {"down": 0, "up": 3} if at == 0 else {"down": int(layer), "up": 2 + int(layer)}
    if 0 < at < levels - 1 and side == "up":
        place["up"] = 4 + int(layer)
    inner = "".join([".1.model", *[".3.model"] * (at - 1)]) if at else ""
    return f"G/model.model{inner}.{place[side]}.{kind}"


def their_name(ours: str) -> str:
    """Converts one of our names, `generator/to_b.layers.10.layers.1.weight`, to `G_A/model.10.conv_block.1.weight`."""
    network, rest = ours.split(".", 1)
    return f"{NETWORKS[network]}/{rest.replace('layers', 'model', 1).replace('.layers.', '.conv_block.')}"


def _d_layers(theirs: Mapping[str, np.ndarray], network: str) -> int:
    """The stride-2 layers of D: all its convolutions but the last two."""
    kernels = [name for name, array in theirs.items() if name.startswith(f"{network}/") and array.ndim == 4]
    return max(len(kernels) - 2, 1)
