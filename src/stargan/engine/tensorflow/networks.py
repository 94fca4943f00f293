"""The paper's G and D (tables 4 and 5) and the attribute classifier, of Keras layers.

Images are (N, H, W, 3) here. The names and axes of `arrays` are those of every engine, see `stargan.engine.interface`.
"""

from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from stargan.config import Architecture
from stargan.domains import Domains
from stargan.engine.constants import MASK_FLOOR
from stargan.errors import ModelError
from stargan.model.safetensors_file import under

NAMES = ("generator", "discriminator", "classifier")
"""The names of the networks in model files."""
_FIELDS = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}  # of kernels, to the order of files: output (or input), input, height, width
_BACK = {4: (2, 3, 1, 0), 2: (1, 0)}


class Network(keras.Model):
    """Layers by the names that their weights have in files."""

    def __init__(self) -> None:
        super().__init__()
        self.named: dict[str, keras.layers.Layer] = {}

    def add(self, name: str, layer: keras.layers.Layer) -> Callable[[tf.Tensor], tf.Tensor]:
        """Adds a layer that has weights."""
        self.named[name] = layer
        return layer

    def parameters(self) -> dict[str, tf.Variable]:
        """The weights by their names in files."""
        return {
            f"{name}.{_FIELDS[variable.name]}": variable.value
            for name, layer in self.named.items()
            for variable in layer.trainable_variables
        }

    def count(self) -> int:
        """The number of weights."""
        return sum(int(np.prod(weight.shape)) for weight in self.parameters().values())


def to_file(weight: np.ndarray) -> np.ndarray:
    """A copy of a weight, or of one of its slots of Adam, with the axes of files."""
    return np.array(weight.transpose(_AXES.get(weight.ndim, range(weight.ndim))), np.float32, order="C")


def from_file(array: np.ndarray) -> np.ndarray:
    """The inverse of `to_file`."""
    return np.asarray(array, np.float32).transpose(_BACK.get(array.ndim, range(array.ndim)))


def to_arrays(network: Network) -> dict[str, np.ndarray]:
    """Returns copies of the weights as numpy arrays by name."""
    return {name: to_file(weight.numpy()) for name, weight in network.parameters().items()}


def from_arrays(network: Network, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Loads weights by name; `what` is the network's name in error messages.

    Raises:
        ModelError: An array is missing, unexpected or of the wrong shape; the message names it.
    """
    weights = network.parameters()
    for name in sorted(weights.keys() | arrays.keys()):
        if name not in arrays:
            raise ModelError(f"{what}/{name} is missing")
        if name not in weights:
            raise ModelError(f"unexpected array {what}/{name}")
        expected = file_shape(weights[name])
        if arrays[name].shape != expected:
            raise ModelError(f"{what}/{name} has shape {arrays[name].shape}, not {expected}")
    for name, weight in weights.items():
        weight.assign(from_file(arrays[name]))


def file_shape(weight: tf.Variable) -> tuple[int, ...]:
    """The shape that a weight has in files."""
    shape = tuple(weight.shape)
    return tuple(shape[axis] for axis in _AXES.get(len(shape), range(len(shape))))


# ---------------------------------------------------------------- the layers


def convolution(channels: int, kernel: int | tuple[int, int], stride: int = 1, padding: str = "same") -> layers.Layer:
    """A convolution without bias, padded with zeros."""
    return layers.Conv2D(channels, kernel, stride, padding, use_bias=False)


def instance_norm() -> layers.Layer:
    """Instance normalisation with scale and shift."""
    return layers.GroupNormalization(groups=-1, epsilon=1e-5)


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
            yield self.add(f"layers.{index + 1}", instance_norm())
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
        norm1, norm2 = (self.add(f"{name}.layers.{index}", instance_norm()) for index in (1, 4))
        return lambda x: x + norm2(second(ops.relu(norm1(first(x)))))

    def call(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Translates images, (N, H, W, 3) in [-1, 1], to target labels, (N, L)."""
        x = ops.concatenate([images, ops.ones_like(images[..., :1]) * labels[:, None, None, :]], -1)
        for stage in self.stages:
            x = stage(x)
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
            self.convolutions.append((self.add(f"layers.{2 * level}", layer), even))

    def run(self, images: tf.Tensor) -> tf.Tensor:
        """Applies them."""
        x = images
        for layer, even in self.convolutions:
            x = ops.leaky_relu(layer(x if even else ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])), 0.01)
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
        self.cls = self.add("cls", convolution(num_classes, (height >> depth, width >> depth), padding="valid"))
        self(tf.zeros((1, height, width, 3)))

    def call(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps images to a realness score per patch, (N, h, w, 1), and class logits, (N, C)."""
        x = self.run(images)
        return self.src(x), self.cls(x)[:, 0, 0]


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
        return self.cls(ops.mean(self.run(images), (1, 2)))


# ---------------------------------------------------------------- building


def build(name: str, architecture: Architecture, domains: Domains) -> Network:
    """Builds a network, one of `NAMES`; its weights are not those of a new run, see `initialise`."""
    if name == "generator":
        return Generator(architecture, domains.num_labels)
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


def initialise(network: Network, random: np.random.Generator, *, xavier: bool) -> None:
    """Draws the weights of a new run, with the distributions of the PyTorch engine.

    By default these are uniform within the square root of 1 over the number of inputs (PyTorch's); with `xavier`,
    Glorot & Bengio's for kernels of convolutions, and zero for their biases. Norms keep scale 1 and shift 0.
    """
    for name, layer in network.named.items():
        if isinstance(layer, layers.GroupNormalization):
            continue
        kernel = network.parameters()[f"{name}.weight"]
        shape = file_shape(kernel)
        area = int(np.prod(shape[2:]))
        convolves = len(shape) == 4
        bound = (6 / ((shape[0] + shape[1]) * area)) ** 0.5 if xavier and convolves else (shape[1] * area) ** -0.5
        kernel.assign(from_file(random.uniform(-bound, bound, shape).astype(np.float32)))
        if layer.use_bias:
            zero = xavier and convolves
            layer.bias.assign(np.zeros(layer.bias.shape) if zero else random.uniform(-bound, bound, layer.bias.shape))
