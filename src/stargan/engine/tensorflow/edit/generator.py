"""The edit generator; see the PyTorch engine's, whose names it has.

It consists of layers and operations of Keras, so that `call` also builds a functional model that Keras saves and loads
without this package.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from keras import layers, ops

from stargan.config import Architecture
from stargan.config.architecture import DETAIL_CHANNELS
from stargan.engine.edit_constants import EMBEDDING, GRAY, GRID, GROUPS, MAPS, PALETTE, SLOPE
from stargan.engine.tensorflow.network import Network, file_shape, from_file

Conditioned = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Maps features, (N, H, W, channels), and the embedded change, (N, EMBEDDING), to features."""


class EditGenerator(Network):
    """Edits an image x by a change of its labels: y = x + m (tanh(g x + o) - x).

    Args:
        architecture: Its sizes.
        num_labels: L, the length of the label vector.
    """

    def __init__(self, architecture: Architecture, num_labels: int) -> None:
        super().__init__()
        self.num_labels = num_labels
        low, middle, high = (architecture.width * factor for factor in (1, 2, 4))
        side = architecture.image_size[0]
        self.fold, self.shuffle, self.enlarge = side // GRID, MAPS // GRID, side // MAPS
        self.embed = self.add("embed", layers.Dense(EMBEDDING, use_bias=False))
        self.stem = self.add("stem", convolution(low))
        self.down1 = self.add("down1", convolution(middle, 4, 2, bias=False))
        self.norm1 = self.add("norm1", layers.GroupNormalization(GROUPS, epsilon=1e-5))
        self.down2 = self.add("down2", convolution(high, 4, 2, bias=False))
        self.blocks = [self._residual(f"blocks.{index}", high) for index in range(architecture.blocks)]
        self.norm2 = self._modulation("norm2", high)
        self.up1 = self._up("up1", middle, middle)
        self.middle = self._residual("middle", middle)
        self.up2 = self._up("up2", low, low)
        self.last = self.add("last", convolution(7 * self.shuffle**2))
        self.palette = self._palette("palette") if architecture.palette else None
        if self.palette is not None:
            self.paint, self.gray = (self.add(name, convolution(self.shuffle**2)) for name in ("paint", "gray"))
        self.refine = self._details("refine", architecture.details) if architecture.details else None
        enlarges = self.enlarge > 1
        self.smooth = layers.UpSampling2D(self.enlarge, interpolation="bilinear") if enlarges else layers.Identity()
        self(tf.zeros((1, side, side, 3)), tf.zeros((1, num_labels)))

    def call(self, images: tf.Tensor, change: tf.Tensor) -> tf.Tensor:
        """Edits images, (N, H, W, 3) in [-1, 1], by a change of their labels, (N, L): -1, 0 or 1."""
        return self.edit(images, change)[0]

    def edit(self, images: tf.Tensor, change: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """As `call`; also returns the mask m, (N, H, W, 1) in [0, 1], and g x + o, (N, H, W, 3)."""
        maps = ops.cast(self._maps(images, change), images.dtype)
        mask, gain, offset = ops.sigmoid(maps[..., :1]), maps[..., 1:4] + 1, maps[..., 4:7]
        if self.palette is not None:
            offset = offset + maps[..., 7:] * grays(images)
        drawn = gain * images + offset
        return images + mask * (ops.tanh(drawn) - images), mask, drawn

    def _maps(self, images: tf.Tensor, change: tf.Tensor) -> tf.Tensor:
        """(N, H, W, 7): the mask before its sigmoid, gains less 1, offsets; (N, H, W, 8) with a palette: grays."""
        embedded = active(self.embed(change))
        first = active(self.stem(folded(images, self.fold)))
        second = active(self.norm1(self.down1(first)))
        x = self.down2(second)
        for block in self.blocks:
            x = block(x, embedded)
        x = active(self.norm2(x, embedded))
        x = middle = self.middle(self.up1(x, second, embedded), embedded)
        x = self.up2(x, first, embedded)
        drawn = [self.last(x)] if self.palette is None else [self.last(x), self.gray(x), self.paint(x)]
        maps = softened(unfolded(ops.concatenate(drawn, -1), self.shuffle))
        if self.palette is not None:
            offset = maps[..., 4:7] + maps[..., 8:] * self.palette(images, middle)
            maps = ops.concatenate([maps[..., :4], offset, maps[..., 7:8]], -1)
        maps = self.smooth(maps)
        if self.refine is None:
            return maps
        return ops.concatenate([maps[..., :7] + self.refine(images, x, embedded), maps[..., 7:]], -1)

    # ---------------------------------------------------------------- parts

    def _modulation(self, name: str, channels: int, groups: int = GROUPS) -> Conditioned:
        """Group norm whose scale and shift depend on the embedded change."""
        norm = self.add(f"{name}.norm", layers.GroupNormalization(groups, epsilon=1e-5))
        affine = self.add(f"{name}.affine", layers.Dense(2 * channels, use_bias=False))

        def run(x: tf.Tensor, embedded: tf.Tensor) -> tf.Tensor:
            both = affine(embedded)[:, None, None, :]
            return norm(x) * (both[..., :channels] + 1) + both[..., channels:]

        return run

    def _residual(self, name: str, channels: int) -> Conditioned:
        """Adds to its input the output of two modulated norms, each followed by an activation and a convolution."""
        first, second = (self.add(f"{name}.{part}", convolution(channels, bias=False)) for part in ("first", "second"))
        norm1, norm2 = (self._modulation(f"{name}.norm{number}", channels) for number in (1, 2))

        def run(x: tf.Tensor, embedded: tf.Tensor) -> tf.Tensor:
            inner = first(active(norm1(x, embedded)))
            return x + second(active(norm2(inner, embedded)))

        return run

    def _up(self, name: str, skip: int, outputs: int) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
        """Doubles the size, and adds features of the encoder as far as a gate lets them through for this change."""
        reduce = self.add(f"{name}.reduce", convolution(outputs, 1, bias=False))
        gate = self.add(f"{name}.gate", convolution(skip, 1))
        label = self.add(f"{name}.label", layers.Dense(skip, use_bias=False))
        mix = self.add(f"{name}.mix", convolution(outputs, bias=False))
        norm = self._modulation(f"{name}.norm", outputs)
        repeat = layers.UpSampling2D(2)

        def run(x: tf.Tensor, kept: tf.Tensor, embedded: tf.Tensor) -> tf.Tensor:
            x = repeat(reduce(x))
            passed = ops.sigmoid(gate(ops.concatenate([x, kept], -1)) + label(embedded)[:, None, None, :])
            return active(norm(mix(ops.concatenate([x, kept * passed], -1)), embedded))

        return run

    def _palette(self, name: str) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Offers each cell colours from elsewhere in the image, enlarged to the maps."""
        query, key = (self.add(f"{name}.{part}", convolution(PALETTE, 1)) for part in ("query", "key"))
        cells = GRID // 2
        smooth = layers.UpSampling2D(MAPS // cells, interpolation="bilinear")

        def run(images: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
            colours = ops.average_pool(images, images.shape[1] // cells)
            flat = [ops.reshape(each, (-1, cells**2, each.shape[-1])) for each in (query(x), key(x), colours)]
            weights = ops.softmax(ops.matmul(flat[0], ops.transpose(flat[1], (0, 2, 1))) * PALETTE**-0.5, -1)
            return smooth(ops.reshape(ops.matmul(weights, flat[2]), (-1, cells, cells, 3)))

        return run

    def _details(self, name: str, width: int) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
        """Draws details at the full size of the image, from the image itself."""
        look = self.add(f"{name}.look", convolution(width))
        reduce = self.add(f"{name}.reduce", convolution(width, 1, bias=False))
        mix = self.add(f"{name}.mix", convolution(width, bias=False))
        norm = self._modulation(f"{name}.norm", width, DETAIL_CHANNELS)
        last = self.add(f"{name}.last", convolution(7 * self.enlarge**2))
        repeat = layers.UpSampling2D(MAPS // GRID)

        def run(images: tf.Tensor, x: tf.Tensor, embedded: tf.Tensor) -> tf.Tensor:
            seen = active(look(folded(images, self.enlarge)))
            mixed = active(norm(mix(ops.concatenate([seen, repeat(reduce(x))], -1)), embedded))
            return softened(unfolded(last(mixed), self.enlarge))

        return run

    # ---------------------------------------------------------------- initial weights

    def initialise(self, random: np.random.Generator, *, xavier: bool) -> None:
        """Draws the weights of a new run, with the distributions of the PyTorch engine; it has no other ones."""
        for name, layer in self.named.items():
            if isinstance(layer, layers.Conv2D):
                draw_he(layer, random, 0.3 if name.endswith(".second") else 1.0)
            elif isinstance(layer, layers.Dense):
                _draw_dense(name, layer, random)
        # The pixels of a cell start with the same weights, so that there is no checkerboard.
        kernel = self.named["last"].kernel
        each = kernel.numpy()[..., :: self.shuffle**2] * 0.3
        kernel.assign(np.repeat(each, self.shuffle**2, -1))
        for name in ("paint", "gray", "refine.last"):  # before training, nothing
            if name in self.named:
                kernel = self.named[name].kernel
                kernel.assign(np.zeros(kernel.shape))


def convolution(channels: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> layers.Layer:
    """A convolution, padded with zeros."""
    return layers.Conv2D(channels, kernel, stride, "same", use_bias=bias)


def active(x: tf.Tensor) -> tf.Tensor:
    """Applies the leaky ReLU."""
    return ops.leaky_relu(x, SLOPE)


def folded(images: tf.Tensor, factor: int) -> tf.Tensor:
    """Turns cells of pixels into channels: (N, H, W, C) to (N, H / factor, W / factor, C factor^2)."""
    _, height, width, channels = images.shape
    rows, columns = height // factor, width // factor
    x = ops.reshape(images, (-1, factor, columns, factor, channels))  # the rows of cells of all images in one axis
    x = ops.transpose(x, (0, 2, 4, 1, 3))
    return ops.reshape(x, (-1, rows, columns, channels * factor**2))


def unfolded(cells: tf.Tensor, factor: int) -> tf.Tensor:
    """The inverse of `folded`."""
    _, rows, columns, channels = cells.shape
    left = channels // factor**2
    x = ops.reshape(cells, (-1, columns, left, factor, factor))
    x = ops.transpose(x, (0, 3, 1, 4, 2))
    return ops.reshape(x, (-1, rows * factor, columns * factor, left))


def grays(images: tf.Tensor) -> tf.Tensor:
    """The grays of colours: (N, H, W, 3) to (N, H, W, 1)."""
    return GRAY[0] * images[..., :1] + GRAY[1] * images[..., 1:2] + GRAY[2] * images[..., 2:]


def softened(maps: tf.Tensor) -> tf.Tensor:
    """Smooths (N, H, W, C) with weights 1, 2, 1 in each direction, which remove patterns of single pixels."""
    padded = ops.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")  # of one row, repeats it
    return ops.average_pool(ops.average_pool(padded, 2, 1), 2, 1)


def draw_he(layer: layers.Layer, random: np.random.Generator, factor: float = 1.0) -> None:
    """Draws the kernel of a convolution after He et al. 2015, times a factor; its biases become zero."""
    shape = file_shape(layer.kernel.value)
    spread = factor * (2 / (1 + SLOPE**2) / int(np.prod(shape[1:]))) ** 0.5
    layer.kernel.assign(from_file(spread * random.standard_normal(shape)))
    if layer.use_bias:
        layer.bias.assign(np.zeros(layer.bias.shape))


def _draw_dense(name: str, layer: layers.Layer, random: np.random.Generator) -> None:
    """Draws the kernel of a layer that takes the change, or the embedded change."""
    shape = layer.kernel.shape
    if name.endswith(".label"):
        drawn = random.uniform(-(EMBEDDING**-0.5), EMBEDDING**-0.5, shape)
    else:
        drawn = (1.0 if name == "embed" else 0.5 * EMBEDDING**-0.5) * random.standard_normal(shape)
    layer.kernel.assign(drawn)
