"""Layers of the paper's networks in forms that are faster on a CPU, with the same results up to rounding."""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

Apply = Callable[[keras.layers.Layer, tf.Tensor], tf.Tensor]
"""Applies a layer to (N, H, W, C)."""

LARGE = 2**18
"""Elements of one image's feature map from which its instance norm is computed as a batch norm."""


def instance_norm(layer: keras.layers.GroupNormalization, x: tf.Tensor) -> tf.Tensor:
    """Applies an instance norm; to large images, one by one, as the batch norm of a single image.

    TensorFlow has one kernel for the whole batch norm, and one for its gradient. Keras' instance norm is a dozen
    operations, each of which reads and writes the feature map.
    """
    if not _is_known(x) or not layer.built or x.shape[1] * x.shape[2] * x.shape[3] < LARGE:
        return layer(x)
    scale, shift = layer.gamma.value, layer.beta.value
    return tf.concat(
        [
            tf.compat.v1.nn.fused_batch_norm(image, scale, shift, epsilon=layer.epsilon, is_training=True)[0]
            for image in tf.split(x, x.shape[0])
        ],
        0,
    )


def strided(layer: keras.layers.Conv2D, x: tf.Tensor) -> tf.Tensor:
    """Applies a 4x4 convolution of stride 2 to images, which are padded by one pixel.

    The last layers of D have millions of weights for a few positions. As a matrix product, they need not be brought
    into another order first.
    """
    rows, columns = (side // 2 for side in x.shape[1:3])
    positions = rows * columns * (x.shape[0] or 0)
    if not _is_known(x) or not layer.built or 2 * positions > x.shape[3]:
        return layer(x if layer.padding == "same" else _padded(x))
    x = _padded(x)
    places = [(down, right) for down in range(4) for right in range(4)]
    cells = tf.concat(
        [x[:, down : down + 2 * rows - 1 : 2, right : right + 2 * columns - 1 : 2] for down, right in places], 3
    )
    kernel, bias = layer.kernel.value, layer.bias.value
    cells = tf.cast(cells, tf.float32)  # also where other layers compute in bf16
    flat = tf.reshape(cells, (positions, kernel.shape[0] * kernel.shape[1] * kernel.shape[2]))
    out = tf.linalg.matmul(flat, tf.reshape(kernel, (-1, kernel.shape[3]))) + bias
    return tf.reshape(out, (-1, rows, columns, kernel.shape[3]))


def _is_known(x: tf.Tensor) -> bool:
    """Whether these are images, and how many; a functional model consists of layers of Keras only."""
    return not isinstance(x, keras.KerasTensor) and x.shape[0] is not None


def _padded(x: tf.Tensor) -> tf.Tensor:
    """Adds a row and a column of zeros on each side."""
    return ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
