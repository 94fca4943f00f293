"""The losses of the edit generator and its discriminator; each is that of the PyTorch engine with the same name."""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from stargan.domains import Domains
from stargan.engine.edit_constants import FLAT, FOCUS, MOST, SMOOTHING
from stargan.engine.tensorflow.edit import groups


def classification(domains: Domains, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Cross-entropies with smoothed targets of (N, C) logits, summed over groups and averaged over images."""
    total = tf.zeros(())
    for index in groups.columns(domains):
        own, truth = logits[:, index], targets[:, index]
        known = tf.cast(tf.reduce_all((truth == 0) | (truth == 1), 1), tf.float32)
        if own.shape[1] == 1:
            soft = truth * (1 - 2 * SMOOTHING) + SMOOTHING
            each = tf.nn.sigmoid_cross_entropy_with_logits(soft, own)[:, 0]
        else:
            count = int(own.shape[1])
            soft = tf.one_hot(tf.argmax(truth, 1), count) * (1 - 2 * SMOOTHING) + 2 * SMOOTHING / count
            each = tf.nn.softmax_cross_entropy_with_logits(soft, own) * tf.reduce_sum(truth, 1)
        total += tf.reduce_mean(each * known)
    return total


def of_changes(domains: Domains, labels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The labels, (N, C), of groups in which the targets differ; those of other groups as not known."""
    parts = []
    for index in groups.columns(domains):
        own = labels[:, index]
        stays = tf.reduce_all(own == targets[:, index], 1, keepdims=True)
        parts.append(tf.where(stays, 0.5 * tf.ones_like(own), own))
    return tf.concat(parts, 1)


def patch_weights(change: tf.Tensor, scores: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Weights patches by how much of the image was changed there: (N, P) for each scale."""
    found = []
    for score in scores:
        side = math.isqrt(score.shape[1])
        size = change.shape[1] // side
        pooled = tf.reshape(tf.nn.avg_pool2d(change, size, size, "VALID"), (-1, side * side))
        relative = tf.minimum(pooled / (tf.reduce_mean(pooled, 1, keepdims=True) + 0.01), MOST)
        found.append(1 - FOCUS + FOCUS * relative)
    return found


def d_adversarial(scores: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]) -> tf.Tensor:
    """The hinge loss, averaged over scales, of real images, the first half, and their translations."""
    parts = []
    for score, weight in zip(scores, weights, strict=True):
        real, fake = tf.split(score, 2)
        parts.append(tf.reduce_mean(weight * (tf.nn.relu(1 - real) + tf.nn.relu(1 + fake))))
    return tf.reduce_mean(tf.stack(parts))


def mismatch(scores: Sequence[tf.Tensor], weights: Sequence[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """The hinge loss of real images, the first half, with labels that are not theirs in `rows`, (N,) bool."""
    parts = [
        tf.reduce_mean(weight * tf.nn.relu(1 + tf.split(score, 2)[0]), 1)
        for score, weight in zip(scores, weights, strict=True)
    ]
    return _mean_of(tf.reduce_mean(tf.stack(parts), 0), rows)


def g_adversarial(scores: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]) -> tf.Tensor:
    """G's adversarial term, averaged over scales: low where D takes translations for real."""
    parts = [tf.reduce_mean(weight * score) for score, weight in zip(scores, weights, strict=True)]
    return -tf.reduce_mean(tf.stack(parts))


def r1(critic: Callable[[tf.Tensor], Sequence[tf.Tensor]], real: tf.Tensor) -> tf.Tensor:
    """The mean squared gradient of the scores at real images."""
    with tf.GradientTape() as tape:
        tape.watch(real)
        total = tf.add_n([tf.reduce_sum(tf.reduce_mean(score, 1)) for score in critic(real)])
    return tf.reduce_mean(tf.reduce_sum(tf.square(tape.gradient(total, real)), (1, 2, 3)))


def bounds(drawn: tf.Tensor) -> tf.Tensor:
    """Penalises colours before tanh where tanh is flat and passes on no gradient."""
    return tf.reduce_mean(tf.square(tf.nn.relu(tf.abs(drawn) - FLAT)))


def unchanged(images: tf.Tensor, edited: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The mean absolute difference over images that nothing was requested of: `rows`, (N,) bool."""
    return _mean_of(tf.reduce_mean(tf.abs(edited - images), (1, 2, 3)), rows)


def _mean_of(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The mean of (N,) values over `rows`, (N,) bool; 0 if there are none."""
    chosen = tf.cast(rows, tf.float32)
    return tf.reduce_sum(values * chosen) / tf.maximum(tf.reduce_sum(chosen), 1)
