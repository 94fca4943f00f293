"""The networks: the paper's G and D (tables 4 and 5), and a small attribute classifier, of Keras layers."""

import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf
from keras import layers, ops

from stargan.config import Architecture
from stargan.domains import Domains
from stargan.engine.constants import MASK_FLOOR
from stargan.engine.tensorflow import fast
from stargan.engine.tensorflow.edit.generator import EditGenerator
from stargan.engine.tensorflow.network import Network, from_arrays
from stargan.model.safetensors_file import under

NAMES = ("generator", "discriminator", "classifier")
"""The names of the networks in model files."""


# ---------------------------------------------------------------- the layers


def convolution(channels: int, kernel: int | tuple[int, int], stride: int = 1, padding: str = "same") -> layers.Layer:
    """A convolution without bias, padded with zeros."""
    return layers.Conv2D(channels, kernel, stride, padding, use_bias=False)


class Generator(Network):
    """G of table 4, with our attention mask and resize convolutions where the architecture has them.

    Args:
        architecture: Its sizes.
        num_labels: L, the length of the label vector.
    """

    def __init__(self, architecture: Architecture, num_labels: int) -> None:
        super().__init__()
        self.architecture, self.num_labels = architecture, num_labels
        self.stages = list(self._stages(architecture))
        width, height = architecture.image_size
        self(tf.zeros((1, height, width, 3)), tf.zeros((1, num_labels)))

    def _stages(self, architecture: Architecture) -> Iterator[Callable[[tf.Tensor], tf.Tensor]]:
        """Yields the layers in their order; an index in a name counts activations and enlargements too."""
        width, index = architecture.width, 0

        def stage(layer: layers.Layer) -> Iterator[Callable[[tf.Tensor], tf.Tensor]]:
            nonlocal index
            yield self.add(f"layers.{index}", layer)
            yield self._norm(f"layers.{index + 1}")
            yield ops.relu
            index += 3

        yield from stage(convolution(width, 7))
        for channels in (2 * width, 4 * width):
            yield from stage(convolution(channels, 4, 2))
        for _ in range(architecture.blocks):
            yield self._block(f"layers.{index}", 4 * width)
            index += 1
        for channels in (2 * width, width):
            if architecture.resize_conv:
                yield layers.UpSampling2D(2)
                index += 1
                yield from stage(convolution(channels, 3))
            else:
                yield from stage(layers.Conv2DTranspose(channels, 4, 2, "same", use_bias=False))
        yield self.add(f"layers.{index}", convolution(4 if architecture.attention_mask else 3, 7))

    def _block(self, name: str, channels: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """x + IN(conv(ReLU(IN(conv(x)))))."""
        first, second = (self.add(f"{name}.layers.{index}", convolution(channels, 3)) for index in (0, 3))
        norm1, norm2 = (self._norm(f"{name}.layers.{index}") for index in (1, 4))
        return lambda x: x + norm2(second(ops.relu(norm1(first(x)))))

    def _norm(self, name: str) -> Callable[[tf.Tensor], tf.Tensor]:
        """Instance normalisation with scale and shift."""
        layer = self.add(name, layers.GroupNormalization(groups=-1, epsilon=1e-5))
        return functools.partial(fast.instance_norm, layer)

    def call(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Translates images, (N, H, W, 3) in [-1, 1], to target labels, (N, L)."""
        x = ops.concatenate([images, ops.ones_like(images[..., :1]) * labels[:, None, None, :]], -1)
        for stage in self.stages:
            x = stage(x)
        x = ops.cast(x, images.dtype)  # in full precision, so that unmasked pixels stay as they are
        if not self.architecture.attention_mask:
            return ops.tanh(x)
        mask = MASK_FLOOR + (1 - MASK_FLOOR) * ops.sigmoid(x[..., 3:])
        return images + mask * (ops.tanh(x[..., :3]) - images)


class Strided(Network):
    """4x4 convolutions of stride 2 with bias, each followed by LeakyReLU with slope 0.01."""

    def features(self, widths: list[int], height: int, width: int) -> None:
        """Adds the layers, for images of this size; odd sides lose their last row or column."""
        self.convolutions = []
        for level, channels in enumerate(widths):
            even = (height >> level) % 2 == 0 == (width >> level) % 2
            layer = layers.Conv2D(channels, 4, 2, "same" if even else "valid")
            self.convolutions.append(self.add(f"layers.{2 * level}", layer))

    def run(self, images: tf.Tensor) -> tf.Tensor:
        """Applies them."""
        x = images
        for layer in self.convolutions:
            x = ops.leaky_relu(fast.strided(layer, x), 0.01)
        return x


class Discriminator(Strided):
    """D of table 5, for one image size: its last kernel covers the whole image.

    Args:
        architecture: Its sizes.
        num_classes: C, the number of classes it predicts.
    """

    def __init__(self, architecture: Architecture, num_classes: int) -> None:
        super().__init__()
        depth, (width, height) = architecture.d_layers, architecture.image_size
        self.features([architecture.width * 2**level for level in range(depth)], height, width)
        self.src = self.add("src", convolution(1, 3))
        left = (1, 1) if architecture.cls_pooling else (height >> depth, width >> depth)
        self.cls = self.add("cls", convolution(num_classes, left, padding="valid"))
        self(tf.zeros((1, height, width, 3)))

    def call(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps images to a realness score per patch, (N, h, w, 1), and class logits, (N, C)."""
        x = self.run(images)
        return ops.cast(self.src(x), images.dtype), ops.cast(ops.mean(self.cls(x), (1, 2)), images.dtype)


class AttributeClassifier(Strided):
    """Predicts the labels of an image; not in the paper.

    Args:
        architecture: Its image size and layers.
        num_classes: C, the number of classes.
    """

    def __init__(self, architecture: Architecture, num_classes: int) -> None:
        super().__init__()
        width, height = architecture.image_size
        self.features([min(32 * 2**level, 128) for level in range(architecture.d_layers)], height, width)
        self.cls = self.add("cls", layers.Dense(num_classes))
        self(tf.zeros((1, height, width, 3)))

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Maps images to logits, (N, C)."""
        return ops.cast(self.cls(ops.mean(self.run(images), (1, 2))), images.dtype)


# ---------------------------------------------------------------- building


def generator(architecture: Architecture, num_labels: int) -> Network:
    """Builds the generator that an architecture names; its weights are not those of a new run."""
    build = EditGenerator if architecture.generator == "edit" else Generator
    return build(architecture, num_labels)


def build(name: str, architecture: Architecture, domains: Domains) -> Network:
    """Builds a network, one of `NAMES`; its weights are not those of a new run, see `Network.initialise`."""
    if name == "generator":
        return generator(architecture, domains.num_labels)
    if name == "discriminator":
        return Discriminator(architecture, domains.num_classes)
    return AttributeClassifier(architecture, domains.num_classes)


def restore(name: str, architecture: Architecture, domains: Domains, arrays: Mapping[str, np.ndarray]) -> Network:
    """Builds a network with the weights of a model file.

    Raises:
        ModelError: As `from_arrays`.
    """
    network = build(name, architecture, domains)
    from_arrays(network, under(arrays, name), name)
    return network
