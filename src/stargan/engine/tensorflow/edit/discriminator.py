"""D for the edit generator, as the PyTorch engine's: a convolutional part, and heads on the features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

from stargan.config import Architecture
from stargan.domains import Domains
from stargan.engine.edit_constants import CHANNELS, GAIN, HEAD_WIDTH
from stargan.engine.tensorflow.edit import groups
from stargan.engine.tensorflow.edit.confidence import Confidence
from stargan.engine.tensorflow.edit.generator import active, convolution, draw_he
from stargan.engine.tensorflow.network import Network, draw_uniform, from_file, to_file

TINY = 1e-12  # shortest vector that is normalised
WARM_UP = 15  # steps of the power iteration before training


class EditDiscriminator(Network):
    """Both parts. Weights whose names begin with `critic` belong to the convolutional part.

    Args:
        architecture: The sizes of the networks.
        domains: The label layout.
    """

    def __init__(self, architecture: Architecture, domains: Domains) -> None:
        super().__init__()
        self.domains = domains
        self._add_critic(architecture.width * 3 // 4, architecture.image_size[0].bit_length() - 7)
        self._add_projected()
        self.confidences = [self.add(f"{part}.confidence", Confidence(domains)) for part in ("critic", "projected")]
        features = [tf.zeros((1, side, side, count)) for count, side in zip(CHANNELS, (24, 12, 6, 3), strict=True)]
        self.projected(features, tf.zeros((1, domains.num_classes)))
        self(tf.zeros((1, *architecture.image_size, 3)))

    def call(self, images: tf.Tensor) -> tuple[list[list[tf.Tensor]], tf.Tensor]:
        """Applies the convolutional part alone, which needs no features, without conditions; see `critic`."""
        return self.critic(images)

    # ---------------------------------------------------------------- the convolutional part

    def _add_critic(self, width: int, before: int) -> None:
        """Adds 4x4 convolutions of stride 2 down to 4x4 pixels, `before` of them down to 64x64."""
        widths = [width // 2] * before + [width, 2 * width, 4 * width, 8 * width]
        self.strided = [
            self.add(f"critic.layers.{index}", convolution(channels, 4, 2)) for index, channels in enumerate(widths)
        ]
        self.fine, self.coarse = (
            self.add(f"critic.{name}", convolution(1 + self.domains.num_classes)) for name in ("fine", "coarse")
        )
        self.labels = self.add("critic.labels", layers.Dense(self.domains.num_classes))

    def critic(self, images: tf.Tensor, *conditions: tf.Tensor) -> tuple[list[list[tf.Tensor]], tf.Tensor]:
        """As `projected` of images, (N, H, W, 3), at two scales: the convolutional part alone, without features."""
        x, finer = images, images
        for layer in self.strided:
            finer, x = x, active(layer(x))
        maps = [self.fine(finer), self.coarse(x)]
        signs = (groups.signed(self.domains, condition)[:, None, None, :] for condition in conditions)
        scores = [[_flat(each[..., 0] + tf.reduce_sum(each[..., 1:] * sign, 3)) for each in maps] for sign in signs]
        return scores, self.labels(tf.reduce_mean(x, (1, 2)))

    # ---------------------------------------------------------------- heads on the features

    def _add_projected(self) -> None:
        self.mixing = self.add("projected", Mixing())
        self.heads = [
            [self.add(f"projected.heads.{scale}.{index}", SpectralConv2D(HEAD_WIDTH, 3)) for index in (0, 2)]
            for scale in range(len(CHANNELS))
        ]
        self.plain = [self.add(f"projected.plain.{scale}", SpectralConv2D(1, 1)) for scale in range(len(CHANNELS))]
        self.matching = [
            self.add(f"projected.matching.{scale}", SpectralDense(HEAD_WIDTH)) for scale in range(len(CHANNELS))
        ]
        self.from_coarse = self.add("projected.coarse.0", convolution(96))
        self.from_fine = self.add("projected.fine.0", layers.Conv2D(64, 3, 2))
        self.join = self.add("projected.join.0", layers.Conv2D(128, 3, 2))
        self.projected_labels = self.add("projected.labels", layers.Dense(self.domains.num_classes))

    def projected(self, found: Sequence[tf.Tensor], *conditions: tf.Tensor) -> tuple[list[list[tf.Tensor]], tf.Tensor]:
        """Scores images by how real they are as images with some labels, and classifies them.

        Args:
            found: The features of N images, for each of four scales.
            conditions: (N, C), the labels they should have; any number of them, which share the work.

        Returns:
            For each of the conditions, the scores of patches, (N, P) for each scale; and class logits, (N, C).
        """
        mixed = self.mixing(found)
        scores: list[list[tf.Tensor]] = [[] for _ in conditions]
        for head, plain, matching, x in zip(self.heads, self.plain, self.matching, mixed, strict=True):
            for layer in head:
                x = active(layer(x))
            x = GAIN * x
            score = _flat(plain(x))
            for own, condition in zip(scores, conditions, strict=True):
                direction = matching(groups.signed(self.domains, condition))
                own.append(score + _flat(tf.reduce_sum(x * direction[:, None, None, :], 3)))
        fine, coarse = active(self.from_fine(_padded(mixed[1]))), active(self.from_coarse(mixed[2]))
        joined = active(self.join(_padded(tf.concat([fine, coarse], 3))))
        return scores, self.projected_labels(tf.reduce_mean(joined, (1, 2)))

    # ---------------------------------------------------------------- initial weights

    def initialise(self, random: np.random.Generator, *, xavier: bool) -> None:
        """Draws the weights of a new run, with the distributions of the PyTorch engine; it has no other ones."""
        for layer in self.named.values():
            if isinstance(layer, Mixing):
                layer.draw(random)
            elif isinstance(layer, Confidence):
                layer.forget()
            elif isinstance(layer, layers.Conv2D | SpectralConv2D):
                draw_he(layer, random)
            else:
                draw_uniform(layer, random, xavier=False)
            if isinstance(layer, Spectral):
                layer.begin(random)


class Mixing(layers.Layer):
    """Mixes the channels of each scale by a fixed random matrix, so that a head cannot rely on a few of them."""

    def __init__(self) -> None:
        super().__init__()
        for index, count in enumerate(CHANNELS):
            self.add_weight((1, 1, count, count), trainable=False, name=f"mixing{index}")
            self.add_weight((count, 1, 1), "zeros", trainable=False, name=f"scale{index}")  # zero until `calibrate`

    @property
    def pairs(self) -> list[tuple[tf.Variable, tf.Variable]]:
        """The matrix and the scales of the channels, for each scale of the features."""
        values = [variable.value for variable in self.weights]
        return list(zip(values[::2], values[1::2], strict=True))

    @property
    def calibrated(self) -> bool:
        """Whether all channels have their scales."""
        return all(scale.numpy().any() for _, scale in self.pairs)

    def call(self, found: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Mixes and scales the features."""
        return [
            tf.nn.conv2d(each, matrix, 1, "SAME") * tf.reshape(scale, (-1,))
            for each, (matrix, scale) in zip(found, self.pairs, strict=True)
        ]

    def draw(self, random: np.random.Generator) -> None:
        """Draws the matrices of a new run."""
        for matrix, _ in self.pairs:
            count = matrix.shape[2]
            matrix.assign(from_file(np.linalg.qr(random.standard_normal((count, count)))[0][:, :, None, None]))

    def calibrate(self, found: Sequence[tf.Tensor]) -> None:
        """Scales mixed features to unit deviation over the features of some real images, unless that was done."""
        for each, (matrix, scale) in zip(found, self.pairs, strict=True):
            if not scale.numpy().any():
                mixed = tf.nn.conv2d(each, matrix, 1, "SAME").numpy()
                scale.assign((1 / np.maximum(mixed.std((0, 1, 2), ddof=1), 1e-3))[:, None, None])


class Spectral(layers.Layer):
    """A layer whose kernel is divided by its largest singular value, which one step of power iteration follows.

    The vectors and the order of the axes are those of PyTorch's `spectral_norm`.
    """

    use_bias = True

    def add_kernel(self, shape: tuple[int, ...]) -> None:
        """Adds the weights, given the shape of the kernel."""
        self.kernel = self.add_weight(shape, name="original")
        outputs = shape[-1]
        self.u = self.add_weight((outputs,), "ones", trainable=False, name="u")
        self.v = self.add_weight((int(np.prod(shape)) // outputs,), "ones", trainable=False, name="v")
        if self.use_bias:
            self.bias = self.add_weight((outputs,), "zeros", name="bias")

    def normalised(self) -> tf.Tensor:
        """The kernel, divided; makes a step of the power iteration."""
        kernel = self.kernel.value
        order = (3, 2, 0, 1) if len(kernel.shape) == 4 else (1, 0)
        matrix = tf.reshape(tf.transpose(kernel, order), (kernel.shape[-1], -1))
        fixed = tf.stop_gradient(matrix)
        u = _unit(tf.linalg.matvec(fixed, self.v.value))
        v = _unit(tf.linalg.matvec(fixed, u, transpose_a=True))
        self.u.assign(u)
        self.v.assign(v)
        return kernel / tf.reduce_sum(u * tf.linalg.matvec(matrix, v))

    def begin(self, random: np.random.Generator) -> None:
        """Finds the vectors for a new kernel."""
        kernel = to_file(self.kernel.numpy())
        matrix = kernel.reshape(len(kernel), -1)
        v = random.standard_normal(matrix.shape[1])
        for _ in range(WARM_UP):
            u = matrix @ v
            u /= np.linalg.norm(u)
            v = matrix.T @ u
            v /= np.linalg.norm(v)
        self.u.assign(u)
        self.v.assign(v)


class SpectralConv2D(Spectral):
    """A convolution, padded with zeros."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.channels, self.size = channels, kernel

    def build(self, input_shape: Any) -> None:
        """Adds the weights."""
        self.add_kernel((self.size, self.size, input_shape[-1], self.channels))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps (N, H, W, C) to (N, H, W, channels)."""
        return tf.nn.conv2d(x, self.normalised(), 1, "SAME") + self.bias.value


class SpectralDense(Spectral):
    """A matrix product without bias."""

    use_bias = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def build(self, input_shape: Any) -> None:
        """Adds the weights."""
        self.add_kernel((input_shape[-1], self.channels))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Maps (N, C) to (N, channels)."""
        return tf.linalg.matmul(x, self.normalised())


def _unit(vector: tf.Tensor) -> tf.Tensor:
    return vector / tf.maximum(tf.norm(vector), TINY)


def _flat(scores: tf.Tensor) -> tf.Tensor:
    """(N, h, w, 1) or (N, h, w) to (N, P)."""
    return tf.reshape(scores, (-1, scores.shape[1] * scores.shape[2]))


def _padded(x: tf.Tensor) -> tf.Tensor:
    """One row and column of zeros on each side."""
    return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
