"""Random views of images for D, the same for a translation and its source; as the PyTorch engine's `views`.

The random numbers are drawn as arrays, so that they enter a compiled update:

| name | shape | meaning |
|---|---|---|
| `shifts` | (N, 2) | shift in pixels, down and right, less the largest one |
| `brightness`, `saturation`, `contrast` | (N, 1, 1, 1) | what is added; factors |
| `holes` | (N, H, W, 1) | 0 in holes, else 1 |
| `grid` | (N, INNER * INNER, 2) | the places that turned views show, x and y, from -1 to 1 in the image |
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from stargan.engine.edit_constants import (
    ANGLE,
    BRIGHTNESS,
    CONTRAST,
    FAR,
    HOLE,
    HOLE_SPREAD,
    HOLES,
    INNER,
    NEAR,
    SATURATION,
    SHIFT,
)

Draws = Mapping[str, tf.Tensor]

# ---------------------------------------------------------------- random numbers


def draw(random: np.random.Generator, count: int, size: int) -> dict[str, np.ndarray]:
    """Draws one change of colours and place for each of N images of `size` pixels a side."""

    def spread(most: float, *shape: int) -> np.ndarray:
        return random.uniform(-most, most, shape).astype(np.float32)

    return {
        "shifts": random.integers(0, 2 * int(SHIFT * size) + 1, (count, 2)).astype(np.float32),
        "brightness": spread(BRIGHTNESS, count, 1, 1, 1),
        "saturation": 1 + spread(SATURATION, count, 1, 1, 1),
        "contrast": 1 + spread(CONTRAST, count, 1, 1, 1),
        "holes": np.stack([_hole(random, size) for _ in range(count)]),
        "grid": _grid(random, count),
    }


def _hole(random: np.random.Generator, size: int) -> np.ndarray:
    """(H, W, 1): a square hole, or none."""
    seen = np.ones((size, size, 1), np.float32)
    drawn, share, down, right = random.random(4)
    if drawn < HOLES:
        side = int(size * (HOLE + HOLE_SPREAD * share))
        top, left = (int(place * size) - side // 2 for place in (down, right))
        seen[max(top, 0) : top + side, max(left, 0) : left + side] = 0
    return seen


def _grid(random: np.random.Generator, count: int) -> np.ndarray:
    angle = random.uniform(-ANGLE, ANGLE, count)
    zoom = 1 + FAR - random.random(count) * (FAR + NEAR)
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    move = random.uniform(-1, 1, (2, count)) * np.maximum(1 - zoom, FAR)
    centres = (2 * np.arange(INNER) + 1) / INNER - 1
    y, x = (each.reshape(1, -1) for each in np.meshgrid(centres, centres, indexing="ij"))
    across = cos[:, None] * x - sin[:, None] * y + move[0][:, None]
    down = sin[:, None] * x + cos[:, None] * y + move[1][:, None]
    return np.stack([across, down], -1).astype(np.float32)


# ---------------------------------------------------------------- views


def crisp(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Changes colours, shifts by whole pixels and cuts holes, so that pixels stay as they were drawn."""
    size = images.shape[1]
    places = tf.range(size) - int(SHIFT * size) + tf.cast(draws["shifts"], tf.int32)[..., None]
    rows, columns = tf.unstack(tf.clip_by_value(places, 0, size - 1), axis=1)
    shifted = tf.gather(_coloured(images, draws), rows, axis=1, batch_dims=1)
    return tf.gather(shifted, columns, axis=2, batch_dims=1)


def turned(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Changes colours, cuts holes, turns, moves and scales: (N, H, W, 3) to (N, INNER, INNER, 3)."""
    size = images.shape[1]
    flat = tf.reshape(_coloured(images, draws), (-1, size * size, 3))
    places = _reflected((draws["grid"] + 1) * (size / 2) - 0.5, size)
    first = tf.floor(places)
    share = places - first
    x, y = tf.unstack(tf.cast(first, tf.int32), axis=2)
    right, below = (tf.minimum(each + 1, size - 1) for each in (x, y))
    across, down = share[..., :1], share[..., 1:]

    def row(y: tf.Tensor) -> tf.Tensor:
        left_pixels, right_pixels = (tf.gather(flat, y * size + each, axis=1, batch_dims=1) for each in (x, right))
        return left_pixels * (1 - across) + right_pixels * across

    return tf.reshape(row(y) * (1 - down) + row(below) * down, (-1, INNER, INNER, 3))


def _reflected(places: tf.Tensor, size: int) -> tf.Tensor:
    """Reflects places outside of the image at its borders, which lie half a pixel outside of the outer pixels."""
    distance = tf.abs(places + 0.5)
    turns, rest = tf.floor(distance / size), tf.math.floormod(distance, float(size))
    return tf.clip_by_value(tf.where(turns % 2 == 0, rest, size - rest) - 0.5, 0.0, size - 1.0)


def _coloured(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    gray = tf.reduce_mean(images, 3, keepdims=True)
    images = gray + draws["saturation"] * (images - gray)
    level = tf.reduce_mean(images, (1, 2, 3), keepdims=True)
    return (level + draws["contrast"] * (images - level) + draws["brightness"]) * draws["holes"]
