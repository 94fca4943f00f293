"""Weights of the official PyTorch code (yunjey/stargan): its tensor names, and ours.

Its networks are ours layer by layer; only the containers have other names. Its instance norms also keep running
statistics, which it stores but never uses (it never calls `.eval()`), so they are dropped.

`Naming` and `rename` serve any code whose networks are those of the paper: see also `stargan.interop.tensorflow1`.
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
    """What tensors tell about the networks they are of.

    Attributes:
        architecture: Of both networks. Its image size is the smallest that D's last kernel fits; without D it is the
            default, like the number of D's layers.
        num_labels: L, the length of G's label vector; with several data sets the mask vector is part of it.
        num_classes: C, how many classes D tells; None without D.
    """

    architecture: Architecture
    num_labels: int
    num_classes: int | None = None


@dataclass(frozen=True)
class Naming:
    """How some code names its tensors.

    Attributes:
        first: G's first kernel.
        block: Pattern of one name that each residual block has once.
        layer: Pattern of one name that each stride-2 layer of D has once.
        classes: D's classifying kernel.
        names: The whole table for networks of some sizes, from our names (`generator/layers.0.weight`) to theirs.
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
    """`generator/layers.9.layers.0.weight` to `G/main.9.main.0.weight`: each word by the table, numbers as they are."""
    return re.sub(r"[a-z]+[0-9]*", lambda word: _WORDS.get(word[0], word[0]), name)


def official_names(sizes: Sizes) -> dict[str, str]:
    """From our names to the official ones, for networks of some sizes."""
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
    """The weights of the official code under our names.

    Args:
        generator: The state dict of its G, as in `200000-G.ckpt`.
        discriminator: That of its D, if there is one.

    Returns:
        The arrays `generator/...` and `discriminator/...`, float32, and the sizes of the networks.

    Raises:
        ModelError: A tensor is missing, left over or of the wrong shape; the line names it, `G/` or `D/` in front.
    """
    theirs = {f"G/{name}": array for name, array in generator.items()}
    theirs |= {f"D/{name}": array for name, array in (discriminator or {}).items()}
    kept = {name: array for name, array in theirs.items() if not name.endswith(_BUFFERS)}
    return rename(kept, OFFICIAL)


def to_official(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The inverse of `from_official`, buffers aside: our arrays `generator/...` as `G/main.0.weight` and so on."""
    return {official_name(name): array for name, array in arrays.items()}


# ---------------------------------------------------------------- any code


def rename(theirs: Mapping[str, np.ndarray], naming: Naming) -> tuple[Arrays, Sizes]:
    """Foreign tensors under our names, every one of them accounted for.

    Args:
        theirs: By their names; kernels in PyTorch's order of axes.
        naming: How that code names them.

    Returns:
        The arrays `generator/...` and `discriminator/...`, float32, and the sizes of the networks.

    Raises:
        ModelError: A tensor is missing, left over or of the wrong shape; the line names it as they do.
    """
    sizes = infer(theirs, naming)
    names = naming.names(sizes)
    arrays: Arrays = {}
    left = dict(theirs)
    for ours, shape in shapes(sizes).items():
        name = names[ours]
        if name not in left:
            raise ModelError(f"{name} is missing")
        array = left.pop(name)
        if array.shape != shape:
            raise ModelError(f"{name} has shape {array.shape}, not {shape}")
        if array.dtype.kind not in "fiu":
            raise ModelError(f"{name} holds {array.dtype}, not real numbers")
        arrays[ours] = np.ascontiguousarray(array, np.float32)
    for name in sorted(left):
        raise ModelError(f"{name} does not belong to a generator or discriminator of StarGAN")
    return arrays, sizes


def infer(theirs: Mapping[str, np.ndarray], naming: Naming) -> Sizes:
    """The sizes of the networks that the tensors are of; the arguments and errors are those of `rename`."""
    width, channels = _kernel(theirs, naming.first)[:2]
    if channels < 4:
        raise ModelError(f"{naming.first} takes {channels} channels, which leaves none for labels")
    blocks = sum(bool(re.fullmatch(naming.block, name)) for name in theirs)
    layers = sum(bool(re.fullmatch(naming.layer, name)) for name in theirs)
    if not layers and naming.classes not in theirs:
        return Sizes(Architecture(width=width, blocks=blocks), channels - 3)
    classes, _, height, across = _kernel(theirs, naming.classes)
    if not layers:
        raise ModelError(f"{naming.classes} is there, but no layer of the discriminator in front of it")
    if layers > MAX_SIDE.bit_length() or max(height, across) << layers > MAX_SIDE:
        raise ModelError(f"{naming.classes} is for pictures of more than {MAX_SIDE} pixels a side")
    mask = channels - 3 - classes
    if mask < 0 or mask == 1:  # none for one data set, else as long as there are data sets
        raise ModelError(f"the generator takes {channels - 3} labels, but the discriminator tells {classes} classes")
    size = across << layers, height << layers
    return Sizes(Architecture(size, width, blocks, layers), channels - 3, classes)


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The shape of every array of our networks, by name."""
    framework = engine.framework("pytorch", "import foreign checkpoints")
    return framework.parameter_shapes(sizes.architecture, sizes.num_labels, sizes.num_classes)


def _kernel(theirs: Mapping[str, np.ndarray], name: str) -> tuple[int, ...]:
    """The shape of a convolution's kernel."""
    if name not in theirs:
        raise ModelError(f"{name} is missing")
    shape = theirs[name].shape
    if len(shape) != 4 or 0 in shape:
        raise ModelError(f"{name} has shape {shape}, which is not that of a convolution")
    return shape
