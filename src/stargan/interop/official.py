"""Conversion between the tensor names of the official PyTorch code (yunjey/stargan) and ours.

Its networks match ours layer by layer; only the names of the containers differ. Its instance norms also store running
statistics, which it never uses (it never calls `.eval()`), so they are dropped.

`Naming` and `rename` work for any code that has the paper's networks; see also `stargan.interop.tensorflow1`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from stargan import engine
from stargan.config import Architecture
from stargan.config.architecture import MAX_SIDE
from stargan.errors import ModelError
from stargan.model.safetensors_file import Arrays


@dataclass(frozen=True)
class Sizes:
    """The sizes of networks, inferred from their tensors.

    Attributes:
        architecture: The sizes of both networks. The image size is the smallest that fits D's last kernel. Without D,
            the image size and the number of D's layers are the defaults.
        num_labels: L, the length of G's label vector, including the domain mask if there are several data sets.
        num_classes: C, the number of classes D predicts; None without D.
    """

    architecture: Architecture
    num_labels: int
    num_classes: int | None = None


@dataclass(frozen=True)
class Naming:
    """The tensor names of another code.

    Attributes:
        first: The name of G's first kernel.
        block: A pattern that matches exactly one tensor name per residual block.
        layer: A pattern that matches exactly one tensor name per stride-2 layer of D.
        classes: The name of D's classification kernel.
        names: Returns all names for networks of given sizes, as a dict from ours (`generator/layers.0.weight`) to
            theirs.
    """

    first: str
    block: str
    layer: str
    classes: str
    names: Callable[[Sizes], dict[str, str]]


# ---------------------------------------------------------------- the official code

_WORDS = {"generator": "G", "discriminator": "D", "layers": "main", "src": "conv1", "cls": "conv2"}
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def official_name(name: str) -> str:
    """Converts one of our names, `generator/layers.9.layers.0.weight`, to the official `G/main.9.main.0.weight`."""
    return re.sub(r"[a-z]+[0-9]*", lambda word: _WORDS.get(word[0], word[0]), name)


def official_names(sizes: Sizes) -> dict[str, str]:
    """Returns the official names by ours, for networks of given sizes."""
    return {name: official_name(name) for name in shapes(sizes)}


OFFICIAL = Naming(
    first="G/main.0.weight",
    block=r"G/main\.\d+\.main\.0\.weight",
    layer=r"D/main\.\d+\.weight",
    classes="D/conv2.weight",
    names=official_names,
)


def from_official(
    generator: Mapping[str, np.ndarray], discriminator: Mapping[str, np.ndarray] | None = None
) -> tuple[Arrays, Sizes]:
    """Converts weights of the official code to our names.

    Args:
        generator: The state dict of its G, as in `200000-G.ckpt`.
        discriminator: The state dict of its D, if available.

    Returns:
        The arrays `generator/...` and `discriminator/...`, float32, and the sizes of the networks.

    Raises:
        ModelError: A tensor is missing, unexpected or of the wrong shape; the message names it, with the prefix `G/` or
            `D/`.
    """
    theirs = {f"G/{name}": array for name, array in generator.items()}
    theirs |= {f"D/{name}": array for name, array in (discriminator or {}).items()}
    weights = {name: array for name, array in theirs.items() if not name.endswith(_BUFFERS)}
    return rename(weights, OFFICIAL)


def to_official(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """Converts our arrays to the official names, such as `G/main.0.weight`; adds no buffers."""
    return {official_name(name): array for name, array in arrays.items()}


def covering(kernel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Converts the kernel of D's classification, (C, channels, 1, 1), that pools its logits over an image.

    Args:
        kernel: The kernel.
        size: (height, width) of the features that it is applied to.

    Returns:
        (C, channels, height, width), a kernel that gives the same logits at once.
    """
    return np.tile(kernel / (size[0] * size[1]), (1, 1, *size))


# ---------------------------------------------------------------- any code


def rename(theirs: Mapping[str, np.ndarray], naming: Naming) -> tuple[Arrays, Sizes]:
    """Renames another code's tensors to our names and checks that none is missing or unexpected.

    Args:
        theirs: The tensors by the other code's names; kernels in PyTorch's order of axes.
        naming: The names in that code.

    Returns:
        The arrays `generator/...` and `discriminator/...`, float32, and the sizes of the networks.

    Raises:
        ModelError: A tensor is missing, unexpected or of the wrong shape; the message has the other code's name for it.
    """
    sizes = infer(theirs, naming)
    return matched(theirs, naming.names(sizes), shapes(sizes)), sizes


def matched(
    theirs: Mapping[str, np.ndarray],
    names: Mapping[str, str],
    expected: Mapping[str, tuple[int, ...]],
    method: str = "StarGAN",
) -> Arrays:
    """Returns another code's tensors by our names, float32, after checking that none is missing or unexpected.

    Args:
        theirs: The tensors by the other code's names.
        names: The other code's names by ours.
        expected: Our names and shapes.
        method: Whose networks they are, for messages.

    Raises:
        ModelError: As `rename`.
    """
    arrays: Arrays = {}
    remaining = dict(theirs)
    for ours, shape in expected.items():
        name = names[ours]
        if name not in remaining:
            raise ModelError(f"{name} is missing")
        array = remaining.pop(name)
        if array.shape != shape:
            raise ModelError(f"{name} has shape {array.shape}, not {shape}")
        if array.dtype.kind not in "fiu":
            raise ModelError(f"{name} contains {array.dtype}, not real numbers")
        arrays[ours] = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(arrays[ours]).all():
            raise ModelError(f"{name} contains numbers that are not finite as float32")
    for name in sorted(remaining):
        raise ModelError(f"unexpected tensor {name}, which {method}'s networks do not have")
    return arrays


def infer(theirs: Mapping[str, np.ndarray], naming: Naming) -> Sizes:
    """Infers the sizes of the networks from their tensors; the arguments and errors are those of `rename`."""
    width, channels = kernel(theirs, naming.first)[:2]
    if channels < 4:
        raise ModelError(f"{naming.first} has {channels} input channels: 3 for the image and none for labels")
    blocks = sum(bool(re.fullmatch(naming.block, name)) for name in theirs)
    layers = sum(bool(re.fullmatch(naming.layer, name)) for name in theirs)
    if not layers and naming.classes not in theirs:
        return Sizes(Architecture(width=width, blocks=blocks), channels - 3)
    classes, _, kernel_height, kernel_width = kernel(theirs, naming.classes)
    if not layers:
        raise ModelError(f"the discriminator has {naming.classes}, but no layers before it")
    if layers > MAX_SIDE.bit_length() or max(kernel_height, kernel_width) << layers > MAX_SIDE:
        raise ModelError(f"{naming.classes} is for images of more than {MAX_SIDE} pixels a side")
    mask = channels - 3 - classes  # length of the domain mask: 0 for one data set, else the number of data sets
    if mask < 0 or mask == 1:
        raise ModelError(f"the generator takes {channels - 3} labels, but the discriminator predicts {classes} classes")
    size = kernel_width << layers, kernel_height << layers
    return Sizes(Architecture(size, width, blocks, layers), channels - 3, classes)


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array of our networks by name."""
    framework = engine.framework("pytorch", "import foreign checkpoints")
    return framework.parameter_shapes(sizes.architecture, sizes.num_labels, sizes.num_classes)


def kernel(theirs: Mapping[str, np.ndarray], name: str) -> tuple[int, ...]:
    """Returns the shape of a convolution's kernel."""
    if name not in theirs:
        raise ModelError(f"{name} is missing")
    shape = theirs[name].shape
    if len(shape) != 4 or 0 in shape:
        raise ModelError(f"{name} has shape {shape}, not that of a convolution kernel")
    return shape
