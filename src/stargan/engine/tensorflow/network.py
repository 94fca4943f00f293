"""What all networks have in common: their weights by the names and with the axes that model files have.

Images are (N, H, W, 3) in this engine. The names and axes of arrays are those of every engine, see
`stargan.engine.interface`.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from stargan.errors import ModelError

_FIELDS = {
    **{"kernel": "weight", "gamma": "weight", "beta": "bias"},
    **{"original": "parametrizations.weight.original", "u": "parametrizations.weight.0._u"},
    **{"v": "parametrizations.weight.0._v"},
}
"""The names in files of weights that have another one in Keras, or in layers with a spectral norm."""
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
        """The weights that are trained, by their names in files."""
        return self._by_name(lambda layer: layer.trainable_variables)

    def stored(self) -> dict[str, tf.Variable]:
        """All that a file contains, by name."""
        return self._by_name(lambda layer: layer.variables)

    def _by_name(self, variables: Callable[[keras.layers.Layer], list[keras.Variable]]) -> dict[str, tf.Variable]:
        return {
            f"{name}.{_FIELDS.get(variable.name, variable.name)}": variable.value
            for name, layer in self.named.items()
            for variable in variables(layer)
        }

    def initialise(self, random: np.random.Generator, *, xavier: bool) -> None:
        """Draws the weights of a new run, with the distributions of the PyTorch engine.

        By default these are uniform within the square root of 1 over the number of inputs (PyTorch's); with `xavier`,
        Glorot & Bengio's for kernels of convolutions, and zero for their biases. Norms keep scale 1 and shift 0.
        """
        for layer in self.named.values():
            if not isinstance(layer, layers.GroupNormalization):
                draw_uniform(layer, random, xavier=xavier)

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
    return {name: to_file(weight.numpy()) for name, weight in network.stored().items()}


def from_arrays(network: Network, arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Loads weights by name; `what` is the network's name in error messages.

    Raises:
        ModelError: An array is missing, unexpected or of the wrong shape; the message names it.
    """
    weights = network.stored()
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


def draw_uniform(layer: layers.Layer, random: np.random.Generator, *, xavier: bool) -> None:
    """Draws the kernel and the bias of a layer; see `Network.initialise`."""
    kernel = layer.kernel.value
    shape = file_shape(kernel)
    area = int(np.prod(shape[2:]))
    convolves = len(shape) == 4
    bound = (6 / ((shape[0] + shape[1]) * area)) ** 0.5 if xavier and convolves else (shape[1] * area) ** -0.5
    kernel.assign(from_file(random.uniform(-bound, bound, shape).astype(np.float32)))
    if layer.use_bias:
        zero = xavier and convolves
        layer.bias.assign(np.zeros(layer.bias.shape) if zero else random.uniform(-bound, bound, layer.bias.shape))
