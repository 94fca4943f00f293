"""Differentiable augmentation of the images D sees, as the PyTorch engine's `augment`."""

import tensorflow as tf

from stargan.engine.constants import BRIGHTNESS, COVER, SHIFT


def augment(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Randomly shifts each image, changes its brightness and covers a part of it.

    Args:
        images: (N, H, W, 3) in [-1, 1].
        draws: (N, 5) random numbers in [0, 1): the vertical and horizontal shift, the brightness, and the vertical and
            horizontal position of the covered rectangle.
    """
    height, width = images.shape[1:3]
    down, right = tf.range(height), tf.range(width)
    up, left = int(SHIFT * height), int(SHIFT * width)
    tall, wide = int(COVER * height), int(COVER * width)
    y, x, light, top, side = tf.unstack(draws, axis=1)

    padded = tf.pad(images, [[0, 0], [up, up], [left, left], [0, 0]])
    shifted = tf.gather(padded, down + _pick(y, 2 * up), axis=1, batch_dims=1)
    shifted = tf.gather(shifted, right + _pick(x, 2 * left), axis=2, batch_dims=1)

    below, after = down - _pick(top, height - tall), right - _pick(side, width - wide)
    rows, columns = (below >= 0) & (below < tall), (after >= 0) & (after < wide)
    seen = tf.cast(~(rows[:, :, None] & columns[:, None, :]), images.dtype)
    return (shifted + ((2 * light - 1) * BRIGHTNESS)[:, None, None, None]) * seen[..., None]


def _pick(draws: tf.Tensor, most: int) -> tf.Tensor:
    """Maps (N,) random numbers in [0, 1) to (N, 1) integers from 0 to `most`."""
    return tf.minimum(tf.cast(draws * (most + 1), tf.int32), most)[:, None]
